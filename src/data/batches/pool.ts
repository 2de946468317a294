/** Fills batches with a Piscina pool of data workers, or on the calling thread. */
import { fileURLToPath } from 'node:url';
import { DataError } from '../../errors.js';
import { openThreads } from '../threads.js';
import { createFiller, type FillResult, type FillSetup, type FillTask } from './filler.js';
import { type BatchKind, describeBatch } from './plan.js';

interface BatchFiller {
  /**
   * Resolves when the batch is in the slot, except for unreadable images. Once it rejects, nothing writes to the slot.
   * @throws DataError that names the batch if a thread failed or ended.
   */
  fill(kind: BatchKind, number: number, slot: number): Promise<FillResult>;
  /** Ends all threads, busy or not; pending fills reject. A thread that hangs in the system is abandoned. */
  close(): Promise<void>;
}

/** Fills on the calling thread. */
export function openInline(setup: FillSetup): BatchFiller {
  const filler = createFiller(setup);
  return {
    fill: async (kind, number, slot) => filler.fill({ kind, number, slot, part: 0, parts: 1 }),
    close: async () => filler.close(),
  };
}

/**
 * Starts `workers` threads; each fills a part of every batch.
 * @param file the worker's module, for tests.
 */
export function openPool(
  setup: FillSetup,
  workers: number,
  file = fileURLToPath(new URL('./worker.js', import.meta.url)),
): BatchFiller {
  const threads = openThreads<FillTask, FillResult>(file, setup, workers);
  let isClosing = false;

  return {
    async fill(kind, number, slot) {
      const runPart = (_: unknown, part: number): Promise<FillResult> =>
        threads.run({ kind, number, slot, part, parts: workers });
      // Wait for all of them: a part that still runs would write into a slot that another batch gets.
      const settled = await Promise.allSettled(Array.from({ length: workers }, runPart));
      const results = settled.map((result) => {
        if (result.status === 'fulfilled') return result.value;
        if (isClosing) throw closedError(kind, number);
        throw new DataError(
          `Cannot fill ${describeBatch(kind, number)}: a data worker failed (${(result.reason as Error).message}), expected it to be filled; use --workers 0, which fills on the main thread`,
          { cause: result.reason },
        );
      });
      const systemFault = results.find((result) => result.systemFault !== undefined)?.systemFault;
      return {
        ms: results.reduce((sum, { ms }) => sum + ms, 0),
        readBytes: results.reduce((sum, each) => sum + each.readBytes, 0),
        bad: results.flatMap(({ bad }) => bad),
        holes: results.flatMap(({ holes }) => holes),
        ...(systemFault !== undefined && { systemFault }),
      };
    },
    close() {
      isClosing = true;
      return threads.close();
    },
  };
}

export function closedError(kind: BatchKind, number: number): DataError {
  return new DataError(
    `Cannot fill ${describeBatch(kind, number)}: the data workers were closed, expected them to run; ask for it before the run ends`,
  );
}
