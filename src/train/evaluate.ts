/** A net's loss and right answers on the test images. */
import type { BatchFeeder } from '../data/index.js';
import { DataError } from '../errors.js';
import { Grace, unlessStopped } from './stop.js';
import type { Team } from './team.js';

export interface Scores {
  images: number;
  /** Mean cross-entropy. */
  loss: number;
  /** Share of images whose class has the highest score; for `top5`, one of the five highest. */
  top1: number;
  top5: number;
}

/**
 * Evaluates all test images.
 * @param step the training step that the exchange's messages name.
 * @param signal ends the evaluation before the last image.
 * @param grace how long a batch is waited for then: where steps went before, their first one compiled more than the first
 * batch does.
 * @throws Stopped when the signal comes and the towers are not done in time; DataError when no image can be read.
 */
export async function evaluate(
  team: Team,
  feeder: BatchFeeder,
  step: number,
  signal: AbortSignal = new AbortController().signal,
  grace = new Grace(),
): Promise<Scores> {
  const sums = { images: 0, loss: 0, top1: 0, top5: 0 };
  for (let i = 0; i < feeder.testBatches && !signal.aborted; i++) {
    const batch = await unlessStopped(feeder.test(i), signal);
    if (!batch) break;
    if (batch.count > 0) {
      const command = { kind: 'evaluate', slot: batch.slot, count: batch.count, step } as const;
      const replies = await grace.of(team.ask(command), signal);
      const { loss = 0, top1 = 0, top5 = 0 } = replies.find((each) => each.loss !== undefined) ?? {};
      sums.images += batch.count;
      sums.loss += loss;
      sums.top1 += top1;
      sums.top5 += top5;
    } // else none of its images can be read
    feeder.release(batch); // after a failure, or when they were not waited for, the towers may read it yet
  }
  const { images } = sums;
  if (images === 0 && !signal.aborted) throw noImages(feeder);
  return { images, loss: sums.loss / images, top1: sums.top1 / images, top5: sums.top5 / images };
}

/** The error of an evaluation of nothing, whose scores would be no numbers. */
export function noImages({ unreadable }: Pick<BatchFeeder, 'unreadable'>): DataError {
  const last = unreadable.at(-1);
  const example = last ? ` (${last.path}: ${last.reason})` : '';
  return new DataError(
    `Cannot evaluate: none of the test images can be read${example}, expected some; \`data check\` lists why`,
  );
}
