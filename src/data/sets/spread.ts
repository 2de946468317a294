/** Samples of a data set's images that are spread over it. */
import { draw, PURPOSE, unit } from '../../random.js';
import { type Dataset, type ImageFiles, type Images, imageFiles } from './dataset.js';
import { nameAt } from './names.js';

/**
 * Indices of `count` of `images` images: one drawn from each of `count` equal parts. So the sample has all classes if they
 * are sorted, and also if they take turns, where every n-th image might be of the same class.
 */
export function spread(images: number, count: number, seed: number): Uint32Array {
  const startOf = (part: number) => Math.floor((part * images) / count);
  return Uint32Array.from({ length: count }, (_, part) => {
    const [begin, end] = [startOf(part), startOf(part + 1)];
    return begin + Math.floor(unit(draw(seed, PURPOSE.sample, part, 0, 0)[0]) * (end - begin));
  });
}

/** Of every run, so that runs with other seeds are measured on the same images. */
const SAMPLE_SEED = 0;

/**
 * The same data set with training images in the place of the test images: all of them if there are no more than test images,
 * otherwise as many as those, spread over the training images. Of the same training images they are the same for every seed.
 */
export function withTrainingSample<T extends Dataset>(dataset: T): T {
  const { train, test } = dataset;
  if (train.count <= test.count) return { ...dataset, test: train };
  const chosen = spread(train.count, test.count, SAMPLE_SEED);
  return { ...dataset, test: imagesAt(train, chosen) };
}

/** The images of a part with these indices, in that order. */
export function imagesAt(part: Images | ImageFiles, chosen: Uint32Array): Images & ImageFiles {
  return ('images' in part ? pixelsAt(part, chosen) : filesAt(part, chosen)) as Images & ImageFiles;
}

function pixelsAt({ images, labels, count, distinct = count }: Images, chosen: Uint32Array): Images {
  const size = images.length / distinct;
  const pixels = new Uint8Array(new SharedArrayBuffer(chosen.length * size));
  const own = new Uint16Array(new SharedArrayBuffer(2 * chosen.length));
  for (const [i, index] of chosen.entries()) {
    const at = (index % distinct) * size;
    pixels.set(images.subarray(at, at + size), i * size);
    own[i] = labels[index]!;
  }
  return { count: chosen.length, images: pixels, labels: own };
}

function filesAt({ names, labels, places }: ImageFiles, chosen: Uint32Array): ImageFiles {
  const at = <T>(values: ArrayLike<T>) => Array.from(chosen, (index) => values[index]!);
  const paths = Array.from(chosen, (index) => nameAt(names, index));
  const files = imageFiles(paths, at(labels));
  if (!places) return files;
  const [shard, offset, bytes] = [
    new Uint32Array(new SharedArrayBuffer(4 * chosen.length)),
    new Float64Array(new SharedArrayBuffer(8 * chosen.length)),
    new Float64Array(new SharedArrayBuffer(8 * chosen.length)),
  ];
  shard.set(at(places.shard));
  offset.set(at(places.offset));
  bytes.set(at(places.bytes));
  return { ...files, places: { shards: places.shards, shard, offset, bytes } };
}
