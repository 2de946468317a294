/**
 * Reads shards ahead of their use, in long pieces from begin to end, so that a disk or a file server reads at its sequential
 * speed. What is read stays in the system's file cache, where the data workers find it: they read single images, in the
 * order of the window. Reading ahead changes no batch. Where it fails, the data workers read by themselves, and report it.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageFiles } from '../sets/dataset.js';
import { endedSoon } from '../threads.js';
import { type Runs, shardOrder, type Window } from './window.js';

/** Long enough that a hard disk spends most of its time reading, and not seeking. */
const PIECE_BYTES = 2 ** 23;

interface ReadAheadOptions {
  folder: string;
  files: ImageFiles;
  places: NonNullable<ImageFiles['places']>;
  window: Window;
  seed: number;
  /** Images that are read beyond the window. */
  margin: number;
}

/** A place in the stream of an epoch: the next image to be read. */
interface Place {
  epoch: number;
  /** Of the stream, from 0. */
  at: number;
}

/** Opens a reader that waits for the first {@link ReadAhead.follow}. The caller closes it. */
export function openReadAhead({ folder, files: { count }, places, window, seed, margin }: ReadAheadOptions) {
  const { runs, size } = window;
  const piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
  /** The order of shards of one epoch, and where in the stream each of them begins. */
  let stream = streamPlaces(runs, seed, 0);
  let next: Place = { epoch: 0, at: 0 };
  let end: Place = { epoch: 0, at: 0 };
  let file: { shard: number; handle: FileHandle; read: number } | undefined;
  let running: Promise<void> | undefined;
  let isClosed = false;

  return {
    /** Says that the images from a place of an epoch's order on are used next. Reads on in the background. */
    follow(epoch: number, from: number): void {
      const ahead = size + margin;
      // After a jump, what was read is of no use.
      if (compare(next, { epoch, at: from }) < 0 || compare(next, plus({ epoch, at: from }, 2 * ahead)) > 0) {
        next = { epoch, at: from };
      }
      end = plus({ epoch, at: from }, ahead);
      running ??= run().finally(() => {
        running = undefined;
      });
    },
    /** Waits until what was asked for is read. */
    async settled(): Promise<void> {
      await running;
    },
    /** Does not wait for a disk that hangs. */
    async close(): Promise<void> {
      isClosed = true;
      await endedSoon(Promise.resolve(running).then(closeFile));
    },
  };

  function plus({ epoch, at }: Place, images: number): Place {
    const sum = at + images;
    return { epoch: epoch + Math.floor(sum / count), at: sum % count };
  }

  async function run(): Promise<void> {
    while (!isClosed && compare(next, end) < 0) await readPiece();
  }

  /** Reads on in the shard that has the next image, and moves `next` behind the images that are read. */
  async function readPiece(): Promise<void> {
    const { epoch, at } = next;
    if (stream.epoch !== epoch) stream = streamPlaces(runs, seed, epoch);
    const k = stream.shardAt(at);
    const [shard, begin] = [stream.order[k]!, stream.begins[k]!];
    const images = runs.images.subarray(runs.starts[shard], runs.starts[shard + 1]);
    const endOf = (i: number) => places.offset[images[i]!]! + places.bytes[images[i]!]!;
    let i = at - begin;
    try {
      const { handle, from } = await fileOf(shard, places.offset[images[i]!]!, endOf(i));
      const { bytesRead } = await handle.read(piece, 0, PIECE_BYTES, from);
      if (file) file.read = from + bytesRead;
      while (i < images.length && endOf(i) <= from + bytesRead) i++;
      if (bytesRead === 0) i = images.length; // it has become shorter, which the data workers report
    } catch {
      await closeFile();
      i = images.length;
    }
    // A call of `follow` may have moved it.
    if (next.epoch === epoch && next.at === at) next = plus({ epoch, at: begin }, i);
  }

  /** The open shard, and from where to read so that it is read without gaps; its next image is from `offset` to `end`. */
  async function fileOf(shard: number, offset: number, end: number): Promise<{ handle: FileHandle; from: number }> {
    if (file?.shard !== shard) {
      await closeFile();
      const handle = await open(join(folder, places.shards[shard]!));
      file = { shard, handle, read: offset };
    }
    // The next image may have been read in part, or lie behind labels of the one before; otherwise there was a jump.
    const isNext = offset - PIECE_BYTES < file.read && file.read < end;
    return { handle: file.handle, from: isNext ? file.read : offset };
  }

  async function closeFile(): Promise<void> {
    const { handle } = file ?? {};
    file = undefined;
    await handle?.close().catch(() => {});
  }
}

export type ReadAhead = ReturnType<typeof openReadAhead>;

function compare(a: Place, b: Place): number {
  return a.epoch - b.epoch || a.at - b.at;
}

function streamPlaces(runs: Runs, seed: number, epoch: number) {
  const order = shardOrder(runs, seed, epoch);
  const begins = new Float64Array(order.length);
  for (let k = 1; k < order.length; k++) {
    const before = order[k - 1]!;
    begins[k] = begins[k - 1]! + runs.starts[before + 1]! - runs.starts[before]!;
  }
  return {
    ...{ epoch, order, begins },
    /** The place in `order` of the shard with that image of the stream. */
    shardAt(at: number): number {
      let [low, high] = [0, order.length - 1];
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (begins[middle]! <= at) low = middle;
        else high = middle - 1;
      }
      return low;
    },
  };
}
