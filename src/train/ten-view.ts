/** A net's right answers by ten views of each test image, their probabilities averaged (paper §4.1). */
import { type BatchFeeder, slotViews } from '../data/index.js';
import { DataError } from '../errors.js';
import type { NetOptions } from '../model/net.js';
import { countRight } from '../tower/scores.js';
import { noImages, type Scores } from './evaluate.js';
import { addProbabilities } from './probabilities.js';
import type { Team } from './team.js';

const VIEWS = 10;

/**
 * Evaluates all test images.
 * @param feeder opened with ten views.
 * @returns the loss is the cross-entropy of the mean probabilities.
 * @throws DataError when no image can be read, or one could be in one view and not in another.
 */
export async function evaluateViews(
  team: Team,
  feeder: BatchFeeder,
  { inputSize, inputChannels, classes }: NetOptions,
): Promise<Scores> {
  const { batchSize } = team.towers[0]!.setup;
  const memory = new SharedArrayBuffer(4 * batchSize * classes);
  const sums = { images: 0, loss: 0, top1: 0, top5: 0 };
  for (let i = 0; i < feeder.testBatches; i++) {
    let mean = new Float64Array(0);
    let labels = new Int32Array(0);
    for (let view = 0; view < VIEWS; view++) {
      const batch = await feeder.test(i, view);
      const { slot, count } = batch;
      if (count > 0) {
        await team.ask({ kind: 'evaluate', slot, count, step: 1 }, memory);
        if (view > 0 && count !== labels.length) throw changedMeanwhile(i);
        if (view === 0) {
          mean = new Float64Array(count * classes);
          labels = slotViews(feeder.slots[slot]!, batchSize, inputSize, inputChannels).labels.slice(0, count);
        }
        addProbabilities(mean, new Float32Array(memory, 0, count * classes), classes, 1 / VIEWS);
      } else if (labels.length > 0) throw changedMeanwhile(i); // else none of its images can be read
      feeder.release(batch); // after a failure a tower may read it yet
    }
    sums.images += labels.length;
    sums.loss += labels.reduce((sum, label, row) => sum - Math.log(mean[row * classes + label]!), 0);
    sums.top1 += countRight(mean, labels, 1);
    sums.top5 += countRight(mean, labels, 5);
  }
  const { images } = sums;
  if (images === 0) throw noImages(feeder);
  return { images, loss: sums.loss / images, top1: sums.top1 / images, top5: sums.top5 / images };
}

/** Rows of one view would be added to those of other images. */
function changedMeanwhile(batch: number): DataError {
  return new DataError(
    `Cannot evaluate: images of test batch ${batch} could be read for one view and not for another, expected files that stay as they are; run it again`,
  );
}
