/** A dry run: what a run does before its first step, without a folder. */
import { type Config, imagesPerStep } from '../config/config.js';
import { logBytes } from '../step-lines.js';
import { checkSpace } from './checkpoints.js';
import { measureActivations } from './evaluate.js';
import type { Progress } from './progress.js';
import type { Run } from './run-events.js';
import { Stopped, untilStopped } from './waiting.js';

/** What a run would train. */
export interface DryRun {
  /** The first step, counted from 1, and the last. */
  first: number;
  last: number;
  /** Images per step, of all replicas. */
  batchSize: number;
  stepsPerEpoch: number;
  checkpointBytes: number;
  /** About how many bytes the whole log will have. */
  logBytes: number;
  /** The most host memory that the process has had so far, with the towers and the check. */
  peakBytes: number;
}

/** About how many bytes the log of a run of so many steps has. */
export function wholeLogBytes(config: Config, steps: number, batchesPerEpoch: number): number {
  const { evalEvery, logSteps, placement, replicas } = config;
  const evaluations = Math.ceil(steps / (evalEvery || batchesPerEpoch));
  return logBytes({ steps, evaluations, logSteps, towers: placement === 'split' ? 2 * replicas : replicas });
}

/**
 * Does what comes before the first step, up to reading its batch.
 * @param toFirstStep the check, and restoring a checkpoint.
 * @returns undefined if the signal came first.
 * @throws what a real run fails with before its first step.
 */
export async function dryRun(
  run: Run,
  progress: Progress,
  toFirstStep: () => Promise<void>,
  signal: AbortSignal,
): Promise<DryRun | undefined> {
  const { config, team, feeder, steps: last } = run;
  const checkpointBytes = checkSpace(run);
  try {
    await toFirstStep();
    const first = progress.steps + 1;
    await measureActivations(team, feeder, progress.steps, signal, 0);
    const batch = first > last ? undefined : await untilStopped(feeder.train(first), signal);
    if (signal.aborted) return undefined;
    if (batch) feeder.release(batch);
    const size = { batchSize: imagesPerStep(config), stepsPerEpoch: feeder.batchesPerEpoch, checkpointBytes };
    const peakBytes = 1024 * process.resourceUsage().maxRSS; // in KiB
    return { first, last, ...size, logBytes: wholeLogBytes(config, last, feeder.batchesPerEpoch), peakBytes };
  } catch (error) {
    if (error instanceof Stopped) return undefined;
    throw error;
  }
}
