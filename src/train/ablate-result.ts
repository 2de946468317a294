/** The result of a training of an ablation. */
import type { EventOf, LogEvent } from '../log.js';
import { firstStepOf } from '../step-lines.js';

/** Whether the top-5 error means anything: with ten classes, half of all top-5 answers would be right by chance. */
export function hasTop5(classes: number): boolean {
  return classes >= 20;
}

/** When a training's error first fell to a level. */
export interface Reached {
  error: number;
  /** null if it did not. */
  epochs: number | null;
  /** Epochs of a step, which is as exact as the time is known; absent in files of earlier versions. */
  stepEpochs?: number;
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
  /** When the training error first fell to a level; see {@link watchTraining}. */
  until?: Reached;
  /** Why it failed. */
  error?: string;
}

/** So many images, or those of an epoch if it has fewer, make a running mean of the training error. */
const MEAN_IMAGES = 5000;

/**
 * Computes a training's result from its events, including those of earlier processes of the same run.
 * @param untilError a level of the training error, from 0 to 1. The result then says after how many epochs the error first fell
 * to it, or null if it did not. The error is the running mean over the training steps of the last 5,000 images, or of the last
 * epoch if that has fewer: of augmented images, with dropout, as the steps see them.
 */
export function watchTraining({ untilError }: { untilError?: number | undefined } = {}) {
  let start: EventOf<'run_start'> | undefined;
  let evaluation: EventOf<'eval'> | undefined;
  let end: EventOf<'run_end'> | undefined;
  let steps: { step: number; images: number; top1: number }[] = [];
  let reached: number | undefined;

  function addStep(event: EventOf<'train_step'>, { dataset }: EventOf<'run_start'>): void {
    const { step, images, top1 } = event;
    const first = firstStepOf(event);
    if ((steps.at(-1)?.step ?? 0) >= first) {
      // A resumed run repeats steps that an earlier process did after its last checkpoint.
      steps = steps.filter((each) => each.step < first);
      if (reached !== undefined && reached >= first) reached = undefined;
    }
    steps.push({ step, images, top1: Number(top1) });
    const enough = Math.min(MEAN_IMAGES, dataset.train_images);
    while (steps.length > 1 && imagesOf(steps.slice(1)) >= enough) steps.shift();
    if (reached !== undefined || imagesOf(steps) < enough) return;
    const right = steps.reduce((sum, each) => sum + each.images * each.top1, 0);
    if (1 - right / imagesOf(steps) <= untilError!) reached = step;
  }

  return {
    see(event: LogEvent): void {
      if (event.event === 'run_start') {
        start = event;
        end = undefined;
      }
      if (event.event === 'eval') evaluation = event;
      if (event.event === 'run_end') end = event;
      if (event.event === 'train_step' && untilError !== undefined && start) addStep(event, start);
    },
    /** undefined before the end of the training. */
    result(): Result | undefined {
      if (!start || !end) return undefined;
      const { parameters, placement } = start;
      const last = end.status === 'done' && evaluation?.step === end.steps ? evaluation : undefined;
      const epochs = reached === undefined ? null : reached / start.steps_per_epoch;
      return {
        ...{ status: end.status, steps: end.steps, parameters, placement },
        ...(last && { top1Error: 1 - last.top1, top5Error: 1 - last.top5 }),
        ...(last && { testLoss: last.loss, testImages: last.images }),
        ...(untilError !== undefined && {
          until: { error: untilError, epochs, stepEpochs: 1 / start.steps_per_epoch },
        }),
        ...(end.error !== undefined && { error: end.error }),
      };
    },
  };
}

function imagesOf(steps: readonly { images: number }[]): number {
  return steps.reduce((sum, { images }) => sum + images, 0);
}
