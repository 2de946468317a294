/** Fewer training images than there are. */
import { draw, PURPOSE } from '../../random.js';
import type { Dataset } from './dataset.js';
import { imagesAt } from './spread.js';

/**
 * The same data set with at most `limit` training images, in the order of the data set. Each class keeps its share, and at
 * least one image if the limit is the number of classes or more. A larger limit keeps the images of a smaller one. The test
 * images stay.
 */
export function withLimit<T extends Dataset>(dataset: T, limit: number, seed: number): T {
  const { train, remarks = [] } = dataset;
  if (limit >= train.count) {
    const above = `--limit is ${limit}, and there are ${train.count} training images: all of them are used`;
    return limit === train.count ? dataset : { ...dataset, remarks: [...remarks, above] };
  }
  const key = 'key' in dataset ? dataset.key : undefined;
  return {
    ...{ ...dataset, unlimited: train.count, train: imagesAt(train, choose(train.labels, limit, seed)) },
    ...(key !== undefined && { key: `${key}-${limit}-${seed}` }),
  };
}

/**
 * Chooses `limit` indices of images, sorted: those that come first if the images of each class are put in a random order, and
 * the classes take turns in proportion to their size.
 * @param labels of all images.
 */
export function choose(labels: ArrayLike<number>, limit: number, seed: number): Uint32Array {
  const byClass = new Map<number, number[]>();
  const words = Array.from(labels, (_, index) => draw(seed, PURPOSE.limit, index, 0, 0));
  for (let i = 0; i < labels.length; i++) {
    const images = byClass.get(labels[i]!);
    if (images) images.push(i);
    else byClass.set(labels[i]!, [i]);
  }
  const turn = new Float64Array(labels.length);
  for (const images of byClass.values()) {
    images.sort((a, b) => words[a]![0] - words[b]![0] || a - b);
    for (const [rank, index] of images.entries()) turn[index] = rank / images.length;
  }
  const order = Uint32Array.from(labels as ArrayLike<number>, (_, index) => index);
  order.sort((a, b) => turn[a]! - turn[b]! || words[a]![1] - words[b]![1] || a - b);
  return order.slice(0, limit).sort();
}
