/** Sums over training images in a Piscina pool of threads. */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { DataError } from '../../errors.js';
import { runningSleep } from '../../running-time.js';
import type { Summer, SumSetup } from './summer.js';

/** How long threads may take to end: one that waits for a disk may never notice that it should. */
const CLOSE_MS = 2_000;

/** Starts `threads` threads. Closing ends them, busy or not; one that hangs in the system is abandoned. */
export function openSummers(setup: SumSetup, threads: number): Summer {
  const pool = new Piscina({
    filename: fileURLToPath(new URL('./worker.js', import.meta.url)),
    workerData: setup,
    minThreads: threads,
    maxThreads: threads,
    idleTimeout: Number.POSITIVE_INFINITY,
    atomics: 'disabled', // an idle thread would sleep where only a task can wake it
    recordTiming: false,
  });
  pool.on('error', () => {}); // a failed thread is replaced; a lasting failure shows in the next task
  return {
    async sum(task) {
      try {
        return await pool.run(task);
      } catch (error) {
        throw new DataError(
          `Cannot compute the mean image of ${setup.folder}: a thread failed (${(error as Error).message}), expected it to read images; run it again, and it continues`,
          { cause: error },
        );
      }
    },
    close: () => Promise.race([pool.destroy(), runningSleep(CLOSE_MS)]),
  };
}
