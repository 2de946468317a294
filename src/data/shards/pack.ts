/**
 * Packs a folder of images into shards. Every file gets its name once it is complete, and the images alone decide what goes
 * into which shard: so the next run continues one that was killed.
 */
import assert from 'node:assert';
import { createHash } from 'node:crypto';
import { createWriteStream, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import tar from 'tar-stream';
import { DataError } from '../../errors.js';
import { jsonText } from '../../printable.js';
import { shuffled } from '../../random.js';
import { assertFolderWritable, makeFolders } from '../../safe-write.js';
import { formatOf } from '../images/decode.js';
import type { Progress } from '../images/each-image.js';
import { openReader } from '../images/reader.js';
import type { FileDataset, ImageFiles } from '../sets/dataset.js';
import { nameAt } from '../sets/names.js';
import { filesKey, UNFINISHED, writeWhole } from '../statistics/cache.js';
import {
  DATASET_FILE,
  indexName,
  MAX_INDEX_BYTES,
  type PackedDataset,
  type Part,
  PLAN_FILE,
  readIndex,
  type ShardIndex,
  shardName,
} from './packed-dataset.js';

/** The images of a shard, as indices into their part. */
type Shard = { part: Part; name: string; indices: readonly number[] };

/**
 * Packs the files of all images byte by byte, also those that do not decode, in an order that mixes the classes.
 * @throws DataError for a folder with other files, an image that cannot be read, or a full disk. The next run continues.
 * @param out the folder to write; created if missing.
 * @param shardBytes a shard is closed once it has that many bytes of images, or its index is full.
 * @returns the number of images and of shards, and how many of the shards an earlier run had finished.
 */
export async function packImages(
  dataset: FileDataset,
  { out, shardBytes, progress }: { out: string; shardBytes: number; progress?: Progress },
) {
  const { folder, train, test, classNames, name, ignored } = dataset;
  tryPacking(dataset, out);
  try {
    const [trainKey, valKey] = [await filesKey(folder, train), await filesKey(folder, test)];
    const plan = createHash('sha256')
      .update(JSON.stringify([1, shardBytes, classNames, trainKey, valKey, [...train.labels], [...test.labels]]))
      .digest('hex');
    claimFolder(out, plan);
    const shards = [...planShards('train', folder, train, shardBytes), ...planShards('val', folder, test, shardBytes)];
    let kept = 0;
    let done = 0;
    for (const shard of shards) {
      if (isFinished(out, shard)) kept++;
      else await writeShard(out, folder, shard.part === 'train' ? train : test, shard);
      done += shard.indices.length;
      progress?.(done, train.count + test.count);
    }
    const partOf = (part: Part, images: number) => {
      return { images, shards: shards.filter((shard) => shard.part === part).map((shard) => shard.name) };
    };
    const packed = {
      ...{ version: 1, name, classes: [...classNames], key: trainKey, ignored },
      parts: { train: partOf('train', train.count), val: partOf('val', test.count) },
    } satisfies PackedDataset;
    writeWhole(out, DATASET_FILE, jsonText(packed));
    return { shards: shards.length, kept, images: train.count + test.count };
  } catch (error) {
    if (error instanceof DataError || (error as NodeJS.ErrnoException).code === undefined) throw error;
    throw new DataError(
      `Cannot pack ${folder} into ${out}: ${(error as Error).message}, expected space and permission; run it again, and it continues`,
      { cause: error },
    );
  }
}

/**
 * Checks that images can be packed into a folder, without changing it.
 * @throws DataError if they are packed already, or the folder holds other files or cannot be written to.
 */
export function tryPacking({ folder, train }: FileDataset, out: string): void {
  if (train.places) {
    throw new DataError(`Cannot pack ${folder}: its images are packed, expected a folder of files; name that folder`);
  }
  try {
    assertFolderWritable(out);
    if (existsSync(out)) refuseOtherFiles(out, readdirSync(out));
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(
      `Cannot pack into ${out}: ${(error as Error).message}, expected a folder that can be written to; choose another folder with --pack`,
      { cause: error },
    );
  }
}

const OWN_FILES = /^((train|val)-\d{6}\.(tar|json)|dataset\.json|plan\.json|statistics-\w+\.json|\..*\.unfinished)$/;

/** The plan is written first: without it, only its unfinished file may exist. */
function refuseOtherFiles(out: string, names: readonly string[]): void {
  const isPlanned = names.includes(PLAN_FILE);
  const other =
    names.find((name) => !OWN_FILES.test(name)) ??
    (!isPlanned && names.some((name) => !name.endsWith(UNFINISHED)) ? names[0] : undefined);
  if (other === undefined) return;
  throw new DataError(
    `Cannot pack into ${out}: it holds ${other}, expected a new folder, or one in which packing has started; choose another folder with --pack`,
  );
}

/** Creates the folder, and removes files of another plan. */
function claimFolder(out: string, plan: string): void {
  makeFolders(out);
  const names = readdirSync(out);
  refuseOtherFiles(out, names);
  for (const name of names.filter((each) => each.endsWith(UNFINISHED))) rmSync(join(out, name));
  const text = `${JSON.stringify({ plan })}\n`;
  if (names.includes(PLAN_FILE) && readFileSync(join(out, PLAN_FILE), 'utf8') === text) return;
  // The data set goes first: without it, files that are left over do not count.
  for (const name of [DATASET_FILE, ...names]) if (name !== PLAN_FILE) rmSync(join(out, name), { force: true });
  writeWhole(out, PLAN_FILE, text);
}

/** Distributes the images in a shuffled order. */
function planShards(part: Part, folder: string, files: ImageFiles, shardBytes: number): Shard[] {
  const sizeOf = (index: number): ShardSize => {
    const path = nameAt(files.names, index);
    const bytes = statSync(join(folder, path), { throwIfNoEntry: false })?.size ?? 0;
    return { bytes, indexBytes: indexBytesOf(path) };
  };
  const limit = { bytes: shardBytes, indexBytes: MAX_INDEX_BYTES };
  const shards = splitIntoShards(shuffled(files.count, 0, 0), sizeOf, limit);
  return shards.map((indices, number) => ({ part, name: shardName(part, number), indices }));
}

/** What an image adds to its shard, and at most to the shard's index. */
type ShardSize = { bytes: number; indexBytes: number };

/** An index without images: the columns' names and the shard's size. */
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

/** Whether the shard has its index, which is written after it, and fits it. */
function isFinished(out: string, { name }: Shard): boolean {
  try {
    readIndex(out, name);
    return true;
  } catch (error) {
    if (error instanceof DataError) return false;
    throw error;
  }
}

const BLOCK = 512; // of a tar file

async function writeShard(out: string, folder: string, files: ImageFiles, { name, indices }: Shard): Promise<void> {
  const pack = tar.pack();
  const unfinished = join(out, `.${name}${UNFINISHED}`);
  const written = pipeline(pack, createWriteStream(unfinished, { flush: true }));
  written.catch(() => {}); // awaited below
  const columns = { label: [] as number[], path: [] as string[], offset: [] as number[], bytes: [] as number[] };
  const reader = openReader(folder, files);
  let at = 0;
  /** @returns where the content starts. */
  const add = async (entry: string, content: Buffer): Promise<number> => {
    await Promise.race([addEntry(pack, entry, content), written]);
    const start = at + BLOCK;
    at = start + Math.ceil(content.length / BLOCK) * BLOCK;
    return start;
  };
  try {
    for (const index of indices) {
      const path = nameAt(files.names, index);
      const bytes = await reader.read(index, (content) => content);
      if ('reason' in bytes) {
        throw new DataError(
          `Cannot pack the image ${path} of ${folder}: ${bytes.reason}, expected a file that can be read; remove it, and run it again`,
        );
      }
      const [key, label] = [String(index).padStart(9, '0'), files.labels[index]!];
      columns.offset.push(await add(`${key}.${endingOf(path, bytes)}`, bytes));
      await add(`${key}.cls`, Buffer.from(`${label}`));
      await add(`${key}.json`, Buffer.from(jsonText({ path, label })));
      columns.label.push(label);
      columns.path.push(path);
      columns.bytes.push(bytes.length);
    }
    pack.finalize();
    await written;
  } finally {
    reader.close();
    pack.destroy();
  }
  const size = at + 2 * BLOCK; // a tar file ends with two empty blocks
  if (statSync(unfinished).size !== size) throw new Error(`${unfinished} is not laid out as its index says`);
  renameSync(unfinished, join(out, name));
  const text = jsonText({ size, index: indices, ...columns } satisfies ShardIndex);
  assert(Buffer.byteLength(text) <= MAX_INDEX_BYTES, `the index of ${name} is too long to be read`);
  writeWhole(out, indexName(name), text);
}

/** The time is constant, so that the same images make the same shards. */
function addEntry(pack: tar.Pack, name: string, content: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const header = { name, size: content.length, mtime: new Date(0) };
    pack.entry(header, (error) => (error ? reject(error) : resolve())).end(content);
  });
}

/** For other tools: the ending of the content's format, or the file's own if it is no image. */
function endingOf(path: string, bytes: Buffer): string {
  const format = formatOf(bytes);
  if (format === undefined) return extname(path).slice(1).toLowerCase();
  return format === 'JPEG' ? 'jpg' : format.toLowerCase();
}
