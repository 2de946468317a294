/**
 * Reads IDX files, the format of MNIST and its kin: a magic number, the sizes as big-endian words of 32 bits, then one
 * byte a value (LeCun, Cortes, Burges, "The MNIST database", yann.lecun.com/exdb/mnist). Plain or in gzip, told by the
 * first two bytes. A header is believed only once the file's own size agrees, and memory is taken after that.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { constants, gunzipSync } from 'node:zlib';
import { DataError } from '../../errors.js';
import { describePlaceholder } from '../../file-kind.js';

/** Images of one file, row by row, one byte a pixel. */
export interface IdxImages {
  count: number;
  height: number;
  width: number;
  /** [count, height, width], in memory that threads can share. */
  pixels: Uint8Array;
}

const IMAGES = { what: 'images', magic: 0x00000803, sizes: 3, dimensions: 'unsigned bytes in 3 dimensions' } as const;
const LABELS = { what: 'labels', magic: 0x00000801, sizes: 1, dimensions: 'unsigned bytes in 1 dimension' } as const;
type Kind = typeof IMAGES | typeof LABELS;

/** Twenty times Fashion-MNIST: a small compressed file must not fill the memory. */
const MAX_UNCOMPRESSED_BYTES = 2 ** 30;
/** Deflate's best: no byte of gzip unfolds to more. */
const MAX_GZIP_RATIO = 1032;
/** Enough of a gzip file to unfold an IDX header from, a long file name in gzip's own header included. */
const GZIP_HEAD_BYTES = 8192;

/**
 * The images of an IDX file, in shared memory.
 * @throws DataError for a file that cannot be read or is not whole, one sentence with its path.
 */
export function readIdxImages(path: string): IdxImages {
  const { sizes, values } = readIdx(path, IMAGES);
  const [count, height, width] = sizes as [number, number, number];
  return { count, height, width, pixels: values };
}

/**
 * The labels of an IDX file, in shared memory, from 0. Some data sets count them from 1, such as EMNIST's letters: where
 * the lowest is 1 and the highest `classes`, all are brought down by one.
 * @param count how many there must be: one for each image of `imagesPath`.
 * @param classes labels are below this.
 * @param first the lowest label that there may be, where it is known from the training labels.
 * @throws DataError for a file that cannot be read, is not whole, or does not fit the images or the classes.
 */
export function readIdxLabels(
  path: string,
  imagesPath: string,
  count: number,
  classes: number,
  first?: 0 | 1,
): { values: Uint8Array; first: 0 | 1 } {
  const labels = readIdx(path, LABELS).values;
  if (labels.length !== count) {
    throw new DataError(
      `Cannot use labels from ${path}: it holds ${labels.length} labels, expected ${count}, one for each image of ${imagesPath}; take both files from the same data set`,
    );
  }
  const [lowest, highest] = [extreme(labels, Math.min), extreme(labels, Math.max)];
  const from = first ?? (lowest === 1 && highest === classes ? 1 : 0);
  const index = labels.findIndex((label) => label < from || label >= from + classes);
  if (index < 0) {
    if (from === 1) for (let i = 0; i < labels.length; i++) labels[i]! -= 1;
    return { values: labels, first: from };
  }
  // With `first` known the labels of training were in order: these begin elsewhere, or go on where those end.
  if (first !== undefined && lowest !== first && highest - lowest < classes) {
    throw new DataError(
      `Cannot use labels from ${path}: its labels go from ${lowest} to ${highest}, expected them to count from ${first} as the training labels do; take both label files from the same data set`,
    );
  }
  const number = lowest === 1 && first === undefined ? highest : highest + 1;
  throw new DataError(
    `Cannot use labels from ${path}: label ${labels[index]} at index ${index}, expected ${from} to ${from + classes - 1} for the net's ${classes} classes; its labels go from ${lowest} to ${highest}: set net.classes to the number of classes of this data set, --classes ${number}`,
  );
}

function extreme(labels: Uint8Array, better: (a: number, b: number) => number): number {
  return labels.reduce((best, label) => better(best, label), labels[0]!);
}

function readIdx(path: string, kind: Kind): { sizes: number[]; values: Uint8Array } {
  try {
    return withFile(path, (file, bytes) => {
      const head = readHead(file);
      return isGzip(head) ? readGzip(path, kind, head, bytes) : readPlain(path, kind, file, head, bytes);
    });
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw failure(path, kind, `${(error as Error).message}, expected an IDX file that can be read`, 'check the file');
  }
}

function withFile<T>(path: string, use: (file: number, bytes: number) => T): T {
  const file = openSync(path, 'r');
  try {
    return use(file, fstatSync(file).size);
  } finally {
    closeSync(file);
  }
}

function readHead(file: number): Buffer {
  const head = Buffer.alloc(GZIP_HEAD_BYTES);
  return head.subarray(0, readSync(file, head, 0, GZIP_HEAD_BYTES, 0));
}

function isGzip(head: Buffer): boolean {
  return head[0] === 0x1f && head[1] === 0x8b;
}

function readPlain(path: string, kind: Kind, file: number, head: Buffer, bytes: number) {
  const header = parseHeader(path, kind, head);
  checkLength(path, kind, header, bytes);
  const values = shared(header.bytes - header.headerBytes);
  let done = 0;
  while (done < values.length) {
    const got = readSync(file, values, done, values.length - done, header.headerBytes + done);
    if (got === 0) checkLength(path, kind, header, header.headerBytes + done); // it has shrunk meanwhile
    done += got;
  }
  return { sizes: header.sizes, values };
}

function readGzip(path: string, kind: Kind, head: Buffer, compressedBytes: number) {
  const header = parseHeader(
    path,
    kind,
    unfolded(path, kind, () => gunzipHead(head)),
  );
  if (header.bytes > MAX_UNCOMPRESSED_BYTES) {
    throw failure(
      path,
      kind,
      `its header announces ${header.bytes} bytes, expected at most ${MAX_UNCOMPRESSED_BYTES} in a compressed file`,
      'unpack it with gunzip if that is right',
    );
  }
  if (header.bytes > compressedBytes * MAX_GZIP_RATIO) throw tooShort(path, kind, header, 'fewer');
  const options = { maxOutputLength: header.bytes + 1, chunkSize: 2 ** 20 };
  const all = unfolded(path, kind, () => gunzipSync(readFileSync(path), options), header);
  checkLength(path, kind, header, all.length);
  const values = shared(header.bytes - header.headerBytes);
  values.set(all.subarray(header.headerBytes));
  return { sizes: header.sizes, values };
}

/** What the first bytes of a gzip file unfold to; that they stop in the middle is no error here. */
function gunzipHead(head: Buffer): Buffer {
  return gunzipSync(head, {
    finishFlush: constants.Z_SYNC_FLUSH,
    maxOutputLength: (GZIP_HEAD_BYTES + 1) * MAX_GZIP_RATIO,
  });
}

/** Calls zlib and says its errors in our words. */
function unfolded(path: string, kind: Kind, unfold: () => Buffer, header?: Header): Buffer {
  try {
    return unfold();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (header && code === 'ERR_BUFFER_TOO_LARGE') throw tooLong(path, kind, header, 'more');
    if (header && code === 'Z_BUF_ERROR') throw tooShort(path, kind, header, 'fewer');
    if (!code?.startsWith('Z_')) throw error;
    throw failure(path, kind, `its gzip data is damaged (${message}), expected a whole gzip file`, 'fetch it again');
  }
}

interface Header {
  sizes: number[];
  headerBytes: number;
  /** Of the whole file, uncompressed. */
  bytes: number;
}

function parseHeader(path: string, kind: Kind, head: Buffer): Header {
  const headerBytes = 4 + 4 * kind.sizes;
  const held = describePlaceholder(head, path);
  if (held !== undefined) throw failure(path, kind, held, 'then try again');
  if (head.length < headerBytes) {
    throw failure(
      path,
      kind,
      `it ends after ${head.length} bytes, expected a header of ${headerBytes}`,
      'fetch it again',
    );
  }
  const magic = head.readUInt32BE(0);
  if (magic !== kind.magic) {
    throw failure(
      path,
      kind,
      `its magic number is ${hex(magic)}, expected ${hex(kind.magic)} (${kind.dimensions})`,
      `check that it is an IDX file of ${kind.what}`,
    );
  }
  const sizes = Array.from({ length: kind.sizes }, (_, i) => head.readUInt32BE(4 + 4 * i));
  if (sizes.includes(0)) {
    throw failure(path, kind, `its header says ${sizes.join(' x ')}, expected at least one value`, 'fetch it again');
  }
  return { sizes, headerBytes, bytes: headerBytes + sizes.reduce((product, size) => product * size, 1) };
}

function checkLength(path: string, kind: Kind, header: Header, bytes: number): void {
  if (bytes < header.bytes) throw tooShort(path, kind, header, String(bytes));
  if (bytes > header.bytes) throw tooLong(path, kind, header, String(bytes));
}

function tooShort(path: string, kind: Kind, header: Header, bytes: string): DataError {
  return failure(path, kind, `it is truncated: it holds ${bytes} bytes, ${announced(header)}`, 'fetch it again');
}

function tooLong(path: string, kind: Kind, header: Header, bytes: string): DataError {
  return failure(path, kind, `it has trailing bytes: it holds ${bytes} bytes, ${announced(header)}`, 'fetch it again');
}

function announced({ sizes, bytes }: Header): string {
  return `expected ${bytes} for the ${sizes.join(' x ')} values of its header`;
}

function failure(path: string, kind: Kind, found: string, remedy: string): DataError {
  return new DataError(`Cannot read ${kind.what} from ${path}: ${found}; ${remedy}`);
}

function hex(word: number): string {
  return `0x${word.toString(16).padStart(8, '0')}`;
}

function shared(bytes: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(bytes));
}
