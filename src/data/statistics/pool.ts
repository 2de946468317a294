/** Sums over training images in a Piscina pool of threads. */
import { fileURLToPath } from 'node:url';
import { DataError } from '../../errors.js';
import { openThreads } from '../threads.js';
import type { Summer, SumSetup } from './summer.js';

/** Starts `threads` threads. Closing ends them, busy or not; one that hangs in the system is abandoned. */
export function openSummers(setup: SumSetup, threads: number): Summer {
  const pool = openThreads<Parameters<Summer['sum']>[0], Awaited<ReturnType<Summer['sum']>>>(
    fileURLToPath(new URL('./worker.js', import.meta.url)),
    setup,
    threads,
  );
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
    close: () => pool.close(),
  };
}
