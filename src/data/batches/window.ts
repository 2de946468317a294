/**
 * The order of packed images that a disk can read from shard to shard: shards in a random order, the images of each as they
 * lie in it, mixed by a window. It is a function of the seed, the epoch and the shards, so every thread computes the same one.
 */
import { draw, PURPOSE, shuffled, unit } from '../../random.js';
import type { ImageFiles } from '../sets/dataset.js';

/** The images of a part as they lie in its shards. On SharedArrayBuffers. */
export interface Runs {
  /** [images] Indices: the images of shard 0 by their place in it, then those of shard 1, … */
  readonly images: Uint32Array;
  /** [shards + 1] Where the images of each shard begin. */
  readonly starts: Uint32Array;
}

export interface Window {
  /** Images that are mixed: so many are read and not yet used. */
  readonly size: number;
  readonly runs: Runs;
}

/** Sorts the images of a packed part by their place. */
export function runsOf({ count }: ImageFiles, places: NonNullable<ImageFiles['places']>): Runs {
  const { shards, shard, offset } = places;
  const starts = new Uint32Array(new SharedArrayBuffer(4 * (shards.length + 1)));
  for (let i = 0; i < count; i++) starts[shard[i]! + 1]!++;
  for (let s = 0; s < shards.length; s++) starts[s + 1]! += starts[s]!;
  const images = new Uint32Array(new SharedArrayBuffer(4 * count));
  const next = starts.slice();
  for (let i = 0; i < count; i++) images[next[shard[i]!]!++] = i;
  for (let s = 0; s < shards.length; s++) {
    images.subarray(starts[s], starts[s + 1]).sort((a, b) => offset[a]! - offset[b]!);
  }
  return { images, starts };
}

/** The shards in the random order of an epoch. */
export function shardOrder({ starts }: Runs, seed: number, epoch: number): Uint32Array {
  return shuffled(starts.length - 1, seed, epoch, PURPOSE.shards);
}

/** The images of an epoch in the order in which they are read: shard after shard. */
export function streamOf({ images, starts }: Runs, seed: number, epoch: number): Uint32Array {
  const stream = new Uint32Array(images.length);
  let at = 0;
  for (const shard of shardOrder({ images, starts }, seed, epoch)) {
    const run = images.subarray(starts[shard], starts[shard + 1]);
    stream.set(run, at);
    at += run.length;
  }
  return stream;
}

/**
 * The images of an epoch in the order in which they are used. The window holds the next `size` images that are read; each
 * place of the order gets a random one of them, and the next image that is read takes its place. So no image is used more
 * than `size` - 1 places before the one where it is read, and the window is as large as the memory that it needs. Behind it,
 * an image waits `size` places on average, and more than k times as many with a probability of exp(-k). With a window of all
 * images, every order is equally likely.
 */
export function windowOrder({ runs, size }: Window, seed: number, epoch: number): Uint32Array {
  const stream = streamOf(runs, seed, epoch);
  const order = new Uint32Array(stream.length);
  const held = stream.slice(0, size);
  let left = held.length;
  for (let place = 0; place < order.length; place++) {
    const i = Math.floor(unit(draw(seed, PURPOSE.window, place, 0, epoch)[0]) * left);
    order[place] = held[i]!;
    const next = place + held.length;
    held[i] = next < stream.length ? stream[next]! : held[--left]!;
  }
  return order;
}
