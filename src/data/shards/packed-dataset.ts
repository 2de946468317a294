/**
 * Reads packed data sets: shards in the WebDataset convention, tar files of `<number>.jpg`, `<number>.cls` and
 * `<number>.json`, with an index beside each that says where in the tar file every image stands. `pack.ts` writes them.
 */
import { statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { DataError, truncate } from '../../errors.js';
import { describePlaceholder, readFileStart } from '../../file-kind.js';
import { readJson } from '../../read-json.js';
import type { FileDataset, ImageFiles, Places } from '../images/reader.js';
import { MAX_CLASSES, withLabels } from '../sets/image-folder.js';
import { isThere } from '../sets/list-folder.js';

/** What a packed folder has: written first, and last. */
export const PLAN_FILE = 'plan.json';
export const DATASET_FILE = 'dataset.json';

/** Of `dataset.json`: room for the names of all classes that there may be. Of an index: some 800,000 images. */
const MAX_DATASET_BYTES = 2 ** 25;
export const MAX_INDEX_BYTES = 2 ** 26;

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
  return isThere(join(folder, DATASET_FILE)) || isThere(join(folder, PLAN_FILE));
}

/** The classes of a packed data set that is finished. */
export function packedClasses(folder: string): number | undefined {
  const file = join(folder, DATASET_FILE);
  return isThere(file) ? readDataset(folder).classes.length : undefined;
}

/**
 * Lists the images of a packed data set, in the order of the folder that was packed, so that batches are the same.
 * @throws DataError for one that is not finished, or whose files do not fit one another.
 */
export function readPacked(folder: string): FileDataset {
  if (!isThere(join(folder, DATASET_FILE))) {
    throw new DataError(
      `Cannot use the packed images in ${folder}: packing them was not finished, expected ${DATASET_FILE}; run the same \`data prepare\` again, and it goes on`,
    );
  }
  const { name, classes, key, ignored, parts } = readDataset(folder);
  const partOf = (part: Part) => readPart(folder, parts[part].images, parts[part].shards, classes.length);
  return {
    kind: 'files',
    name: name || basename(resolve(folder)),
    source: folder,
    folder,
    train: partOf('train'),
    test: partOf('val'),
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
      const isLabel = isWhole(label[i], 0, classes - 1);
      const isPlaced = isWhole(offset[i], 0, size) && isWhole(bytes[i], 0, size - offset[i]!);
      if (!isWhole(at, 0, images - 1) || seen[at] === 1 || !isLabel || !isPlaced || !isInside(path[i])) {
        throw damaged(folder, `${indexName(shards[shard]!)} has an image ${truncate(String(at))} that does not fit`);
      }
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
  const dataset = (read(folder, DATASET_FILE, MAX_DATASET_BYTES) ?? {}) as Partial<PackedDataset>;
  const { version, name, classes, key, ignored, parts } = dataset;
  const isNamed = isText(name) && isText(key) && isWhole(ignored, 0);
  const areClasses = Array.isArray(classes) && isWhole(classes.length, 2, MAX_CLASSES) && classes.every(isText);
  const whole = version === 1 && isNamed && areClasses && isPart(parts?.train) && isPart(parts?.val);
  if (!whole) throw damaged(folder, `${DATASET_FILE} is of another version, or damaged`);
  return dataset as PackedDataset;
}

function isPart(part: PackedDataset['parts'][Part] | undefined): boolean {
  // Names of files in the folder, and of no others.
  const isShard = (name: unknown) => isText(name) && /^(train|val)-\d{6,12}\.tar$/.test(name);
  return isWhole(part?.images, 1) && Array.isArray(part?.shards) && part.shards.every(isShard);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isWhole(value: unknown, from: number, to = Number.MAX_SAFE_INTEGER): value is number {
  return Number.isSafeInteger(value) && (value as number) >= from && (value as number) <= to;
}

/** Whether it is a path that stays in the folder. */
function isInside(path: unknown): boolean {
  return isText(path) && path !== '' && !/^\/|\0|(^|\/)\.\.(\/|$)/.test(path);
}

/** The index of a shard. @throws DataError when it does not fit the shard's file. */
export function readIndex(folder: string, shard: string): ShardIndex {
  const index = (read(folder, indexName(shard), MAX_INDEX_BYTES) ?? {}) as Partial<ShardIndex>;
  const { size, label, path, offset, bytes } = index;
  const columns = [index.index, label, path, offset, bytes];
  if (!columns.every((column) => Array.isArray(column) && column.length === index.index!.length)) {
    throw damaged(folder, `${indexName(shard)} is damaged`);
  }
  const stats = statSync(join(folder, shard), { throwIfNoEntry: false });
  const found = stats?.isFile() ? stats.size : 'no';
  const held = found === size ? undefined : describePlaceholder(readFileStart(join(folder, shard)), shard);
  if (held !== undefined) throw damaged(folder, `${shard}: ${held}`);
  if (found !== size) throw damaged(folder, `${shard} has ${found} bytes, expected ${truncate(String(size))}`);
  return index as ShardIndex;
}

function read(folder: string, name: string, limit: number): unknown {
  try {
    return readJson(join(folder, name), { limit });
  } catch (error) {
    throw damaged(folder, `${name} cannot be read (${(error as Error).message})`);
  }
}

function damaged(folder: string, found: string): DataError {
  return new DataError(
    `Cannot use the packed images in ${folder}: ${found}, expected what \`data prepare\` writes; pack them again into a new folder`,
  );
}
