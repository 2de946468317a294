/** Goes through all images of a part, several at a time. */
import { DataError } from '../../errors.js';
import { count, duration } from '../../numbers.js';
import type { ImageFiles } from '../sets/dataset.js';
import { type ImageReader, openReader } from './reader.js';

/** Called with the number of images that are done. */
export type Progress = (done: number, total: number) => void;

const NOTE_EVERY_MS = 30_000;

/** Progress as sentences with the time that is left: the first one at once, then one every 30 seconds. */
export function progressNotes(what: string, note: (text: string) => void = () => {}): Progress {
  let last = Number.NEGATIVE_INFINITY;
  let first: { now: number; done: number } | undefined;
  return (done, total) => {
    const now = performance.now();
    first ??= { now, done }; // an earlier process may have done some
    if (now - last < NOTE_EVERY_MS) return;
    last = now;
    const rate = (done - first.done) / (now - first.now);
    const left = rate > 0 ? `, ${duration((total - done) / rate)} left` : '';
    note(`${what}: ${count(done)} of ${count(total)} images${left}`);
  };
}

interface EachImageOptions {
  /** For the error, such as `compute the mean image`. */
  action: string;
  concurrency: number;
  signal?: AbortSignal | undefined;
  /** Indices of the images; all of the part by default. */
  only?: ArrayLike<number> | undefined;
  /** Shards that are open at a time. */
  maxOpen?: number;
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
  { action, concurrency, signal, only, maxOpen }: EachImageOptions,
  visit: (index: number, reader: ImageReader) => Promise<unknown>,
): Promise<void> {
  const reader = openReader(folder, files, { signal, maxOpen });
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
