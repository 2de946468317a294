/**
 * Reads IDX files, MNIST's format: a magic number, the sizes as big-endian words of 32 bits, then one byte for each value
 * (LeCun, Cortes, Burges, "The MNIST database", yann.lecun.com/exdb/mnist). Files may be in gzip. Memory is allocated only
 * after the header has been checked against the file's size.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { constants, gunzipSync } from 'node:zlib';
import { DataError } from '../../errors.js';
import { describePlaceholder } from '../../file-kind.js';

export interface IdxImages {
  count: number;
  height: number;
  width: number;
  /** [count, height, width] on a SharedArrayBuffer. */
  pixels: Uint8Array;
}

const IMAGES = { what: 'images', magic: 0x00000803, sizes: 3, dimensions: 'unsigned bytes in 3 dimensions' } as const;
const LABELS = { what: 'labels', magic: 0x00000801, sizes: 1, dimensions: 'unsigned bytes in 1 dimension' } as const;
type Kind = typeof IMAGES | typeof LABELS;

/** Twenty times Fashion-MNIST: a small compressed file must not fill the memory. */
const MAX_UNCOMPRESSED_BYTES = 2 ** 30;
/** The best ratio that Deflate reaches. */
const MAX_GZIP_RATIO = 1032;
/** Enough of a gzip file for the IDX header, even if gzip's own header has a long file name. */
const GZIP_HEAD_BYTES = 8192;

/** @throws DataError with the path for a file that cannot be read or is incomplete. */
export function readIdxImages(path: string): IdxImages {
  const { sizes, values } = readIdx(path, IMAGES);
  const [count, height, width] = sizes as [number, number, number];
  return { count, height, width, pixels: values };
}

/**
 * Reads labels as numbers from 0, on a SharedArrayBuffer. Some data sets count them from 1, such as EMNIST's letters: if
 * the lowest label is 1 and the highest `classes`, all are reduced by one.
 * @param count expected number: one for each image of `imagesPath`.
 * @param classes number of classes of the net.
 * @param first the first label of the training set, if known.
 * @throws DataError for a file that cannot be read, is incomplete, or does not fit the images or the classes.
 */
export function readIdxLabels(
  path: string,
  imagesPath: string,
  count: number,
  classes: number,
  first?: 0 | 1,
): { values: Uint8Array; first: 0 | 1 } {
  const { values } = readIdx(path, LABELS);
  if (values.length !== count) {
    throw new DataError(
      `Cannot use labels from ${path}: it holds ${values.length} labels, expected ${count}, one for each image of ${imagesPath}; use both files from the same data set`,
    );
  }
  const lowest = values.reduce((a, b) => Math.min(a, b));
  const highest = values.reduce((a, b) => Math.max(a, b));
  const from = first ?? (lowest === 1 && highest === classes ? 1 : 0);
  const index = values.findIndex((label) => label < from || label >= from + classes);
  if (index < 0) {
    if (from === 1) for (let i = 0; i < values.length; i++) values[i]! -= 1;
    return { values, first: from };
  }
  // The training labels fitted, so these count from another number, or have more classes.
  if (first !== undefined && lowest !== first && highest - lowest < classes) {
    throw new DataError(
      `Cannot use labels from ${path}: its labels go from ${lowest} to ${highest}, expected them to count from ${first} as the training labels do; use both label files from the same data set`,
    );
  }
  const number = lowest === 1 && first === undefined ? highest : highest + 1;
  throw new DataError(
    `Cannot use labels from ${path}: label ${values[index]} at index ${index}, expected ${from} to ${from + classes - 1} for the net's ${classes} classes; its labels go from ${lowest} to ${highest}: set net.classes to the number of classes of this data set, --classes ${number}`,
  );
}

interface Header {
  sizes: number[];
  headerBytes: number;
  /** Of the whole file, uncompressed. */
  bytes: number;
}

function readIdx(path: string, kind: Kind): { sizes: number[]; values: Uint8Array } {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const head = Buffer.alloc(GZIP_HEAD_BYTES);
    const start = head.subarray(0, readSync(file, head, 0, GZIP_HEAD_BYTES, 0));
    const isGzip = start[0] === 0x1f && start[1] === 0x8b;
    const { size } = fstatSync(file);
    return isGzip ? readGzip(path, kind, start, size) : readPlain(path, kind, file, start, size);
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw failure(path, kind, `${(error as Error).message}, expected an IDX file that can be read`, 'check the file');
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function readPlain(path: string, kind: Kind, file: number, head: Buffer, bytes: number) {
  const header = parseHeader(path, kind, head);
  checkLength(path, kind, header, bytes);
  const values = allocate(header);
  for (let done = 0; done < values.length; ) {
    const count = readSync(file, values, done, values.length - done, header.headerBytes + done);
    if (count === 0) checkLength(path, kind, header, header.headerBytes + done); // it has been truncated meanwhile
    done += count;
  }
  return { sizes: header.sizes, values };
}

function readGzip(path: string, kind: Kind, head: Buffer, compressedBytes: number) {
  // The flush accepts that the input stops in the middle.
  const headOptions = {
    finishFlush: constants.Z_SYNC_FLUSH,
    maxOutputLength: (GZIP_HEAD_BYTES + 1) * MAX_GZIP_RATIO,
  };
  const unzippedHead = unzip(path, kind, () => gunzipSync(head, headOptions));
  const header = parseHeader(path, kind, unzippedHead);
  if (header.bytes > MAX_UNCOMPRESSED_BYTES) {
    const found = `its header announces ${header.bytes} bytes, expected at most ${MAX_UNCOMPRESSED_BYTES} in a compressed file`;
    throw failure(path, kind, found, 'unpack it with gunzip if that is right');
  }
  if (header.bytes > compressedBytes * MAX_GZIP_RATIO) throw wrongLength(path, kind, header, 'truncated', 'fewer');
  const options = { maxOutputLength: header.bytes + 1, chunkSize: 2 ** 20 };
  const all = unzip(path, kind, () => gunzipSync(readFileSync(path), options), header);
  checkLength(path, kind, header, all.length);
  const values = allocate(header);
  values.set(all.subarray(header.headerBytes));
  return { sizes: header.sizes, values };
}

/** Translates zlib's errors. */
function unzip(path: string, kind: Kind, run: () => Buffer, header?: Header): Buffer {
  try {
    return run();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (header && code === 'ERR_BUFFER_TOO_LARGE') throw wrongLength(path, kind, header, 'trailing', 'more');
    if (header && code === 'Z_BUF_ERROR') throw wrongLength(path, kind, header, 'truncated', 'fewer');
    if (!code?.startsWith('Z_')) throw error;
    const found = `its gzip data is damaged (${message}), expected a complete gzip file`;
    throw failure(path, kind, found, 'download it again');
  }
}

function parseHeader(path: string, kind: Kind, head: Buffer): Header {
  const headerBytes = 4 + 4 * kind.sizes;
  const placeholder = describePlaceholder(head, path);
  if (placeholder !== undefined) throw failure(path, kind, placeholder, 'then try again');
  if (head.length < headerBytes) {
    const found = `it ends after ${head.length} bytes, expected a header of ${headerBytes}`;
    throw failure(path, kind, found, 'download it again');
  }
  const magic = head.readUInt32BE(0);
  if (magic !== kind.magic) {
    const found = `its magic number is ${hex(magic)}, expected ${hex(kind.magic)} (${kind.dimensions})`;
    throw failure(path, kind, found, `check that it is an IDX file of ${kind.what}`);
  }
  const sizes = Array.from({ length: kind.sizes }, (_, i) => head.readUInt32BE(4 + 4 * i));
  if (sizes.includes(0)) {
    const found = `its header says ${sizes.join(' x ')}, expected at least one value`;
    throw failure(path, kind, found, 'download it again');
  }
  return { sizes, headerBytes, bytes: headerBytes + sizes.reduce((product, size) => product * size, 1) };
}

function checkLength(path: string, kind: Kind, header: Header, bytes: number): void {
  if (bytes < header.bytes) throw wrongLength(path, kind, header, 'truncated', String(bytes));
  if (bytes > header.bytes) throw wrongLength(path, kind, header, 'trailing', String(bytes));
}

function wrongLength(
  path: string,
  kind: Kind,
  { bytes, sizes }: Header,
  what: 'truncated' | 'trailing',
  found: string,
): DataError {
  const start = what === 'truncated' ? 'it is truncated' : 'it has trailing bytes';
  const expected = `expected ${bytes} for the ${sizes.join(' x ')} values of its header`;
  return failure(path, kind, `${start}: it holds ${found} bytes, ${expected}`, 'download it again');
}

function failure(path: string, kind: Kind, found: string, remedy: string): DataError {
  return new DataError(`Cannot read ${kind.what} from ${path}: ${found}; ${remedy}`);
}

function hex(word: number): string {
  return `0x${word.toString(16).padStart(8, '0')}`;
}

function allocate({ bytes, headerBytes }: Header): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(bytes - headerBytes));
}
