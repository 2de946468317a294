/** Safetensors files: what is written can be read, here and in Python, and a damaged file is refused. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Entry, encodeHeader, openTensors, writeTensors } from '../../src/checkpoint/safetensors.js';
import { isWeightsName, weightsName } from '../../src/checkpoint/weights-files.js';
import { CheckpointError, NativeError } from '../../src/errors.js';
import { rawFile } from './raw-file.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-format-'));
after(() => fs.rmSync(folder, { recursive: true }));

const inFolder = (name: string) => join(folder, name);

const ENTRIES: readonly Entry[] = [
  { name: 'tower0/conv1/kernel', shape: [2, 3] },
  { name: '7', shape: [4] }, // JSON objects put such names first
  { name: 'größe', shape: [] },
  { name: '__proto__', shape: [1] },
  { name: 'none', shape: [0, 3] },
];

function valuesOf({ shape }: Entry, from: number): Float32Array {
  const size = shape.reduce((product, each) => product * each, 1);
  return Float32Array.from({ length: size }, (_, i) => from + i / 4);
}

function writeSample(file: string): void {
  writeTensors(file, ENTRIES, { net: 'original', note: 'ä' }, (entry, bytes) => {
    bytes.set(new Uint8Array(valuesOf(entry, ENTRIES.indexOf(entry) * 100).buffer));
  });
}

/** @param body the values, or the number of zero bytes. */
function writeRaw(file: string, header: unknown, body: Uint8Array | number): string {
  fs.writeFileSync(file, rawFile(header, body));
  return file;
}

function assertRefused(action: () => unknown, file: string, text: RegExp): void {
  assert.throws(action, (error: CheckpointError) => {
    assert.ok(error instanceof CheckpointError, String(error));
    assert.equal(error.path, file);
    assert.ok(error.message.includes(file), error.message);
    assert.match(error.message, text);
    return true;
  });
}

test('writeTensors() refuses a header that is too long for openTensors()', () => {
  const file = inFolder('long.safetensors');
  const most = 2 ** 24 - JSON.stringify({ __metadata__: { note: '' } }).length;
  writeTensors(file, [], { note: 'x'.repeat(most) }, () => {});
  openTensors(file).close();
  const write = (note: string) => () => writeTensors(file, [], { note }, () => {});
  assertRefused(write('x'.repeat(most + 1)), file, /: its header has 16777224 bytes, more than 16777216; give the cl/);
  openTensors(file).close();
  const encode = () => encodeHeader(file, [], { note: 'x'.repeat(2 ** 24) });
  assertRefused(encode, file, /^Cannot write the weights \S+: its header has \d+ bytes, more than/);
});

test('openTensors() reads every tensor that writeTensors() wrote, whatever its name', () => {
  const file = inFolder('round.safetensors');
  writeSample(file);
  const opened = openTensors(file);
  assert.deepEqual(opened.metadata, { net: 'original', note: 'ä' });
  const byName = (a: Entry, b: Entry) => (a.name < b.name ? -1 : 1);
  assert.deepEqual([...opened.entries].sort(byName), [...ENTRIES].sort(byName));
  // Out of order, and twice.
  for (const entry of [...ENTRIES].reverse().concat(ENTRIES)) {
    assert.deepEqual(opened.read(entry.name, entry.shape), valuesOf(entry, ENTRIES.indexOf(entry) * 100));
  }
  opened.close();
});

test('writeTensors() writes the safetensors format', () => {
  const file = inFolder('bytes.safetensors');
  writeSample(file);
  const bytes = fs.readFileSync(file);
  const length = Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString());
  assert.equal((8 + length) % 8, 0);
  assert.equal(bytes[8], '{'.charCodeAt(0));
  assert.deepEqual(header.__metadata__, { net: 'original', note: 'ä' });
  assert.deepEqual(header['tower0/conv1/kernel'], { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] });
  assert.deepEqual(header['7'], { dtype: 'F32', shape: [4], data_offsets: [24, 40] });
  assert.deepEqual(header.größe, { dtype: 'F32', shape: [], data_offsets: [40, 44] });
  assert.deepEqual(Object.getOwnPropertyDescriptor(header, '__proto__')?.value.data_offsets, [44, 48]);
  assert.deepEqual(header.none.data_offsets, [48, 48]);
  assert.equal(bytes.length, 8 + length + 48);
  assert.equal(bytes.readFloatLE(8 + length + 24 + 4), 100.25);
});

test('writeTensors() writes files that the safetensors library of Python reads', (t) => {
  const file = inFolder('python.safetensors');
  writeSample(file);
  const program = `
import sys, json
from safetensors import safe_open
with safe_open(sys.argv[1], framework="numpy") as f:
    print(json.dumps([f.metadata(), {k: f.get_tensor(k).tolist() for k in f.keys()}]))`;
  const probe = spawnSync('python3', ['-c', 'import safetensors, numpy']);
  if (probe.status !== 0) return t.skip('python3 with safetensors and numpy is not there');
  const { stdout, stderr } = spawnSync('python3', ['-c', program, file], { encoding: 'utf8' });
  assert.equal(stderr, '');
  const [metadata, tensors] = JSON.parse(stdout);
  assert.deepEqual(metadata, { net: 'original', note: 'ä' });
  assert.deepEqual(tensors['tower0/conv1/kernel'], [
    [0, 0.25, 0.5],
    [0.75, 1, 1.25],
  ]);
  assert.equal(Object.keys(tensors).length, ENTRIES.length);
});

test('writeTensors() replaces a file, and leaves no temporary file', () => {
  const file = inFolder('again.safetensors');
  fs.writeFileSync(file, 'old');
  writeSample(file);
  openTensors(file).close();
  assert.deepEqual(
    fs.readdirSync(folder).filter((name) => name.startsWith('again')),
    ['again.safetensors'],
  );
});

test('when writeTensors() fails, the old file stays and no temporary file', () => {
  const file = inFolder('kept.safetensors');
  fs.writeFileSync(file, 'old');
  const fail = () => {
    throw new NativeError('Cannot read a tensor', 8);
  };
  // An error of `fill` is not the disk's.
  assert.throws(() => writeTensors(file, ENTRIES, {}, fail), NativeError);
  assert.equal(fs.readFileSync(file, 'utf8'), 'old');
  assert.deepEqual(
    fs.readdirSync(folder).filter((name) => name.startsWith('kept')),
    ['kept.safetensors'],
  );
});

test('writeTensors() says that a folder is missing, or is a file', () => {
  const missing = inFolder('missing/x.safetensors');
  assertRefused(() => writeTensors(missing, [], {}, () => {}), missing, /^Cannot write the weights .*ENOENT.*--out$/);
  assert.equal(fs.existsSync(inFolder('missing')), false);
  fs.writeFileSync(inFolder('plain'), '');
  const under = inFolder('plain/x.safetensors');
  assertRefused(() => writeTensors(under, [], {}, () => {}), under, /ENOTDIR/);
});

test('writeTensors() leaves no temporary file if the name is a folder', () => {
  const file = inFolder('folder.safetensors');
  fs.mkdirSync(file);
  assertRefused(() => writeSample(file), file, /^Cannot write the weights/);
  assert.deepEqual(
    fs.readdirSync(folder).filter((name) => name.startsWith('folder')),
    ['folder.safetensors'],
  );
});

test('writeTensors() says that the disk is full', (t) => {
  if (!fs.existsSync('/dev/full')) return t.skip('there is no /dev/full');
  const file = inFolder('full.safetensors');
  const temporary = `${file}.${process.pid}.partial`;
  fs.writeFileSync(temporary, '');
  const openSync = fs.openSync;
  t.mock.method(fs, 'openSync', (path: string, flags: number) =>
    openSync(path === temporary ? '/dev/full' : path, flags),
  );
  syncBuiltinESMExports();
  assertRefused(() => writeSample(file), file, /ENOSPC.*free some space/);
  t.mock.restoreAll();
  syncBuiltinESMExports();
  assert.deepEqual([fs.existsSync(file), fs.lstatSync(temporary, { throwIfNoEntry: false })], [false, undefined]);
});

test('writeTensors() refuses two tensors with the same name', () => {
  const file = inFolder('twice.safetensors');
  const twice = [ENTRIES[0]!, ENTRIES[0]!];
  assert.throws(() => writeTensors(file, twice, {}, () => {}), /two tensors named tower0\/conv1\/kernel/);
  assert.throws(() => writeTensors(file, [{ name: '__metadata__', shape: [1] }], {}, () => {}), /__metadata__/);
  assert.equal(fs.existsSync(file), false);
});

test('openTensors() reads files of other programs: no metadata, no padding, any order', () => {
  const header = {
    b: { dtype: 'F32', shape: [1], data_offsets: [8, 12] },
    a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
  };
  const opened = openTensors(writeRaw(inFolder('other'), header, 12));
  assert.deepEqual(opened.metadata, {});
  assert.deepEqual(opened.read('b', [1]), new Float32Array(1));
  opened.close();
});

/** A header with one tensor, changed. */
const one = (change: object) => ({ a: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...change } });
const two = (first: [number, number], second: [number, number]) => ({
  a: { dtype: 'F32', shape: [2], data_offsets: first },
  b: { dtype: 'F32', shape: [2], data_offsets: second },
});

const BROKEN: [string, unknown, number, RegExp][] = [
  ['no JSON', 'nonsense', 8, /not a JSON object/],
  ['a JSON array', [], 8, /not a JSON object/],
  ['a JSON null', 'null', 8, /not a JSON object/],
  ['an empty header', '', 8, /not a JSON object/],
  ['a tensor that is null', { a: null }, 8, /a is undefined, expected F32/],
  ['another dtype', one({ dtype: 'F16' }), 8, /a is "F16", expected F32/],
  ['no shape', one({ shape: undefined }), 8, /a has no shape or offsets/],
  ['a negative size', one({ shape: [-2] }), 8, /a has no shape or offsets/],
  ['half a size', one({ shape: [0.5] }), 8, /a has no shape or offsets/],
  ['a long list of half sizes', one({ shape: Array(300_000).fill(0.5) }), 8, /a has no shape or offsets/],
  ['three offsets', one({ data_offsets: [0, 8, 8] }), 8, /a has no shape or offsets/],
  ['a negative offset', one({ data_offsets: [-8, 0] }), 8, /a has no shape or offsets/],
  ['offsets backwards', one({ data_offsets: [8, 0] }), 8, /a does not lie within the file/],
  ['offsets of another size', one({ data_offsets: [0, 4] }), 8, /a does not lie within the file/],
  ['offsets past the end', one({ data_offsets: [4, 12] }), 8, /a does not lie within the file/],
  ['a shape past all numbers', one({ shape: [2 ** 50, 2 ** 50] }), 8, /a does not lie within the file/],
  ['values cut off', one({}), 7, /a does not lie within the file/],
  ['an overlap', two([0, 8], [4, 12]), 12, /b overlaps/],
  ['two tensors in one place', two([0, 8], [0, 8]), 8, /b overlaps/],
  ['a gap', two([0, 8], [12, 20]), 20, /gap/],
  ['bytes after the end', one({}), 9, /8 bytes, and 9 are there/],
  ['metadata that is a list', { __metadata__: ['x'], ...one({}) }, 8, /metadata is not a map of strings/],
  ['metadata with a number', { __metadata__: { step: 1 }, ...one({}) }, 8, /metadata is not a map of strings/],
];

for (const [what, header, bytes, text] of BROKEN) {
  test(`openTensors() refuses ${what}`, () => {
    const file = writeRaw(inFolder('broken'), header, bytes);
    assertRefused(() => openTensors(file), file, text);
  });
}

test('openTensors() refuses a truncated header, or one longer than the file, before it allocates memory', () => {
  const file = inFolder('cut');
  writeSample(file);
  const whole = fs.readFileSync(file);
  fs.writeFileSync(file, whole.subarray(0, 40));
  assertRefused(() => openTensors(file), file, /header is longer than the file/);
  for (const length of [BigInt(whole.length), 2n ** 40n, 2n ** 64n - 1n]) {
    const changed = Buffer.from(whole);
    changed.writeBigUInt64LE(length);
    fs.writeFileSync(file, changed);
    assertRefused(() => openTensors(file), file, /header is longer than the file/);
  }
  for (const bytes of [0, 7]) {
    fs.writeFileSync(file, whole.subarray(0, bytes));
    assertRefused(() => openTensors(file), file, new RegExp(`it has ${bytes} bytes, too few for a header`));
  }
});

test('openTensors() refuses a missing file, and a folder', () => {
  const missing = inFolder('nowhere');
  assertRefused(() => openTensors(missing), missing, /it is not there; choose another run/);
  assertRefused(() => openTensors(folder), folder, /^Cannot read the weights .*EISDIR|header/);
});

test('read() refuses a tensor that is missing or has another shape', () => {
  const file = inFolder('shapes');
  writeSample(file);
  const opened = openTensors(file);
  assertRefused(() => opened.read('tower0/fc6/kernel', [1]), file, /it has no tensor tower0\/fc6\/kernel/);
  assertRefused(() => opened.read('toString', [1]), file, /it has no tensor toString/);
  const text = /tower0\/conv1\/kernel has the shape \[2,3\] there, and \[3,2\] in this net/;
  assertRefused(() => opened.read('tower0/conv1/kernel', [3, 2]), file, text);
  opened.close();
});

test('read() says that the file was truncated after it was opened', () => {
  const file = inFolder('shrinks');
  writeSample(file);
  const opened = openTensors(file);
  fs.truncateSync(file, fs.statSync(file).size - 48);
  assertRefused(() => opened.read('7', [4]), file, /it ends too early/);
  opened.close();
});

// ---- Half floats

const HALF_OPTIONS = { dtypes: ['F32', 'F16', 'BF16'] } as const;
/** All values of 16 bits, in order. */
const HALVES = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);

/** Reads a file with one tensor `a`. */
function readOne(
  dtype: string,
  values: ArrayBufferView,
  size: number,
  options: Parameters<typeof openTensors>[1] = HALF_OPTIONS,
) {
  const header = { a: { dtype, shape: [size], data_offsets: [0, values.byteLength] } };
  const body = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const opened = openTensors(writeRaw(inFolder(dtype), header, body), options);
  try {
    return opened.read('a', [size]);
  } finally {
    opened.close();
  }
}

const PYTHON = `import struct, sys
halves = struct.unpack('<65536e', struct.pack('<65536H', *range(65536)))
sys.stdout.buffer.write(struct.pack('<65536f', *halves))`;
const python = spawnSync('python3', ['-c', PYTHON]);
const noPython = python.status === 0 ? false : 'there is no python3 to compare with';

test('openTensors() reads every F16 exactly: normal, subnormal, infinite, both zeros, NaN', { skip: noPython }, () => {
  const [ours, theirs] = [readOne('F16', HALVES, HALVES.length), python.stdout];
  for (const [i, value] of ours.entries()) {
    const expected = theirs.readFloatLE(4 * i);
    assert.ok(Object.is(value, expected), `${i.toString(16)}: ${value}, expected ${expected}`);
  }
});

test('openTensors() reads known F16 values', () => {
  const bits = [0x3c00, 0xc000, 0x7bff, 0x0001, 0x03ff, 0x0400, 0x7c00, 0xfc00, 0x8000];
  const values = [1, -2, 65504, 2 ** -24, 1023 * 2 ** -24, 2 ** -14, Infinity, -Infinity, -0];
  assert.deepEqual([...readOne('F16', Uint16Array.from(bits), bits.length)], values);
});

test('openTensors() reads BF16 as the upper half of a float32', () => {
  const words = new Uint32Array(readOne('BF16', HALVES, HALVES.length).buffer);
  for (const [i, word] of words.entries()) assert.equal(word, i * 2 ** 16);
});

test('openTensors() reads half floats only on request, and refuses a dtype that would be rounded', () => {
  for (const [dtype, bits] of [
    ['F16', [0x3c00, 0xc000]],
    ['BF16', [0x3f80, 0xc000]],
  ] as const) {
    assert.deepEqual([...readOne(dtype, Uint16Array.from(bits), 2)], [1, -2]);
    const message = new RegExp(`: a is "${dtype}", expected F32; `);
    assert.throws(() => readOne(dtype, Uint16Array.from(bits), 2, {}), { message });
  }
  assert.throws(() => readOne('F64', Float64Array.of(1, 2), 2), {
    message: /: a is "F64", expected F32 or F16 or BF16; /,
  });
  assert.throws(() => readOne('F16', Float32Array.of(1, 2), 2), { message: /: a does not lie within the file; / });
});

test('isWeightsName() accepts the names of weightsName()', () => {
  assert.equal(weightsName(1, 2), 'tower-1-of-2.safetensors');
  assert.ok(isWeightsName(join('runs', 'x', weightsName(0, 1))));
  for (const name of [
    'tower-1-of-2.safetensors.12.partial',
    'x-tower-1-of-2.safetensors',
    'tower-a-of-2.safetensors',
  ]) {
    assert.equal(isWeightsName(name), false, name);
  }
});
