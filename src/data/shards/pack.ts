/**
 * Packs a folder of images into shards. Every file is written under another name and renamed once it is whole, and what
 * goes into which shard depends on the images alone: so a run that was killed is continued by the next one.
 */
import assert from 'node:assert';
import { createHash } from 'node:crypto';
import { createWriteStream, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import tar from 'tar-stream';
import { DataError } from '../../errors.js';
import { jsonText } from '../../printable.js';
import { shuffled } from '../../random.js';
import { assertFolderWritable } from '../../safe-write.js';
import { formatOf } from '../images/decode.js';
import { type FileDataset, type ImageFiles, openReader } from '../images/reader.js';
import type { Progress } from '../progress.js';
import { nameAt } from '../sets/names.js';
import { filesKey, UNFINISHED } from '../statistics/cache.js';
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
import { cutIntoShards, indexBytesOf, type Room } from './shards.js';

export interface PackOptions {
  /** The folder to write; made when it is not there. */
  out: string;
  /** A shard is closed once it has that many bytes of images, or its index is full. */
  shardBytes: number;
  progress?: Progress;
}

export interface Packed {
  shards: number;
  /** Shards that an earlier run had finished. */
  kept: number;
  images: number;
}

/** Images of one shard, as indices into their part. */
interface Shard {
  part: Part;
  name: string;
  indices: readonly number[];
}

const OURS = /^((train|val)-\d{6}\.(tar|json)|dataset\.json|plan\.json|\..*\.unfinished)$/;

/**
 * Packs the images' files byte by byte, those that do not decode too, in an order that mixes the classes.
 * @throws DataError for a folder that holds something else, a file that cannot be read or changes meanwhile, or a disk that
 * does not take it: the next run goes on from there.
 */
export async function packImages(dataset: FileDataset, { out, shardBytes, progress }: PackOptions): Promise<Packed> {
  const { folder, train, test, classNames, name, ignored } = dataset;
  tryPacking(dataset, out);
  try {
    const [trainKey, valKey] = [await filesKey(folder, train), await filesKey(folder, test)];
    const plan = createHash('sha256')
      .update(JSON.stringify([1, shardBytes, classNames, trainKey, valKey, [...train.labels], [...test.labels]]))
      .digest('hex');
    await claimFolder(out, plan);
    const shards = [...shardsOf('train', folder, train, shardBytes), ...shardsOf('val', folder, test, shardBytes)];
    let kept = 0;
    let done = 0;
    for (const shard of shards) {
      const files = shard.part === 'train' ? train : test;
      if (isFinished(out, shard)) kept++;
      else await writeShard(out, folder, files, shard);
      done += shard.indices.length;
      progress?.(done, train.count + test.count);
    }
    const named = (part: Part) => shards.filter((shard) => shard.part === part).map((shard) => shard.name);
    const parts = {
      train: { images: train.count, shards: named('train') },
      val: { images: test.count, shards: named('val') },
    };
    const packed: PackedDataset = { version: 1, name, classes: classNames, key: trainKey, ignored, parts };
    await writeWhole(out, DATASET_FILE, jsonText(packed));
    return { shards: shards.length, kept, images: train.count + test.count };
  } catch (error) {
    if (error instanceof DataError || (error as NodeJS.ErrnoException).code === undefined) throw error;
    throw new DataError(
      `Cannot pack ${folder} into ${out}: ${(error as Error).message}, expected room and permission; run it again, and it goes on`,
      { cause: error },
    );
  }
}

/**
 * Finds out whether images can be packed into a folder, which is left as it is.
 * @throws DataError when they are packed already, or it holds something else or cannot be written to.
 */
export function tryPacking({ folder, train }: FileDataset, out: string): void {
  if (train.places) {
    throw new DataError(`Cannot pack ${folder}: its images are packed, expected a folder of files; name that folder`);
  }
  try {
    assertFolderWritable(out);
    if (existsSync(out)) refuseForeign(out, readdirSync(out));
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(
      `Cannot pack into ${out}: ${(error as Error).message}, expected a folder that can be written to; name another`,
      { cause: error },
    );
  }
}

function refuseForeign(out: string, names: readonly string[]): void {
  const foreign = names.find((name) => !OURS.test(name) && !/^statistics-\w+\.json$/.test(name));
  if (foreign !== undefined || (names.length > 0 && !isOurs(names))) {
    throw new DataError(
      `Cannot pack into ${out}: it holds ${foreign ?? names[0]}, expected a new folder, or one that a packing began; name another`,
    );
  }
}

/** Makes the folder, and clears it of what other images left there. @throws DataError when it holds something else. */
async function claimFolder(out: string, plan: string): Promise<void> {
  mkdirSync(out, { recursive: true });
  const names = readdirSync(out);
  refuseForeign(out, names);
  for (const name of names.filter((each) => each.endsWith(UNFINISHED))) rmSync(join(out, name));
  const planned = existsSync(join(out, PLAN_FILE)) ? await readFile(join(out, PLAN_FILE), 'utf8') : undefined;
  const text = `${JSON.stringify({ plan })}\n`;
  if (planned === text) return;
  // The data set goes first: without it nothing that is left over counts.
  for (const name of [DATASET_FILE, ...names]) if (name !== PLAN_FILE) rmSync(join(out, name), { force: true });
  await writeWhole(out, PLAN_FILE, text);
}

/** The plan is written first: only it, or its unfinished file, may stand alone. */
function isOurs(names: readonly string[]): boolean {
  return names.includes(PLAN_FILE) || names.every((name) => name.endsWith(UNFINISHED));
}

/** The images in a mixed order, cut into shards by their sizes, and by what an index has room for. */
function shardsOf(part: Part, folder: string, files: ImageFiles, shardBytes: number): Shard[] {
  const roomOf = (index: number): Room => {
    const path = nameAt(files.names, index);
    const bytes = statSync(join(folder, path), { throwIfNoEntry: false })?.size ?? 0;
    return { bytes, indexBytes: indexBytesOf(path) };
  };
  const most = { bytes: shardBytes, indexBytes: MAX_INDEX_BYTES };
  const shards = cutIntoShards(shuffled(files.count, 0, 0), roomOf, most);
  return shards.map((indices, number) => ({ part, name: shardName(part, number), indices }));
}

/** The index is written after its shard. */
function isFinished(out: string, { name }: Shard): boolean {
  if (!existsSync(join(out, indexName(name)))) return false;
  try {
    readIndex(out, name);
    return true;
  } catch (error) {
    if (error instanceof DataError) return false; // written again
    throw error;
  }
}

async function writeShard(out: string, folder: string, files: ImageFiles, { name, indices }: Shard): Promise<void> {
  const pack = tar.pack();
  const unfinished = join(out, `.${name}${UNFINISHED}`);
  const written = pipeline(pack, createWriteStream(unfinished));
  written.catch(() => {}); // awaited below
  const columns = { label: [] as number[], path: [] as string[], offset: [] as number[], bytes: [] as number[] };
  const reader = openReader(folder, files);
  let at = 0;
  /** @returns where the content begins. */
  const add = async (entry: string, content: Buffer): Promise<number> => {
    await Promise.race([addEntry(pack, entry, content), written]);
    const begin = at + BLOCK;
    at = begin + Math.ceil(content.length / BLOCK) * BLOCK;
    return begin;
  };
  try {
    for (const index of indices) {
      const path = nameAt(files.names, index);
      const read = await reader.read(index);
      if ('reason' in read) throw unreadable(folder, path, read.reason);
      const [key, label] = [String(index).padStart(9, '0'), files.labels[index]!];
      columns.offset.push(await add(`${key}.${endingOf(path, read.bytes)}`, read.bytes));
      await add(`${key}.cls`, Buffer.from(`${label}`));
      await add(`${key}.json`, Buffer.from(jsonText({ path, label })));
      columns.label.push(label);
      columns.path.push(path);
      columns.bytes.push(read.bytes.length);
    }
    pack.finalize();
    await written;
  } finally {
    reader.close();
    pack.destroy();
  }
  const size = at + 2 * BLOCK; // a tar file ends with two empty blocks
  if (statSync(unfinished).size !== size) throw new Error(`${unfinished} is not laid out as its index says`);
  await finish(out, name);
  const index: ShardIndex = { size, index: indices, ...columns };
  const text = jsonText(index);
  assert(Buffer.byteLength(text) <= MAX_INDEX_BYTES, `the index of ${name} is too long to be read`);
  await writeWhole(out, indexName(name), text);
}

const BLOCK = 512;

/** Resolves when the archive has taken it. The times are no part of an image: the same images make the same shards. */
function addEntry(pack: tar.Pack, name: string, content: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const header = { name, size: content.length, mtime: new Date(0) };
    pack.entry(header, (error) => (error ? reject(error) : resolve())).end(content);
  });
}

/** What other tools go by: the content, or the name of what is no image. */
function endingOf(path: string, bytes: Buffer): string {
  const format = formatOf(bytes);
  if (format === undefined) return extname(path).slice(1).toLowerCase();
  return format === 'JPEG' ? 'jpg' : format.toLowerCase();
}

function unreadable(folder: string, path: string, reason: string): DataError {
  return new DataError(
    `Cannot pack the image ${path} of ${folder}: ${reason}, expected a file that can be read; take it away, and run it again`,
  );
}

async function writeWhole(out: string, name: string, text: string): Promise<void> {
  const file = await open(join(out, `.${name}${UNFINISHED}`), 'w');
  try {
    await file.writeFile(text);
  } finally {
    await file.close();
  }
  await finish(out, name);
}

/** On the disk first, then under its name: after a power cut too, what has its name is whole. */
async function finish(out: string, name: string): Promise<void> {
  const unfinished = join(out, `.${name}${UNFINISHED}`);
  const file = await open(unfinished, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  renameSync(unfinished, join(out, name));
}
