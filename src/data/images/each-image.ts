/** Goes through all images of a part, several at a time. */
import { DataError } from '../../errors.js';
import type { ImageFiles } from '../sets/dataset.js';
import { type ImageReader, openReader } from './reader.js';

/** Called with the number of images that are done. */
export type Progress = (done: number, total: number) => void;

const NOTE_EVERY_MS = 30_000;

/** Progress as sentences: the first one at once, then one every 30 seconds. */
export function progressNotes(what: string, note: (text: string) => void = () => {}): Progress {
  let last = Number.NEGATIVE_INFINITY;
  return (done, total) => {
    const now = performance.now();
    if (now - last < NOTE_EVERY_MS) return;
    last = now;
    note(`${what}: ${done.toLocaleString('en-US')} of ${total.toLocaleString('en-US')} images`);
  };
}

/**
 * Calls `visit` for the images of a part, `concurrency` calls at a time. After a failure, or once `visit` has returned
 * `'stop'`, no new call starts.
 * @param action for the error, such as `compute the mean image`.
 * @throws DataError once the signal is aborted; otherwise the first failure, once all calls have ended, such as a
 * SystemError for a system fault that lasts.
 */
export async function forEachImage(
  folder: string,
  files: ImageFiles,
  { action, concurrency, signal }: { action: string; concurrency: number; signal?: AbortSignal | undefined },
  visit: (index: number, reader: ImageReader) => Promise<unknown>,
): Promise<void> {
  const reader = openReader(folder, files, { signal });
  let next = 0;
  const failures: unknown[] = [];
  const run = async () => {
    while (next < files.count) {
      try {
        signal?.throwIfAborted();
        if ((await visit(next++, reader)) === 'stop') next = files.count;
      } catch (error) {
        failures.push(error);
        next = files.count;
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, run));
  reader.close();
  if (failures.length > 0) throw signal?.aborted ? stoppedError(action, folder) : failures[0];
}

export function stoppedError(action: string, folder: string): DataError {
  return new DataError(`Cannot ${action} of ${folder}: it was stopped, expected time to finish; run it again`);
}
