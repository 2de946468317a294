/** The data threads: a piscina pool that fills batches off the main thread. */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { DataError } from '../../errors.js';
import { runningSleep } from '../../running-time.js';
import type { Filled, FillSetup, FillTask } from './fill-task.js';
import { createFiller } from './filler.js';

/** Fills batches. */
export interface Filling {
  /**
   * Resolves when the whole batch stands in the slot, but for the images that could not be read; when it rejects,
   * nothing writes there any more.
   * @throws DataError that names the batch, when a thread failed or left.
   */
  fill(kind: FillTask['kind'], number: number, slot: number): Promise<Filled>;
  /** Ends all threads, at work or not; what they were filling rejects. A thread that hangs in the system is left behind. */
  close(): Promise<void>;
}

/** Fills on the calling thread; images in memory within the call. */
export function openInline(setup: FillSetup): Filling {
  const filler = createFiller(setup);
  return {
    async fill(kind, number, slot) {
      return joined([await filler.fill({ kind, number, slot, part: 0, parts: 1 })]);
    },
    async close() {
      filler.close();
    },
  };
}

/**
 * Starts `workers` threads, each of which takes its share of every batch.
 * @param file what a thread runs, for tests.
 */
export function openPool(
  setup: FillSetup,
  workers: number,
  file = fileURLToPath(new URL('./fill.js', import.meta.url)),
): Filling {
  const pool = new Piscina({
    filename: file,
    workerData: setup,
    minThreads: workers,
    maxThreads: workers,
    idleTimeout: Number.POSITIVE_INFINITY,
    // With 'sync' an idle thread sleeps where nothing but a task wakes it.
    atomics: 'disabled',
    // The next batch comes before those after it.
    stricterFIFO: true,
    recordTiming: false,
  });
  // An idle thread that fails has lost nothing: its replacement starts from the same setup. Without a listener the
  // event would end the process; a failure that stays comes back with the next task.
  pool.on('error', () => {});
  let closing: Promise<void> | undefined;

  return {
    async fill(kind, number, slot) {
      const parts = Array.from({ length: workers }, (_, part): FillTask => {
        return { kind, number, slot, part, parts: workers };
      });
      // All of them, failed or not: a part still at work would write into a slot that is given to another batch.
      const results = await Promise.allSettled(parts.map((part) => pool.run(part)));
      const failed = results.find((result) => result.status === 'rejected');
      if (failed) throw failure(kind, number, failed.reason, closing !== undefined);
      return joined(results.map((result) => (result as PromiseFulfilledResult<Filled | undefined>).value));
    },
    close() {
      // A thread that waits for a disk in vain does not hear that it is to end.
      closing ??= Promise.race([pool.destroy(), runningSleep(CLOSE_MS)]);
      return closing;
    },
  };
}

/** How long threads may take to end. */
const CLOSE_MS = 2_000;

/** What became of all parts. */
function joined(parts: readonly (Filled | undefined)[]): Filled {
  const trouble = parts.find((part) => part?.trouble !== undefined)?.trouble;
  return {
    bad: parts.flatMap((part) => part?.bad ?? []),
    holes: parts.flatMap((part) => part?.holes ?? []),
    ...(trouble !== undefined && { trouble }),
  };
}

/** A batch's name for people. */
export function batchName(kind: FillTask['kind'], number: number): string {
  const names = {
    training: `the training batch of step ${number}`,
    test: `test batch ${number}`,
    sample: 'the sample of test images',
  };
  return names[kind];
}

function failure(kind: FillTask['kind'], number: number, reason: unknown, closed: boolean): DataError {
  const found = closed ? 'the data threads were closed' : `a data thread failed (${(reason as Error).message})`;
  return new DataError(
    `Cannot fill ${batchName(kind, number)}: ${found}, expected it to be filled; go on with --workers 0, which fills on the main thread`,
    { cause: reason },
  );
}
