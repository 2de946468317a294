/**
 * Files in the safetensors format, which PyTorch, JAX and many others read: eight bytes with the length of a JSON header,
 * the header, then the values. (https://github.com/huggingface/safetensors, "Format")
 */
import assert from 'node:assert';
import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { CheckpointError, truncate } from '../errors.js';
import { describeMissing, describeWeightsFile, readFileStart } from '../file-kind.js';
import { jsonText } from '../printable.js';
import { tryParseJson } from '../read-json.js';
import { OVERWRITE, openNoFollow } from '../safe-write.js';
import { CHUNK_BYTES, flushFolder, removeQuietly, writeAll } from './disk.js';

export interface Entry {
  name: string;
  shape: readonly number[];
}

/** The tensors of one or more open files. */
export interface Tensors {
  readonly entries: readonly Entry[];
  /** Reads no values. @throws CheckpointError if there is no tensor of that name and shape. */
  expect(name: string, shape: readonly number[]): void;
  /** The values as float32, row-major. @throws CheckpointError if there is no tensor of that name and shape. */
  read(name: string, shape: readonly number[]): Float32Array<ArrayBuffer>;
}

export interface TensorFile extends Tensors {
  readonly metadata: Readonly<Record<string, string>>;
  close(): void;
}

/** The dtypes that can be read: float32, and those whose every value float32 has too. Values are little-endian. */
const DTYPES = {
  F32: { bytes: 4, toFloat32: (raw: ArrayBuffer) => new Float32Array(raw) },
  F16: { bytes: 2, toFloat32: (raw: ArrayBuffer) => new Float32Array(new Uint16Array(raw)).map(halfToNumber) },
  BF16: { bytes: 2, toFloat32: (raw: ArrayBuffer) => new Float32Array(upperHalves(raw)) },
};

export type Dtype = keyof typeof DTYPES;

/** A bfloat16 is the upper half of a float32. */
function upperHalves(raw: ArrayBuffer): ArrayBuffer {
  return new Uint32Array(new Uint16Array(raw)).map((bits) => bits * 2 ** 16).buffer;
}

/** IEEE 754 binary16: a sign bit, 5 bits of exponent, 10 bits of fraction. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

const LENGTH_BYTES = 8;
/**
 * A sixth of the format's own limit, because parsed JSON takes up to twenty times its bytes in memory. A net here has up to
 * 32 tensors; the names of 65,536 classes need the most.
 */
const MAX_HEADER_BYTES = 2 ** 24;

/**
 * Writes a file atomically: to a temporary file, which is flushed to the disk and renamed.
 * @param fill writes a tensor's bytes, little-endian and row-major, into the buffer that it gets.
 * @throws CheckpointError if the write fails, or the header would be too long to be read again.
 */
export function writeTensors(
  file: string,
  entries: readonly Entry[],
  metadata: Readonly<Record<string, string>>,
  fill: (entry: Entry, bytes: Uint8Array) => void,
): void {
  const temporary = `${file}.${process.pid}.partial`;
  const header = encodeHeader(file, entries, metadata);
  try {
    const descriptor = openNoFollow(temporary, OVERWRITE);
    try {
      writeAll(descriptor, header);
      for (const entry of entries) {
        const bytes = new Uint8Array(bytesOf(entry.shape));
        fill(entry, bytes);
        writeAll(descriptor, bytes);
      }
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, file);
    flushFolder(dirname(file));
  } catch (error) {
    removeQuietly(temporary);
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error; // from `fill`
    throw new CheckpointError(
      `Cannot write the weights ${file}: ${(error as Error).message}; free some space, or choose another folder with --out`,
      file,
    );
  }
}

/**
 * The first bytes of a file: the header's length and the header. The tensors' bytes follow in this order, without gaps.
 * @throws CheckpointError if the header is longer than `openTensors` accepts.
 */
export function encodeHeader(
  file: string,
  entries: readonly Entry[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  let offset = 0;
  const header: Record<string, unknown> = Object.create(null); // a tensor may have the name `__proto__`
  header.__metadata__ = metadata;
  for (const { name, shape } of entries) {
    assert(!(name in header), `two tensors named ${name}`);
    const end = offset + bytesOf(shape);
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = jsonText(header);
  // Spaces align the values to eight bytes.
  const json = Buffer.alloc(Math.ceil(Buffer.byteLength(text) / 8) * 8, ' ');
  if (json.length > MAX_HEADER_BYTES) {
    throw new CheckpointError(
      `Cannot write the weights ${file}: its ${tooLong(json.length)}; give the classes shorter names`,
      file,
    );
  }
  json.write(text);
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json]);
}

function tooLong(length: number): string {
  return `header has ${length} bytes, more than ${MAX_HEADER_BYTES}`;
}

/**
 * Opens a file and checks its header before it allocates memory: the dtypes are as expected, and the tensors fill the rest
 * of the file without overlaps or gaps.
 * @param options `advice`: the end of an error message, what the user can do.
 * @throws CheckpointError that names the file and says what is wrong with it, or which other kind of file it is.
 */
export function openTensors(
  file: string,
  { advice = 'choose another run, or train again', dtypes = ['F32'] as readonly Dtype[] } = {},
): TensorFile {
  const explained = <T>(action: () => T): T => {
    try {
      return action();
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const found = code === 'ENOENT' ? describeMissing(file) : message;
      throw new CheckpointError(`Cannot read the weights ${file}: ${found}; ${advice}`, file);
    }
  };
  // Without O_NONBLOCK a pipe would block the process.
  const descriptor = explained(() => openSync(file, constants.O_RDONLY | constants.O_NONBLOCK));
  try {
    const { header, start } = explained(() => readHeader(file, descriptor));
    const places = explained(() => placesOf(header, fstatSync(descriptor).size - start, dtypes));
    const placeOf = (name: string, shape: readonly number[]): Place => {
      const place = places.get(name);
      if (!place) throw new Error(`it has no tensor ${name}`);
      if (String(place.shape) === String(shape)) return place;
      throw new Error(`${name} has the shape [${truncate(String(place.shape))}] there, and [${shape}] in this net`);
    };
    return {
      metadata: explained(() => metadataOf(header)),
      entries: [...places].map(([name, { shape }]) => ({ name, shape })),
      expect: (name, shape) => explained(() => placeOf(name, shape)),
      read: (name, shape) =>
        explained(() => {
          const { bytes, offset, dtype } = placeOf(name, shape);
          return DTYPES[dtype].toFloat32(readBytes(descriptor, bytes, start + offset).buffer);
        }),
      close: () => closeSync(descriptor),
    };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

function readHeader(file: string, descriptor: number): { header: Record<string, unknown>; start: number } {
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile() && !stats.isDirectory()) throw new Error('it is not a file');
    if (stats.size < LENGTH_BYTES) throw new Error(`it has ${stats.size} bytes, too few for a header`);
    const length = Number(readBytes(descriptor, LENGTH_BYTES, 0).readBigUInt64LE());
    if (length > stats.size - LENGTH_BYTES) throw new Error('its header is longer than the file');
    if (length > MAX_HEADER_BYTES) throw new Error(`its ${tooLong(length)}`);
    const header = tryParseJson(readBytes(descriptor, length, LENGTH_BYTES).toString('utf8'));
    if (!isObject(header)) throw new Error('its header is not a JSON object');
    return { header, start: LENGTH_BYTES + length };
  } catch (error) {
    const kind = describeWeightsFile(readFileStart(file), file);
    throw kind === undefined ? error : new Error(kind);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Where a tensor's values are, from the end of the header. */
interface Place {
  dtype: Dtype;
  shape: number[];
  offset: number;
  bytes: number;
}

/** @param available bytes after the header. */
function placesOf(header: Record<string, unknown>, available: number, dtypes: readonly Dtype[]): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const [key, value] of Object.entries(header)) {
    if (key === '__metadata__') continue;
    const name = truncate(key);
    const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
    if (!dtypes.includes(dtype as Dtype)) {
      throw new Error(`${name} is ${truncate(`${JSON.stringify(dtype)}`)}, expected ${dtypes.join(' or ')}`);
    }
    if (!isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) {
      throw new Error(`${name} has no shape or offsets`);
    }
    const [offset, end] = offsets as [number, number];
    const place = { dtype: dtype as Dtype, shape, offset, bytes: end - offset };
    if (place.bytes !== bytesOf(shape, place.dtype) || end > available) {
      throw new Error(`${name} does not lie within the file`);
    }
    places.set(key, place);
  }
  let covered = 0;
  const inOrder = [...places].sort(([, a], [, b]) => a.offset - b.offset || a.bytes - b.bytes);
  for (const [name, { offset, bytes }] of inOrder) {
    if (offset !== covered) throw new Error(`${truncate(name)} overlaps another tensor, or a gap comes before it`);
    covered += bytes;
  }
  if (covered !== available) throw new Error(`its tensors have ${covered} bytes, and ${available} are there`);
  return places;
}

function metadataOf({ __metadata__: metadata = {} }: Record<string, unknown>): Record<string, string> {
  if (isObject(metadata) && Object.values(metadata).every((value) => typeof value === 'string')) {
    return metadata as Record<string, string>;
  }
  throw new Error('its metadata is not a map of strings');
}

/** Stops at the first wrong value; zod would collect an issue for each, of which a damaged header may have millions. */
function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((each) => Number.isSafeInteger(each) && each >= 0);
}

export function bytesOf(shape: readonly number[], dtype: Dtype = 'F32'): number {
  return shape.reduce((product, size) => product * size, DTYPES[dtype].bytes);
}

export function valuesBytes(entries: readonly Entry[]): number {
  return entries.reduce((total, { shape }) => total + bytesOf(shape), 0);
}

function readBytes(descriptor: number, count: number, position: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(count);
  for (let done = 0; done < count; ) {
    const read = readSync(descriptor, bytes, done, Math.min(count - done, CHUNK_BYTES), position + done);
    if (read === 0) throw new Error('it ends too early');
    done += read;
  }
  return bytes;
}
