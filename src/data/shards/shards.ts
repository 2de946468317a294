/** Which images share a shard. */
import { jsonText } from '../../printable.js';

/** What an image takes: of its shard, and at most of the shard's index. */
export interface Room {
  bytes: number;
  indexBytes: number;
}

/** Four numbers with commas between, each as long as it may get. */
const COLUMNS_BYTES = 60;
/** Of an index, what there is once: the columns' names and the shard's size. */
const HEAD_BYTES = 200;

/** The most that an image of that path adds to the JSON of its shard's index. */
export function indexBytesOf(path: string): number {
  return COLUMNS_BYTES + Buffer.byteLength(jsonText(path));
}

/**
 * Cuts images, in their order, into shards.
 * @param most a shard is closed once it has `bytes` of images, and before its index could have more than `indexBytes`.
 */
export function cutIntoShards(images: Iterable<number>, roomOf: (image: number) => Room, most: Room): number[][] {
  const shards: number[][] = [];
  let [bytes, indexBytes] = [Number.POSITIVE_INFINITY, 0];
  for (const image of images) {
    const room = roomOf(image);
    if (bytes >= most.bytes || indexBytes + room.indexBytes > most.indexBytes) {
      shards.push([]);
      [bytes, indexBytes] = [0, HEAD_BYTES];
    }
    shards.at(-1)!.push(image);
    bytes += room.bytes;
    indexBytes += room.indexBytes;
  }
  return shards;
}
