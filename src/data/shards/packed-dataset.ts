/**
 * Reads packed data sets: shards in the WebDataset convention, tar files of `<number>.jpg`, `<number>.cls` and
 * `<number>.json`, with an index beside each that says where every image starts in the tar file. `pack.ts` writes them.
 */
import { statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { DataError, truncate } from '../../errors.js';
import { describePlaceholder, readFileStart } from '../../file-kind.js';
import { readJson } from '../../read-json.js';
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
});

/** `dataset.json`. `key` is that of the original images; see `filesKey`. */
const datasetSchema = z.object({
  version: z.literal(1),
  name: z.string(),
  classes: z.array(z.string()).min(2).max(MAX_CLASSES),
  key: z.string(),
  ignored: z.int().min(0),
  parts: z.object({ train: partSchema, val: partSchema }),
});
export type PackedDataset = z.infer<typeof datasetSchema>;

/** The index of a shard, in columns: image `i` of the shard is image `index[i]` of its part. */
export interface ShardIndex {
  /** Bytes of the tar file. */
  readonly size: number;
  readonly index: readonly number[];
  readonly label: readonly number[];
  readonly path: readonly string[];
  readonly offset: readonly number[];
  readonly bytes: readonly number[];
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
  const { name, classes, key, ignored, parts } = readDataset(folder);
  return {
    ...{ kind: 'files', name: name || basename(resolve(folder)), source: folder, folder },
    train: readPart(folder, parts.train, classes.length),
    test: readPart(folder, parts.val, classes.length),
    ...{ classNames: classes, ignored, key },
  };
}

function readPart(folder: string, { images, shards }: z.infer<typeof partSchema>, classes: number): ImageFiles {
  const indexes = shards.map((shard) => readIndex(folder, shard));
  const total = indexes.reduce((sum, { index }) => sum + index.length, 0);
  if (total !== images) throw damaged(folder, `its shards hold ${total} images, expected ${images}`);
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
    for (const [i, at] of index.entries()) {
      const isPlaced = isInteger(offset[i], size) && isInteger(bytes[i], size - offset[i]!);
      const isNew = isInteger(at, images - 1) && seen[at] === 0;
      if (!isNew || !isInteger(label[i], classes - 1) || !isPlaced || !isInside(path[i])) {
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
  return { ...imageFiles(paths, labels), places };
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
  if (!columns.every((column) => Array.isArray(column) && column.length === found.index!.length)) {
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
