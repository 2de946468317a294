/** How far a run has come. */
import type { Config } from '../config/config.js';
import type { EpochError, ScheduleStart } from '../optim/schedule.js';

/** The training loop keeps it up to date at every step, so that it is right after a failure too. */
export interface Progress {
  /** The last step that was done. This and all counts below include the steps before a resume. */
  steps: number;
  images: number;
  /** Sum of the steps' milliseconds, without evaluations. */
  trainMs: number;
  stopped: boolean;
  /** Test accuracy of the present weights, from 0 to 1; absent until they are evaluated. */
  top1?: number;
  /** After each epoch. */
  errors: EpochError[];
  /** Where the schedule started again, in a run resumed with another rate or schedule. */
  start?: ScheduleStart | undefined;
}

export function newProgress(): Progress {
  return { steps: 0, images: 0, trainMs: 0, stopped: false, errors: [] };
}

/**
 * Receives what begins now and may take long, as a sentence without an end, or as a function that also says how far it is. It
 * is printed only if nothing else is for a while.
 */
export type Busy = (what: string | (() => string)) => void;

/** The length of a run in steps. */
export function stepsOf({ steps, epochs }: Pick<Config, 'steps' | 'epochs'>, batchesPerEpoch: number): number {
  return steps ?? epochs * batchesPerEpoch;
}

/** The epoch of a step. Both count from 1. */
export function epochOfStep(step: number, { batchesPerEpoch }: { batchesPerEpoch: number }): number {
  return Math.floor((step - 1) / batchesPerEpoch) + 1;
}
