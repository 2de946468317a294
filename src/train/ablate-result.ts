/** The result of a training of an ablation. */
import type { EventOf, LogEvent } from '../log.js';

/** Whether the top-5 error means anything: with ten classes, half of all top-5 answers would be right by chance. */
export function hasTop5(classes: number): boolean {
  return classes >= 20;
}

/** The result of a training. Errors are shares of images, from 0 to 1. */
export interface Result {
  status: EventOf<'run_end'>['status'];
  steps: number;
  parameters: number;
  placement: string;
  /** Absent if the training did not reach its last evaluation. */
  top1Error?: number;
  top5Error?: number;
  testLoss?: number;
  /** How many test images the errors are of. */
  testImages?: number;
  /** On training images that are prepared as test images are, without dropout; added after the training. */
  trainTop1Error?: number;
  trainLoss?: number;
  trainImages?: number;
  /** Why it failed. */
  error?: string;
}

/** Computes a training's result from its events, including those of earlier processes of the same run. */
export function watchTraining(): { see(event: LogEvent): void; result(): Result | undefined } {
  let start: EventOf<'run_start'> | undefined;
  let evaluation: EventOf<'eval'> | undefined;
  let end: EventOf<'run_end'> | undefined;
  return {
    see(event) {
      if (event.event === 'run_start') {
        start = event;
        end = undefined;
      }
      if (event.event === 'eval') evaluation = event;
      if (event.event === 'run_end') end = event;
    },
    result() {
      if (!start || !end) return undefined;
      const { parameters, placement } = start;
      const last = end.status === 'done' && evaluation?.step === end.steps ? evaluation : undefined;
      return {
        ...{ status: end.status, steps: end.steps, parameters, placement },
        ...(last && { top1Error: 1 - last.top1, top5Error: 1 - last.top5 }),
        ...(last && { testLoss: last.loss, testImages: last.images }),
        ...(end.error !== undefined && { error: end.error }),
      };
    },
  };
}
