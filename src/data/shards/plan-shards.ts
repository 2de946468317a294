/** Distributes the images of a data set over shards. The images alone decide, so that an interrupted packing continues. */
import { jsonText } from '../../printable.js';
import { shuffled } from '../../random.js';
import type { ImageFiles } from '../sets/dataset.js';
import { nameAt } from '../sets/names.js';
import { MAX_INDEX_BYTES, type Part, shardName } from './packed-dataset.js';

/** The images of a shard, as indices into their part. */
export type Shard = { part: Part; name: string; indices: readonly number[] };

/** What an image adds to its shard, and at most to the shard's index. */
type ShardSize = { bytes: number; indexBytes: number };

/**
 * Distributes the images of a part in a shuffled order.
 * @param bytesOf bytes of an image: of its file, or of what is stored of it.
 * @param shardBytes a shard is closed once it has that many bytes of images, or its index is full.
 */
export function planShards(
  part: Part,
  files: ImageFiles,
  bytesOf: (path: string) => number,
  shardBytes: number,
): Shard[] {
  const sizeOf = (index: number): ShardSize => {
    const path = nameAt(files.names, index);
    return { bytes: bytesOf(path), indexBytes: indexBytesOf(path) };
  };
  const limit = { bytes: shardBytes, indexBytes: MAX_INDEX_BYTES };
  const shards = splitIntoShards(shuffled(files.count, 0, 0), sizeOf, limit);
  return shards.map((indices, number) => ({ part, name: shardName(part, number), indices }));
}

/** An index without images: the columns' names, the shard's size and its hash. */
const EMPTY_INDEX_BYTES = 200;

/** The most that an image of that path adds to the JSON of its shard's index, with four numbers of the greatest length. */
export function indexBytesOf(path: string): number {
  return 60 + Buffer.byteLength(jsonText(path));
}

/**
 * Splits images, in their order, into shards.
 * @param limit a shard ends once it has `bytes`, and before its index could exceed `indexBytes`.
 */
export function splitIntoShards(
  images: Iterable<number>,
  sizeOf: (image: number) => ShardSize,
  limit: ShardSize,
): number[][] {
  const shards: number[][] = [];
  let [bytes, indexBytes] = [Number.POSITIVE_INFINITY, 0];
  for (const image of images) {
    const size = sizeOf(image);
    if (bytes >= limit.bytes || indexBytes + size.indexBytes > limit.indexBytes) {
      shards.push([]);
      [bytes, indexBytes] = [0, EMPTY_INDEX_BYTES];
    }
    shards.at(-1)!.push(image);
    bytes += size.bytes;
    indexBytes += size.indexBytes;
  }
  return shards;
}
