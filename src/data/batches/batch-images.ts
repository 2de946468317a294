/** Which images a training batch has, for people: made out when somebody asks, for it takes the order of a whole epoch. */

import { nameAt } from '../sets/names.js';
import { type FillSetup, rangeOf } from './fill-task.js';
import { createOrder } from './slots.js';

/**
 * The images of a training batch in its order: their paths from the data set's folder, or of images in memory their
 * numbers in the training set, from 0.
 * @param isUnreadable of an image that was skipped: the next one of the epoch's order that can be read is in its place.
 */
export function batchImages(
  setup: Pick<FillSetup, 'dataset' | 'batchSize' | 'seed'>,
  step: number,
  isUnreadable: (index: number) => boolean,
): string[] {
  const { dataset, seed } = setup;
  const { from, count, epoch } = rangeOf(setup, 'training', step);
  const order = createOrder(dataset.train.count, seed)(epoch);
  const nameOf = (index: number) => (dataset.kind === 'files' ? nameAt(dataset.train.names, index) : String(index));
  return Array.from({ length: count }, (_, i) => {
    let place = from + i;
    for (let tries = 1; tries < order.length && isUnreadable(order[place % order.length]!); tries++) place++;
    return nameOf(order[place % order.length]!);
  });
}
