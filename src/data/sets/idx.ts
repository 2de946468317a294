/**
 * Reads IDX files, MNIST's format: a magic number, the sizes as big-endian words of 32 bits, then one byte for each value
 * (LeCun, Cortes, Burges, "The MNIST database", yann.lecun.com/exdb/mnist). Files may be in gzip. Memory is allocated only
 * after the header has been checked against the file's size.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { constants, gunzipSync, type ZlibOptions } from 'node:zlib';
import { DataError } from '../../errors.js';
import { describePlaceholder } from '../../file-kind.js';

type Kind = 'images' | 'labels';
const DIMENSIONS = { images: 3, labels: 1 };
/** Followed by the number of dimensions: a magic number of unsigned bytes. */
const UNSIGNED_BYTES = 0x00000800;

/** Twenty times Fashion-MNIST: a small compressed file must not fill the memory. */
const MAX_UNCOMPRESSED_BYTES = 2 ** 30;
/** The best ratio that Deflate reaches. */
const MAX_GZIP_RATIO = 1032;
/** Enough of a gzip file for the IDX header, even if gzip's own header has a long file name. */
const GZIP_HEAD_BYTES = 8192;

const AGAIN = 'download it again';

/** Reads images [count, height, width] into a SharedArrayBuffer. @throws DataError for a file that is not complete. */
export function readIdxImages(path: string): { count: number; height: number; width: number; pixels: Uint8Array } {
  const { sizes, values } = readIdx(path, 'images');
  const [count, height, width] = sizes as [number, number, number];
  return { count, height, width, pixels: values };
}

/**
 * Reads labels as numbers from 0, on a SharedArrayBuffer. Some data sets count them from 1, such as EMNIST's letters: if
 * the lowest label is 1 and the highest `classes`, all are reduced by one.
 * @param count number of images in `imagesPath`.
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
  const { values } = readIdx(path, 'labels');
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

/** `bytes` are those of the whole file, uncompressed. */
type Header = { sizes: number[]; headerBytes: number; bytes: number };

function readIdx(path: string, kind: Kind): { sizes: number[]; values: Uint8Array } {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const start = Buffer.alloc(GZIP_HEAD_BYTES);
    const head = start.subarray(0, readSync(file, start));
    const { size } = fstatSync(file);
    return head[0] === 0x1f && head[1] === 0x8b ? readGzip(head, size) : readPlain(file, head, size);
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw failure(`${(error as Error).message}, expected an IDX file that can be read`, 'check the file');
  } finally {
    if (file !== undefined) closeSync(file);
  }

  function readPlain(from: number, head: Buffer, bytes: number) {
    const header = parseHeader(head);
    checkLength(header, bytes);
    const { sizes, headerBytes } = header;
    const values = new Uint8Array(new SharedArrayBuffer(bytes - headerBytes));
    for (let done = 0; done < values.length; ) {
      const count = readSync(from, values, done, values.length - done, headerBytes + done);
      if (count === 0) checkLength(header, headerBytes + done); // it has been truncated meanwhile
      done += count;
    }
    return { sizes, values };
  }

  function readGzip(head: Buffer, compressedBytes: number) {
    // The flush accepts that the input stops in the middle.
    const finishFlush = constants.Z_SYNC_FLUSH;
    const header = parseHeader(unzip(head, { finishFlush, maxOutputLength: (GZIP_HEAD_BYTES + 1) * MAX_GZIP_RATIO }));
    const { sizes, headerBytes, bytes } = header;
    if (bytes > MAX_UNCOMPRESSED_BYTES) {
      const found = `its header announces ${bytes} bytes, expected at most ${MAX_UNCOMPRESSED_BYTES} in a compressed file`;
      throw failure(found, 'unpack it with gunzip if that is right');
    }
    if (bytes > compressedBytes * MAX_GZIP_RATIO) throw wrongLength(header, 'fewer');
    const all = unzip(readFileSync(path), { maxOutputLength: bytes + 1, chunkSize: 2 ** 20 }, header);
    checkLength(header, all.length);
    const values = new Uint8Array(new SharedArrayBuffer(bytes - headerBytes));
    values.set(all.subarray(headerBytes));
    return { sizes, values };
  }

  /** Translates zlib's errors. */
  function unzip(compressed: Buffer, options: ZlibOptions, header?: Header): Buffer {
    try {
      return gunzipSync(compressed, options);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (header && code === 'ERR_BUFFER_TOO_LARGE') throw wrongLength(header, 'more');
      if (header && code === 'Z_BUF_ERROR') throw wrongLength(header, 'fewer');
      if (!code?.startsWith('Z_')) throw error;
      throw failure(`its gzip data is damaged (${message}), expected a complete gzip file`, AGAIN);
    }
  }

  function parseHeader(head: Buffer): Header {
    const dimensions = DIMENSIONS[kind];
    const headerBytes = 4 + 4 * dimensions;
    const placeholder = describePlaceholder(head, path);
    if (placeholder !== undefined) throw failure(placeholder, 'then try again');
    if (head.length < headerBytes) {
      throw failure(`it ends after ${head.length} bytes, expected a header of ${headerBytes}`, AGAIN);
    }
    const [magic = 0, ...sizes] = Array.from({ length: 1 + dimensions }, (_, i) => head.readUInt32BE(4 * i));
    const expected = UNSIGNED_BYTES + dimensions;
    if (magic !== expected) {
      const meaning = `unsigned bytes in ${dimensions} dimension${dimensions === 1 ? '' : 's'}`;
      const found = `its magic number is ${hex(magic)}, expected ${hex(expected)} (${meaning})`;
      throw failure(found, `check that it is an IDX file of ${kind}`);
    }
    if (sizes.includes(0)) throw failure(`its header says ${sizes.join(' x ')}, expected at least one value`, AGAIN);
    return { sizes, headerBytes, bytes: headerBytes + sizes.reduce((product, size) => product * size, 1) };
  }

  function checkLength(header: Header, bytes: number): void {
    if (bytes !== header.bytes) throw wrongLength(header, bytes);
  }

  function wrongLength({ bytes, sizes }: Header, found: number | 'more' | 'fewer'): DataError {
    const isTruncated = found === 'fewer' || (found !== 'more' && found < bytes);
    const what = isTruncated ? 'it is truncated' : 'it has trailing bytes';
    const expected = `expected ${bytes} for the ${sizes.join(' x ')} values of its header`;
    return failure(`${what}: it holds ${found} bytes, ${expected}`, AGAIN);
  }

  function failure(found: string, remedy: string): DataError {
    return new DataError(`Cannot read ${kind} from ${path}: ${found}; ${remedy}`);
  }
}

function hex(word: number): string {
  return `0x${word.toString(16).padStart(8, '0')}`;
}
