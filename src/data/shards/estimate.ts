/** What a packing will take, measured on a sample of the images. */
import type { ImageFiles } from '../sets/dataset.js';
import { spread } from '../sets/spread.js';
import type { ChunkTask } from './chunk.js';
import type { PackPool } from './pack-pool.js';

/** About a second's work on one core. */
const SAMPLE = 64;
const SAMPLE_CHUNK = 4;

export interface PackEstimate {
  /** Images of all shards, and those that are not packed yet. */
  images: number;
  left: number;
  /** Bytes of all shards, and of those that are not packed yet. */
  bytes: number;
  leftBytes: number;
  imagesPerSecond: number;
  shards: number;
  /** Shards that an earlier run has finished. */
  kept: number;
}

/**
 * Packs a sample of the images in memory. The images are always the same ones, and so is `imageBytes`.
 * @returns `imageBytes`, the mean bytes of an image's entries in a shard, and what some images will take.
 */
export async function estimate(pool: PackPool, files: ImageFiles) {
  const sample = [...spread(files.count, Math.min(SAMPLE, files.count), 0)];
  const tasks = Array.from({ length: Math.ceil(sample.length / SAMPLE_CHUNK) }, (_, i) => ({
    part: 'train' as const,
    indices: sample.slice(i * SAMPLE_CHUNK, (i + 1) * SAMPLE_CHUNK),
  }));
  // The threads load the decoder first, which is not measured.
  await Promise.all(
    Array.from({ length: pool.ahead }, () => pool.pack({ part: 'train', indices: sample.slice(0, 1) })),
  );
  const start = performance.now();
  // The pieces themselves are not kept: raw images of 1,000 pixels take 3 MB each.
  const pack = async (task: ChunkTask) => {
    const { images, tar } = await pool.pack(task);
    return { images: images.length, bytes: tar.length };
  };
  const chunks = await Promise.all(tasks.map(pack));
  const seconds = (performance.now() - start) / 1000;
  const packed = chunks.reduce((sum, { images }) => sum + images, 0);
  const bytes = chunks.reduce((sum, each) => sum + each.bytes, 0);
  const imageBytes = Math.max(1, Math.round(bytes / Math.max(1, packed)));
  return {
    imageBytes,
    of: (images: number, left: number) => ({
      ...{ images, left, bytes: images * imageBytes, leftBytes: left * imageBytes },
      imagesPerSecond: sample.length / seconds,
    }),
  };
}
