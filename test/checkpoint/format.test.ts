import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  type Entry,
  headerOf,
  isWeightsName,
  openTensors,
  weightsName,
  writeTensors,
} from '../../src/checkpoint/format.js';
import { CheckpointError, NativeError } from '../../src/errors.js';

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

/** A file with that header, and so many bytes of values. */
function writeRaw(file: string, header: unknown, bytes: number): string {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  fs.writeFileSync(file, Buffer.concat([length, json, Buffer.alloc(bytes)]));
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

test('writeTensors() writes no header that openTensors() would refuse', () => {
  const file = inFolder('long.safetensors');
  const most = 2 ** 24 - JSON.stringify({ __metadata__: { note: '' } }).length;
  writeTensors(file, [], { note: 'x'.repeat(most) }, () => {});
  openTensors(file).close();
  const write = (note: string) => () => writeTensors(file, [], { note }, () => {});
  assertRefused(write('x'.repeat(most + 1)), file, /: its header has 16777224 bytes, more than 16777216; give the cl/);
  openTensors(file).close();
  assert.throws(() => headerOf([], { note: 'x'.repeat(2 ** 24) }), /^Error: its header has \d+ bytes, more than/);
});

test('writeTensors() and openTensors() give every tensor back, whatever its name', () => {
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

test('writeTensors() writes what the safetensors library reads', (t) => {
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

test('writeTensors() replaces a file, and leaves no draft', () => {
  const file = inFolder('again.safetensors');
  fs.writeFileSync(file, 'old');
  writeSample(file);
  openTensors(file).close();
  assert.deepEqual(
    fs.readdirSync(folder).filter((name) => name.startsWith('again')),
    ['again.safetensors'],
  );
});

test('writeTensors() that fails leaves the old file and no draft', () => {
  const file = inFolder('kept.safetensors');
  fs.writeFileSync(file, 'old');
  const fail = () => {
    throw new NativeError('Cannot read a tensor', 8);
  };
  // What `fill` throws is not the disk's.
  assert.throws(() => writeTensors(file, ENTRIES, {}, fail), NativeError);
  assert.equal(fs.readFileSync(file, 'utf8'), 'old');
  assert.deepEqual(
    fs.readdirSync(folder).filter((name) => name.startsWith('kept')),
    ['kept.safetensors'],
  );
});

test('writeTensors() into no folder, or into a file, says so', () => {
  const missing = inFolder('missing/x.safetensors');
  assertRefused(() => writeTensors(missing, [], {}, () => {}), missing, /^Cannot write the weights .*ENOENT.*--out$/);
  assert.equal(fs.existsSync(inFolder('missing')), false);
  fs.writeFileSync(inFolder('plain'), '');
  const under = inFolder('plain/x.safetensors');
  assertRefused(() => writeTensors(under, [], {}, () => {}), under, /ENOTDIR/);
});

test('writeTensors() where the name is a folder leaves no draft', () => {
  const file = inFolder('folder.safetensors');
  fs.mkdirSync(file);
  assertRefused(() => writeSample(file), file, /^Cannot write the weights/);
  assert.deepEqual(
    fs.readdirSync(folder).filter((name) => name.startsWith('folder')),
    ['folder.safetensors'],
  );
});

test('writeTensors() on a full disk says so', (t) => {
  if (!fs.existsSync('/dev/full')) return t.skip('there is no /dev/full');
  const file = inFolder('full.safetensors');
  const draft = `${file}.${process.pid}.partial`;
  fs.writeFileSync(draft, '');
  const openSync = fs.openSync;
  t.mock.method(fs, 'openSync', (path: string, flags: number) => openSync(path === draft ? '/dev/full' : path, flags));
  syncBuiltinESMExports();
  assertRefused(() => writeSample(file), file, /ENOSPC.*make room/);
  t.mock.restoreAll();
  syncBuiltinESMExports();
  assert.deepEqual([fs.existsSync(file), fs.lstatSync(draft, { throwIfNoEntry: false })], [false, undefined]);
});

test('writeTensors() refuses two tensors of one name', () => {
  const file = inFolder('twice.safetensors');
  const twice = [ENTRIES[0]!, ENTRIES[0]!];
  assert.throws(() => writeTensors(file, twice, {}, () => {}), /two tensors named tower0\/conv1\/kernel/);
  assert.throws(() => writeTensors(file, [{ name: '__metadata__', shape: [1] }], {}, () => {}), /__metadata__/);
  assert.equal(fs.existsSync(file), false);
});

test('openTensors() reads a file that others wrote: no metadata, no padding, any order', () => {
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

test('openTensors() refuses a header that is cut off, or longer than the file, before it allocates for it', () => {
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

test('openTensors() refuses a file that is not there, and a folder', () => {
  const missing = inFolder('nowhere');
  assertRefused(() => openTensors(missing), missing, /it is not there; take another run/);
  assertRefused(() => openTensors(folder), folder, /^Cannot read the weights .*EISDIR|header/);
});

test('TensorFile.read() refuses a tensor that is not there or has another shape', () => {
  const file = inFolder('shapes');
  writeSample(file);
  const opened = openTensors(file);
  assertRefused(() => opened.read('tower0/fc6/kernel', [1]), file, /it has no tensor tower0\/fc6\/kernel/);
  assertRefused(() => opened.read('toString', [1]), file, /it has no tensor toString/);
  const text = /tower0\/conv1\/kernel is \[2,3\] there, and \[3,2\] in this net/;
  assertRefused(() => opened.read('tower0/conv1/kernel', [3, 2]), file, text);
  opened.close();
});

test('TensorFile.read() of a file that was cut off after it was opened says so', () => {
  const file = inFolder('shrinks');
  writeSample(file);
  const opened = openTensors(file);
  fs.truncateSync(file, fs.statSync(file).size - 48);
  assertRefused(() => opened.read('7', [4]), file, /it ends too early/);
  opened.close();
});

test('isWeightsName() takes the names that weightsName() gives', () => {
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
