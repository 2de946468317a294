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

interface EachImageOptions {
  /** For the error, such as `compute the mean image`. */
  action: string;
  concurrency: number;
  signal?: AbortSignal | undefined;
  /** Indices of the images; all of the part by default. */
  only?: ArrayLike<number> | undefined;
}

/**
 * Calls `visit` for the images of a part, `concurrency` calls at a time. After a failure, or once `visit` has returned
 * `'stop'`, no new call starts.
 * @throws DataError once the signal is aborted; otherwise the first failure, once all calls have ended, such as a
 * SystemError for a system fault that lasts.
 */
export async function forEachImage(
  folder: string,
  files: ImageFiles,
  { action, concurrency, signal, only }: EachImageOptions,
  visit: (index: number, reader: ImageReader) => Promise<unknown>,
): Promise<void> {
  const reader = openReader(folder, files, { signal });
  const count = only?.length ?? files.count;
  let next = 0;
  const failures: unknown[] = [];
  const run = async () => {
    while (next < count) {
      try {
        signal?.throwIfAborted();
        const place = next++;
        if ((await visit(only?.[place] ?? place, reader)) === 'stop') next = count;
      } catch (error) {
        failures.push(error);
        next = count;
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
