/**
 * Packs a folder of images into shards: the files unchanged, or images of one size. Every file gets its name once it is
 * complete, and the images and options alone decide what goes into which shard: so the next run continues one that was
 * killed, and the bytes are the same with any number of threads.
 */
import { createHash } from 'node:crypto';
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../../errors.js';
import { jsonText } from '../../printable.js';
import type { Progress } from '../images/each-image.js';
import type { Stored } from '../images/stored.js';
import type { FileDataset, ImageFiles } from '../sets/dataset.js';
import { nameAt } from '../sets/names.js';
import { filesKey, writeWhole } from '../statistics/cache.js';
import type { ChunkTask } from './chunk.js';
import { estimate, type PackEstimate } from './estimate.js';
import { begunPlan, claimFolder, tryPacking } from './pack-folder.js';
import { inOrder, openPackPool, type PackPool } from './pack-pool.js';
import { DATASET_FILE, type LeftOut, type PackedDataset, type Part, readIndex } from './packed-dataset.js';
import { planShards, type Shard } from './plan-shards.js';
import { openShardWriter, type ShardWriter } from './shard-writer.js';

export interface PackOptions {
  /** The folder to write; created if missing. */
  out: string;
  /** A shard is closed once it has that many bytes of images, or its index is full. */
  shardBytes: number;
  /** How to store the images; undefined packs the files unchanged. */
  stored?: Stored | undefined;
  /** Threads that read and encode; 0 by default: the calling thread does. */
  threads?: number;
  /**
   * `skip` leaves out images that cannot be read. `fail` packs all others first, so that `skip` then continues. Both try those
   * again that an earlier run left out.
   */
  onBadImage?: 'fail' | 'skip';
  /** Called before the first shard is written, after a sample was packed in memory. */
  onEstimate?: (estimate: PackEstimate) => void;
  /** Called first with the images of finished shards, then with each piece that is written. */
  progress?: Progress;
}

/** Images of a piece, and bytes of what is stored of them: a piece is held in memory. */
const [CHUNK_IMAGES, CHUNK_BYTES] = [16, 2 ** 22];

/**
 * Packs all images in an order that mixes the classes.
 * @throws DataError for a folder with other files, images that cannot be read, or a full disk. The next run continues.
 * @returns the number of images and of shards, how many of the shards an earlier run had finished, and what was left out.
 */
export async function packImages(dataset: FileDataset, options: PackOptions) {
  const { folder, train, test } = dataset;
  const { out, stored, threads = 0 } = options;
  tryPacking(dataset, out);
  let pool: PackPool | undefined;
  try {
    const keys = { train: await filesKey(folder, train), val: await filesKey(folder, test) };
    pool = openPackPool({ folder, parts: { train, val: test }, stored }, threads);
    return await packWith(pool, dataset, keys, options);
  } catch (error) {
    if (error instanceof DataError || (error as NodeJS.ErrnoException).code === undefined) throw error;
    throw new DataError(
      `Cannot pack ${folder} into ${out}: ${(error as Error).message}, expected space and permission; run it again, and it continues`,
      { cause: error },
    );
  } finally {
    await pool?.close();
  }
}

async function packWith(
  pool: PackPool,
  dataset: FileDataset,
  keys: Readonly<Record<Part, string>>,
  { out, shardBytes, stored, onBadImage = 'fail', onEstimate, progress }: PackOptions,
) {
  const { folder, train, test } = dataset;
  const plan = planOf(dataset, keys, shardBytes, stored);
  const sizeOf = (path: string) => statSync(join(folder, path), { throwIfNoEntry: false })?.size ?? 0;
  const begun = begunPlan(out, plan);
  const isMeasured = onEstimate !== undefined || (stored && begun?.imageBytes === undefined);
  const measured = isMeasured ? await estimate(pool, train) : undefined;
  const imageBytes = begun?.imageBytes ?? measured?.imageBytes;
  claimFolder(out, { plan, ...(stored && imageBytes !== undefined && { imageBytes }) });
  const bytesOf = stored ? () => imageBytes! : sizeOf;
  const parts = { train, val: test };
  const shards = [...planShards('train', train, bytesOf, shardBytes), ...planShards('val', test, bytesOf, shardBytes)];

  const leftOut: Record<Part, LeftOut[]> = { train: [], val: [] };
  const total = train.count + test.count;
  const todo: Shard[] = [];
  for (const shard of shards) {
    const missing = keptLeftOut(out, shard.name, parts[shard.part].count);
    if (missing === undefined || (await canReadAny(pool, shard.part, missing))) todo.push(shard);
    else leftOut[shard.part].push(...missing);
  }
  // From here on, what an earlier run finished is no whole data set.
  if (todo.length > 0) rmSync(join(out, DATASET_FILE), { force: true });
  const kept = shards.length - todo.length;
  let done = total - todo.reduce((sum, { indices }) => sum + indices.length, 0);
  if (measured) onEstimate?.({ ...measured.of(total, total - done), shards: shards.length, kept });
  progress?.(done, total);

  let writer: ShardWriter | undefined;
  try {
    const tasks = tasksOf(todo, parts, bytesOf);
    for await (const [{ shard, task, isLast }, chunk] of inOrder(tasks, ({ task }) => pool.pack(task), pool.ahead)) {
      writer ??= await openShardWriter(out, shard.name);
      await writer.add(chunk);
      leftOut[shard.part].push(...chunk.leftOut);
      done += task.indices.length;
      progress?.(done, total);
      if (!isLast) continue;
      await writer.finish();
      writer = undefined;
    }
  } finally {
    await writer?.abandon();
  }
  const skipped = [...leftOut.train, ...leftOut.val].sort((a, b) => (a.path < b.path ? -1 : 1));
  if (onBadImage === 'fail' && skipped.length > 0) throw unreadableError(folder, skipped);
  for (const part of ['train', 'val'] as const) {
    if (leftOut[part].length < parts[part].count) continue;
    throw new DataError(
      `Cannot pack ${folder}: none of its ${part === 'train' ? 'training' : 'test'} images can be read (${leftOut[part][0]!.path}: ${leftOut[part][0]!.reason}), expected at least one; \`data check\` lists why`,
    );
  }
  const partOf = (part: Part) => ({
    images: parts[part].count - leftOut[part].length,
    shards: shards.filter((shard) => shard.part === part).map(({ name }) => name),
    ...(leftOut[part].length > 0 && { leftOut: leftOut[part].length }),
  });
  const packed = {
    ...{ version: stored ? 2 : 1, name: dataset.name, classes: [...dataset.classNames] },
    ...{ key: keyWithout(keys.train, leftOut.train), ignored: dataset.ignored, ...(stored && { stored }) },
    parts: { train: partOf('train'), val: partOf('val') },
  } satisfies PackedDataset;
  writeWhole(out, DATASET_FILE, jsonText(packed));
  return { shards: shards.length, kept, images: total - skipped.length, leftOut: skipped };
}

/** A hash of all that decides the bytes of the shards. */
function planOf(
  { classNames, train, test }: FileDataset,
  keys: Readonly<Record<Part, string>>,
  shardBytes: number,
  stored: Stored | undefined,
): string {
  const images = [shardBytes, classNames, keys.train, keys.val, [...train.labels], [...test.labels]];
  const what = stored ? [2, ...images, stored] : [1, ...images]; // that of unchanged files is as it was before the others
  return createHash('sha256').update(JSON.stringify(what)).digest('hex');
}

/** What a finished shard left out; undefined if there is no index, which is written after the shard, or it does not fit. */
function keptLeftOut(out: string, name: string, images: number): readonly LeftOut[] | undefined {
  try {
    const { leftOut = [] } = readIndex(out, name);
    return leftOut.every(({ index }) => index < images) ? leftOut : undefined;
  } catch (error) {
    if (error instanceof DataError) return undefined;
    throw error;
  }
}

/**
 * Whether an image that an earlier run left out can be read now. The plan does not show it: neither does a permission change
 * a file's time, nor does a disk or a server that answers again.
 */
async function canReadAny(pool: PackPool, part: Part, leftOut: readonly LeftOut[]): Promise<boolean> {
  for (let from = 0; from < leftOut.length; from += CHUNK_IMAGES) {
    const indices = leftOut.slice(from, from + CHUNK_IMAGES).map(({ index }) => index);
    if ((await pool.pack({ part, indices })).images.length > 0) return true;
  }
  return false;
}

interface ShardTask {
  shard: Shard;
  task: ChunkTask;
  isLast: boolean;
}

function* tasksOf(
  shards: readonly Shard[],
  parts: Readonly<Record<Part, ImageFiles>>,
  bytesOf: (path: string) => number,
): Generator<ShardTask> {
  for (const shard of shards) {
    const { part, indices } = shard;
    for (let from = 0; from < indices.length; ) {
      const to = endOfChunk(indices, from, (index) => bytesOf(nameAt(parts[part].names, index)));
      yield { shard, task: { part, indices: indices.slice(from, to) }, isLast: to === indices.length };
      from = to;
    }
  }
}

function endOfChunk(indices: readonly number[], from: number, sizeOf: (index: number) => number): number {
  const most = Math.min(from + CHUNK_IMAGES, indices.length);
  let bytes = sizeOf(indices[from]!);
  let to = from + 1;
  while (to < most) {
    bytes += sizeOf(indices[to]!);
    if (bytes > CHUNK_BYTES) break;
    to++;
  }
  return to;
}

/** The key of the training images that are left. */
function keyWithout(key: string, leftOut: readonly LeftOut[]): string {
  if (leftOut.length === 0) return key;
  const indices = leftOut.map(({ index }) => index).sort((a, b) => a - b);
  return createHash('sha256')
    .update(JSON.stringify([key, indices]))
    .digest('hex')
    .slice(0, 32);
}

function unreadableError(folder: string, leftOut: readonly LeftOut[]): DataError {
  const [{ path, reason }] = leftOut as [LeftOut];
  const which =
    leftOut.length === 1
      ? `the image ${path} of ${folder}: ${reason}`
      : `${leftOut.length} images of ${folder}, such as ${path}: ${reason}`;
  return new DataError(
    `Cannot pack ${which}, expected a file that can be read; leave out what cannot be read with --on-bad-image skip, which keeps what is packed already, or repair or remove it and run it again; \`data check\` lists all such images`,
  );
}
