/**
 * safetensors: a file of named tensors that PyTorch, JAX and many others read. Eight bytes with the length of a JSON
 * header, the header, then the values. (https://github.com/huggingface/safetensors, "Format")
 */
import assert from 'node:assert';
import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { CheckpointError, truncate } from '../errors.js';
import { describeMissing, describeWeightsFile, readFileStart } from '../file-kind.js';
import { jsonText } from '../printable.js';
import { parseJson } from '../read-json.js';
import { OVERWRITE, openNoFollow } from '../safe-write.js';
import { CHUNK_BYTES, flushFolder, writeAll } from './disk.js';
import { type Dtype, isDtype, KINDS } from './dtypes.js';

/** A tensor's name and shape. */
export interface Entry {
  name: string;
  shape: readonly number[];
}

/** An open file of tensors. */
export interface TensorFile {
  readonly metadata: Readonly<Record<string, string>>;
  readonly entries: readonly Entry[];
  /** @throws CheckpointError when there is no tensor of that name and shape; nothing is read. */
  expect(name: string, shape: readonly number[]): void;
  /** Reads the values of one tensor. @throws CheckpointError when there is none of that name or shape. */
  read(name: string, shape: readonly number[]): Float32Array<ArrayBuffer>;
  close(): void;
}

const LENGTH_BYTES = 8;
/**
 * A sixth of safetensors' own limit, for JSON takes up to twenty times its bytes in memory. A net here has up to 32
 * tensors; the names of 65,536 classes need most.
 */
const MAX_HEADER_BYTES = 2 ** 24;

/**
 * Writes a file whole or not at all: under another name first, flushed to the disk, then renamed.
 * @param fill writes a tensor's bytes, little-endian and row-major, into the buffer it is given.
 * @throws CheckpointError when the disk does not take it, or its header would be longer than may be read.
 */
export function writeTensors(
  file: string,
  entries: readonly Entry[],
  metadata: Readonly<Record<string, string>>,
  fill: (entry: Entry, bytes: Uint8Array) => void,
): void {
  const draft = `${file}.${process.pid}.partial`;
  const header = headerOf(entries, metadata, (found) => {
    throw new CheckpointError(`Cannot write the weights ${file}: ${found}; give the classes shorter names`, file);
  });
  try {
    const descriptor = openNoFollow(draft, OVERWRITE);
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
    renameSync(draft, file);
    flushFolder(dirname(file));
  } catch (error) {
    removeDraft(draft);
    // Only the system's own errors are the disk's; `fill` has others.
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new CheckpointError(
      `Cannot write the weights ${file}: ${(error as Error).message}; make room, or choose another folder with --out`,
      file,
    );
  }
}

/** How a file is opened that is not a run's own. */
export interface OpenOptions {
  /** Ends the message of an error: what to do. */
  advice?: string;
  /** Kinds of numbers that are read, as float32. */
  dtypes?: readonly Dtype[];
}

/**
 * Opens a file and checks its header: sizes before anything is allocated, every tensor float32, and the values of all of
 * them, without overlap or gap, the rest of the file.
 * @throws CheckpointError that names the file and what is wrong with it; of a file of another kind, what it is.
 */
export function openTensors(
  file: string,
  { advice = 'take another run, or train again', dtypes = ['F32'] }: OpenOptions = {},
): TensorFile {
  const fail = (found: string): never => {
    throw new CheckpointError(`Cannot read the weights ${file}: ${found}; ${advice}`, file);
  };
  let descriptor: number;
  try {
    // A pipe that nobody writes to would keep the process.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    return fail((error as NodeJS.ErrnoException).code === 'ENOENT' ? describeMissing(file) : (error as Error).message);
  }
  try {
    const { header, start } = readHeader(descriptor, (found) =>
      fail(describeWeightsFile(readFileStart(file), file) ?? found),
    );
    const places = placesOf(header, fstatSync(descriptor).size - start, dtypes, fail);
    const metadata = metadataOf(header, fail);
    const placeOf = (name: string, shape: readonly number[]): Place => {
      const place = places.get(name);
      if (!place) return fail(`it has no tensor ${name}`);
      if (String(place.shape) === String(shape)) return place;
      return fail(`${name} is [${truncate(String(place.shape))}] there, and [${shape}] in this net`);
    };
    return {
      metadata,
      entries: [...places].map(([name, { shape }]) => ({ name, shape })),
      expect: placeOf,
      read(name, shape) {
        const place = placeOf(name, shape);
        const raw = new Uint8Array(place.bytes);
        readAll(descriptor, raw, start + place.offset, fail);
        return KINDS[place.dtype].values(raw);
      },
      close: () => closeSync(descriptor),
    };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

interface Place {
  dtype: Dtype;
  shape: number[];
  offset: number;
  bytes: number;
}

type Fail = (found: string) => never;

/**
 * A file's first bytes: the header's length and the header; the tensors follow in that order, without a gap.
 * @param fail is told of a header that nobody here would read again; an Error without it.
 */
export function headerOf(
  entries: readonly Entry[],
  metadata: Readonly<Record<string, string>>,
  fail: Fail = (found) => {
    throw new Error(found);
  },
): Uint8Array {
  let offset = 0;
  const header: Record<string, unknown> = Object.create(null); // a tensor may have any name, `__proto__` too
  header.__metadata__ = metadata;
  for (const { name, shape } of entries) {
    assert(!(name in header), `two tensors named ${name}`);
    const end = offset + bytesOf(shape);
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = jsonText(header);
  // Spaces bring the values to a multiple of eight bytes.
  const json = Buffer.alloc(Math.ceil(Buffer.byteLength(text) / 8) * 8, ' ');
  if (json.length > MAX_HEADER_BYTES) fail(tooLong(json.length));
  json.write(text);
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json]);
}

function tooLong(length: number): string {
  return `its header has ${length} bytes, more than ${MAX_HEADER_BYTES}`;
}

function readHeader(descriptor: number, fail: Fail): { header: Record<string, unknown>; start: number } {
  const stats = fstatSync(descriptor);
  if (!stats.isFile() && !stats.isDirectory()) fail('it is no file');
  const { size } = stats;
  if (size < LENGTH_BYTES) fail(`it has ${size} bytes, too few for a header`);
  const lengthBytes = Buffer.alloc(LENGTH_BYTES);
  readAll(descriptor, lengthBytes, 0, fail);
  const length = Number(lengthBytes.readBigUInt64LE());
  if (length > size - LENGTH_BYTES) fail('its header is longer than the file');
  if (length > MAX_HEADER_BYTES) fail(tooLong(length));
  const json = Buffer.alloc(length);
  readAll(descriptor, json, LENGTH_BYTES, fail);
  try {
    const header = parseJson(json.toString('utf8'));
    if (typeof header !== 'object' || header === null || Array.isArray(header)) throw new Error();
    return { header: header as Record<string, unknown>, start: LENGTH_BYTES + length };
  } catch {
    return fail('its header is not a JSON object');
  }
}

function placesOf(
  header: Record<string, unknown>,
  available: number,
  dtypes: readonly Dtype[],
  fail: Fail,
): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const [key, value] of Object.entries(header)) {
    if (key === '__metadata__') continue;
    const name = truncate(key);
    const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
    if (!isDtype(dtype, dtypes)) {
      return fail(`${name} is ${truncate(`${JSON.stringify(dtype)}`)}, expected ${dtypes.join(' or ')}`);
    }
    if (!isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) return fail(`${name} has no shape or offsets`);
    const [begin, end] = offsets as [number, number];
    if (end - begin !== bytesOf(shape, dtype) || end > available) fail(`${name} does not lie within the file`);
    places.set(key, { dtype, shape, offset: begin, bytes: end - begin });
  }
  let covered = 0;
  for (const [name, { offset, bytes }] of [...places].sort(
    ([, a], [, b]) => a.offset - b.offset || a.bytes - b.bytes,
  )) {
    if (offset !== covered) fail(`${truncate(name)} overlaps another tensor, or a gap comes before it`);
    covered += bytes;
  }
  if (covered !== available) fail(`its tensors have ${covered} bytes, and ${available} are there`);
  return places;
}

function metadataOf({ __metadata__: metadata = {} }: Record<string, unknown>, fail: Fail): Record<string, string> {
  const isMap = typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata);
  if (!isMap || Object.values(metadata).some((value) => typeof value !== 'string')) {
    return fail('its metadata is not a map of strings');
  }
  return metadata as Record<string, string>;
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((each) => Number.isSafeInteger(each) && each >= 0);
}

/** Bytes of a tensor, of float32 if it is not said otherwise. */
export function bytesOf(shape: readonly number[], dtype: Dtype = 'F32'): number {
  return shape.reduce((product, size) => product * size, KINDS[dtype].bytes);
}

function readAll(descriptor: number, into: Uint8Array, position: number, fail: Fail): void {
  for (let done = 0; done < into.length; ) {
    const count = readSome(descriptor, into, done, position + done, fail);
    if (count === 0) fail('it ends too early');
    done += count;
  }
}

function readSome(descriptor: number, into: Uint8Array, done: number, position: number, fail: Fail): number {
  try {
    return readSync(descriptor, into, done, Math.min(into.length - done, CHUNK_BYTES), position);
  } catch (error) {
    return fail((error as Error).message); // a folder, a disk that fails
  }
}

/** Does not hide the error that made the draft useless. */
function removeDraft(draft: string): void {
  try {
    rmSync(draft, { force: true });
  } catch {
    // Where it could not be made, it cannot be removed.
  }
}

/** The weights file of a tower, of `count`. */
export function weightsName(tower: number, count: number): string {
  return `tower-${tower}-of-${count}.safetensors`;
}

/** Whether a file's name is one of {@link weightsName}'s. */
export function isWeightsName(path: string): boolean {
  return /^tower-\d+-of-\d+\.safetensors$/.test(basename(path));
}
