/**
 * Reads packed data sets: shards in the WebDataset convention, tar files of `<number>.jpg`, `<number>.cls` and
 * `<number>.json`, with an index beside each that says where in the tar file every image stands. `pack.ts` writes them.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { DataError } from '../errors.js';
import type { FileDataset, ImageFiles, Places } from './files.js';
import { withLabels } from './image-folder.js';

/** What a packed folder has: written first, and last. */
export const PLAN_FILE = 'plan.json';
export const DATASET_FILE = 'dataset.json';

export type Part = 'train' | 'val';

/** `dataset.json`: there once everything else is. */
export interface PackedDataset {
  readonly version: 1;
  readonly name: string;
  readonly classes: readonly string[];
  /** Of the images that were packed; see `filesKey`. */
  readonly key: string;
  readonly ignored: number;
  /** Images and shards of each part. */
  readonly parts: Readonly<Record<Part, { readonly images: number; readonly shards: readonly string[] }>>;
}

/** The index of a shard, a column for each thing: image `i` of the shard is image `index[i]` of its part. */
export interface ShardIndex {
  /** Bytes of the tar file. */
  readonly size: number;
  readonly index: readonly number[];
  readonly label: readonly number[];
  readonly path: readonly string[];
  readonly offset: readonly number[];
  readonly bytes: readonly number[];
}

export function shardName(part: Part, number: number): string {
  return `${part}-${String(number).padStart(6, '0')}.tar`;
}

export function indexName(shard: string): string {
  return shard.replace(/\.tar$/, '.json');
}

/** Whether the folder is a packed data set, finished or not. */
export function isPacked(folder: string): boolean {
  return existsSync(join(folder, DATASET_FILE)) || existsSync(join(folder, PLAN_FILE));
}

/** The classes of a packed data set that is finished. */
export function packedClasses(folder: string): number | undefined {
  const file = join(folder, DATASET_FILE);
  return existsSync(file) ? readDataset(folder).classes.length : undefined;
}

/**
 * Lists the images of a packed data set, in the order of the folder that was packed, so that batches are the same.
 * @throws DataError for one that is not finished, or whose files do not fit one another.
 */
export function readPacked(folder: string): FileDataset {
  if (!existsSync(join(folder, DATASET_FILE))) {
    throw new DataError(
      `Cannot use the packed images in ${folder}: packing them was not finished, expected ${DATASET_FILE}; run the same \`data prepare\` again, and it goes on`,
    );
  }
  const { name, classes, key, ignored, parts } = readDataset(folder);
  const read = (part: Part) => readPart(folder, parts[part].images, parts[part].shards, classes.length);
  return {
    kind: 'files',
    name: name || basename(resolve(folder)),
    source: folder,
    folder,
    train: read('train'),
    test: read('val'),
    classNames: classes,
    ignored,
    key,
  };
}

function readPart(folder: string, images: number, shards: readonly string[], classes: number): ImageFiles {
  const indexes = shards.map((shard) => readIndex(folder, shard));
  const total = indexes.reduce((sum, { index }) => sum + index.length, 0);
  if (total !== images) throw damaged(folder, `its shards hold ${total} images, expected ${images}`);
  const labels = new Uint16Array(images);
  const paths: string[] = Array(images);
  const places = { shards, shard: shared(Uint32Array, 4, images), ...offsets(images) };
  const seen = new Uint8Array(images);
  for (const [shard, { index, label, path, offset, bytes, size }] of indexes.entries()) {
    for (const [i, at] of index.entries()) {
      const fits = at >= 0 && at < images && seen[at] === 0 && label[i]! < classes && offset[i]! + bytes[i]! <= size;
      if (!fits) throw damaged(folder, `${indexName(shards[shard]!)} has an image ${at} that does not fit`);
      seen[at] = 1;
      labels[at] = label[i]!;
      paths[at] = path[i]!;
      places.shard[at] = shard;
      places.offset[at] = offset[i]!;
      places.bytes[at] = bytes[i]!;
    }
  }
  return { ...withLabels(paths, labels), places: places satisfies Places };
}

function offsets(images: number): Pick<Places, 'offset' | 'bytes'> {
  return { offset: shared(Float64Array, 8, images), bytes: shared(Float64Array, 8, images) };
}

function shared<T>(type: new (buffer: SharedArrayBuffer) => T, width: number, length: number): T {
  return new type(new SharedArrayBuffer(width * length));
}

function readDataset(folder: string): PackedDataset {
  const dataset = readJson(folder, DATASET_FILE) as Partial<PackedDataset>;
  const { version, classes, parts } = dataset;
  const whole = version === 1 && Array.isArray(classes) && [parts?.train, parts?.val].every((part) => isPart(part));
  if (!whole) throw damaged(folder, `${DATASET_FILE} is of another version, or damaged`);
  return dataset as PackedDataset;
}

function isPart(part: PackedDataset['parts'][Part] | undefined): boolean {
  // Names of files in the folder, and of no others.
  const isShard = (name: unknown) => typeof name === 'string' && /^(train|val)-\d{6,}\.tar$/.test(name);
  return (
    Number.isSafeInteger(part?.images) && part!.images > 0 && Array.isArray(part?.shards) && part.shards.every(isShard)
  );
}

/** The index of a shard. @throws DataError when it does not fit the shard's file. */
export function readIndex(folder: string, shard: string): ShardIndex {
  const index = readJson(folder, indexName(shard)) as Partial<ShardIndex>;
  const { size, label, path, offset, bytes } = index;
  const columns = [index.index, label, path, offset, bytes];
  if (!columns.every((column) => Array.isArray(column) && column.length === index.index!.length)) {
    throw damaged(folder, `${indexName(shard)} is damaged`);
  }
  const found = statSync(join(folder, shard), { throwIfNoEntry: false })?.size;
  if (found !== size) throw damaged(folder, `${shard} has ${found ?? 'no'} bytes, expected ${size}`);
  return index as ShardIndex;
}

function readJson(folder: string, name: string): unknown {
  try {
    return JSON.parse(readFileSync(join(folder, name), 'utf8')) as unknown;
  } catch (error) {
    throw damaged(folder, `${name} cannot be read (${(error as Error).message})`);
  }
}

function damaged(folder: string, found: string): DataError {
  return new DataError(
    `Cannot use the packed images in ${folder}: ${found}, expected what \`data prepare\` writes; pack them again into a new folder`,
  );
}
