/**
 * Reads packed data sets: shards in the WebDataset convention, tar files of `<number>.jpg`, `<number>.cls` and
 * `<number>.json`, with an index beside each that says where every image starts in the tar file. Images that are stored raw
 * are `<number>.npy`. `pack.ts` writes them.
 */
import { statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { DataError, truncate } from '../../errors.js';
import { describePlaceholder, readFileStart } from '../../file-kind.js';
import { readJson } from '../../read-json.js';
import { type Stored, storedSchema } from '../images/stored.js';
import { type FileDataset, type ImageFiles, imageFiles } from '../sets/dataset.js';
import { MAX_CLASSES } from '../sets/image-folder.js';
import { exists } from '../sets/list-folder.js';

/** The first and the last file that packing writes. */
export const PLAN_FILE = 'plan.json';
export const DATASET_FILE = 'dataset.json';

/** Enough for the names of MAX_CLASSES classes, and for some 800,000 images in a shard. */
const MAX_DATASET_BYTES = 2 ** 25;
export const MAX_INDEX_BYTES = 2 ** 26;

export type Part = 'train' | 'val';

const partSchema = z.object({
  images: z.int().min(1),
  // Only names of files in the folder itself. Not an array of strings for zod, which would collect an issue for each of
  // millions of wrong values.
  shards: z.custom<readonly string[]>((names) => Array.isArray(names) && names.every(isShardName)),
  /** Images of the folder that are not in the shards, because they cannot be read. */
  leftOut: z.int().min(1).optional(),
});

/**
 * `dataset.json`. `key` is that of the original images; see `filesKey`. Version 2 has images of one size, which an earlier
 * program would read wrongly.
 */
const datasetSchema = z
  .object({
    version: z.literal([1, 2]),
    stored: storedSchema.optional(),
    name: z.string(),
    classes: z.array(z.string()).min(2).max(MAX_CLASSES),
    key: z.string(),
    ignored: z.int().min(0),
    parts: z.object({ train: partSchema, val: partSchema }),
  })
  .refine(({ version, stored }) => (version === 2) === (stored !== undefined));
export type PackedDataset = z.infer<typeof datasetSchema>;

/** An image that was not packed, by its number in the part of the folder. */
export interface LeftOut {
  readonly index: number;
  readonly path: string;
  readonly reason: string;
}

/** The index of a shard, in columns: image `i` of the shard is image `index[i]` of its part. */
export interface ShardIndex {
  /** Bytes of the tar file. */
  readonly size: number;
  readonly index: readonly number[];
  readonly label: readonly number[];
  readonly path: readonly string[];
  readonly offset: readonly number[];
  readonly bytes: readonly number[];
  /** Of the tar file; absent in shards of earlier versions. */
  readonly sha256?: string;
  readonly leftOut?: readonly LeftOut[];
}

function isShardName(name: unknown): boolean {
  return typeof name === 'string' && /^(train|val)-\d{6,12}\.tar$/.test(name);
}

export function shardName(part: Part, number: number): string {
  return `${part}-${String(number).padStart(6, '0')}.tar`;
}

export function indexName(shard: string): string {
  return shard.replace(/\.tar$/, '.json');
}

/** Whether packing into the folder has begun. */
export function isPacked(folder: string): boolean {
  return exists(join(folder, DATASET_FILE)) || exists(join(folder, PLAN_FILE));
}

/** Number of classes; undefined if packing was not finished. */
export function packedClasses(folder: string): number | undefined {
  return exists(join(folder, DATASET_FILE)) ? readDataset(folder).classes.length : undefined;
}

/**
 * Lists the images of a packed data set in the order of the original folder, so that batches are the same.
 * @throws DataError if packing was not finished, or files do not fit one another.
 */
export function readPacked(folder: string): FileDataset {
  if (!exists(join(folder, DATASET_FILE))) {
    throw new DataError(
      `Cannot use the packed images in ${folder}: packing them was not finished, expected ${DATASET_FILE}; run the same \`data prepare\` again, and it continues`,
    );
  }
  const { name, classes, key, ignored, parts, stored } = readDataset(folder);
  const [train, val] = [parts.train, parts.val].map((part) => readPart(folder, part, classes.length));
  const leftOut = [...train!.leftOut, ...val!.leftOut];
  return {
    ...{ kind: 'files', name: name || basename(resolve(folder)), source: folder, folder },
    ...{ train: train!.files, test: val!.files, classNames: classes, ignored, key },
    ...(stored && { stored: stored as Stored }),
    ...(leftOut.length > 0 && { leftOut, remarks: [leftOutRemark(leftOut.length)] }),
  };
}

function leftOutRemark(images: number): string {
  return `${images} ${images === 1 ? 'image was' : 'images were'} left out when it was packed, because they cannot be read; \`data check\` lists them`;
}

function readPart(
  folder: string,
  { images, shards, leftOut: missing = 0 }: z.infer<typeof partSchema>,
  classes: number,
): { files: ImageFiles; leftOut: readonly LeftOut[] } {
  const indexes = shards.map((shard) => readIndex(folder, shard));
  const total = indexes.reduce((sum, { index }) => sum + index.length, 0);
  if (total !== images) throw damaged(folder, `its shards hold ${total} images, expected ${images}`);
  const leftOut = indexes.flatMap((each) => each.leftOut ?? []);
  if (leftOut.length !== missing) {
    throw damaged(folder, `its shards leave out ${leftOut.length} images, expected ${missing}`);
  }
  const ranks = ranksOf(
    indexes.map(({ index }) => index),
    images + missing,
  );
  const labels = new Uint16Array(images);
  const paths: string[] = Array(images);
  const places = {
    shards,
    shard: new Uint32Array(new SharedArrayBuffer(4 * images)),
    offset: new Float64Array(new SharedArrayBuffer(8 * images)),
    bytes: new Float64Array(new SharedArrayBuffer(8 * images)),
  };
  const seen = new Uint8Array(images);
  for (const [shard, { index, label, path, offset, bytes, size }] of indexes.entries()) {
    for (const [i, listed] of index.entries()) {
      const isPlaced = isInteger(offset[i], size) && isInteger(bytes[i], size - offset[i]!);
      const at = isInteger(listed, images + missing - 1) ? ranks[listed]! : -1;
      const isNew = at >= 0 && seen[at] === 0;
      if (!isNew || !isInteger(label[i], classes - 1) || !isPlaced || !isInside(path[i])) {
        throw damaged(
          folder,
          `${indexName(shards[shard]!)} has an image ${truncate(String(listed))} that does not fit`,
        );
      }
      seen[at] = 1;
      labels[at] = label[i]!;
      paths[at] = path[i]!;
      places.shard[at] = shard;
      places.offset[at] = offset[i]!;
      places.bytes[at] = bytes[i]!;
    }
  }
  return { files: { ...imageFiles(paths, labels), places }, leftOut };
}

/** The place of each image of the folder among those that are packed, which keep their order. */
function ranksOf(indexes: readonly (readonly number[])[], listed: number): Uint32Array {
  const ranks = new Uint32Array(listed);
  for (const index of indexes) for (const each of index) ranks[each] = 1;
  let rank = 0;
  for (let i = 0; i < listed; i++) {
    const isPacked = ranks[i] === 1;
    ranks[i] = rank;
    if (isPacked) rank++;
  }
  return ranks;
}

function isInteger(value: unknown, max: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max;
}

/** Whether it is a path that stays in the folder. */
function isInside(path: unknown): boolean {
  return typeof path === 'string' && path !== '' && !/^\/|\0|(^|\/)\.\.(\/|$)/.test(path);
}

function readDataset(folder: string): PackedDataset {
  const { data } = datasetSchema.safeParse(read(folder, DATASET_FILE, MAX_DATASET_BYTES));
  if (!data) throw damaged(folder, `${DATASET_FILE} is of another version, or damaged`);
  return data;
}

/** Reads the index of a shard. @throws DataError if it does not fit the shard's file. */
export function readIndex(folder: string, shard: string): ShardIndex {
  const found = (read(folder, indexName(shard), MAX_INDEX_BYTES) ?? {}) as Partial<ShardIndex>;
  const columns = [found.index, found.label, found.path, found.offset, found.bytes];
  const isWhole = columns.every((column) => Array.isArray(column) && column.length === found.index!.length);
  if (!isWhole || !isLeftOut(found.leftOut)) {
    throw damaged(folder, `${indexName(shard)} is damaged`);
  }
  const stats = statSync(join(folder, shard), { throwIfNoEntry: false });
  const size = stats?.isFile() ? stats.size : 'no';
  if (size !== found.size) {
    const placeholder = describePlaceholder(readFileStart(join(folder, shard)), shard);
    if (placeholder !== undefined) throw damaged(folder, `${shard}: ${placeholder}`);
    throw damaged(folder, `${shard} has ${size} bytes, expected ${truncate(String(found.size))}`);
  }
  return found as ShardIndex;
}

function isLeftOut(value: unknown): boolean {
  const isOne = (each: Partial<LeftOut> | null) =>
    isInteger(each?.index, Number.MAX_SAFE_INTEGER) && isInside(each?.path) && typeof each?.reason === 'string';
  return value === undefined || (Array.isArray(value) && value.every(isOne));
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
