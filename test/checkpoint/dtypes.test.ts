/** Half floats against Python's `struct`. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { KINDS } from '../../src/checkpoint/dtypes.js';
import { openTensors } from '../../src/checkpoint/format.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-dtypes-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

/** All there are, in order. */
const HALVES = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);
const RAW = new Uint8Array(HALVES.buffer);

const PYTHON = `import struct, sys
halves = struct.unpack('<65536e', struct.pack('<65536H', *range(65536)))
sys.stdout.buffer.write(struct.pack('<65536f', *halves))`;
const python = spawnSync('python3', ['-c', PYTHON]);
const noPython = python.status === 0 ? false : 'there is no python3 here, whose struct knows half floats';

test('F16 is read exactly: normal, subnormal, infinite, either zero, and no number', { skip: noPython }, () => {
  const [ours, theirs] = [KINDS.F16.values(RAW), python.stdout];
  for (const [i, value] of ours.entries()) {
    const expected = theirs.readFloatLE(4 * i);
    assert.ok(Object.is(value, expected), `${i.toString(16)}: ${value}, expected ${expected}`);
  }
});

test('F16 keeps what is known of it', () => {
  const bits = [0x3c00, 0xc000, 0x7bff, 0x0001, 0x03ff, 0x0400, 0x7c00, 0xfc00, 0x8000];
  const values = [1, -2, 65504, 2 ** -24, 1023 * 2 ** -24, 2 ** -14, Infinity, -Infinity, -0];
  assert.deepEqual([...KINDS.F16.values(new Uint8Array(Uint16Array.from(bits).buffer))], values);
});

test('BF16 is the upper half of a float32', () => {
  const words = new Uint32Array(KINDS.BF16.values(RAW).buffer);
  for (const [i, word] of words.entries()) assert.equal(word, i * 2 ** 16);
});

/** A file of one tensor [2], written here. */
function fileOf(dtype: string, values: ArrayBufferView): string {
  const header = JSON.stringify({ a: { dtype, shape: [2], data_offsets: [0, values.byteLength] } });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const file = join(folder, `${dtype}.safetensors`);
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  fs.writeFileSync(file, Buffer.concat([length, Buffer.from(header), bytes]));
  return file;
}

test('openTensors() reads half floats where they are asked for, and refuses what would be rounded', () => {
  const dtypes = ['F32', 'F16', 'BF16'] as const;
  for (const [dtype, bits] of [
    ['F16', [0x3c00, 0xc000]],
    ['BF16', [0x3f80, 0xc000]],
  ] as const) {
    const file = fileOf(dtype, Uint16Array.from(bits));
    const opened = openTensors(file, { dtypes });
    assert.deepEqual([...opened.read('a', [2])], [1, -2]);
    opened.close();
    assert.throws(() => openTensors(file), { message: new RegExp(`: a is "${dtype}", expected F32; `) });
  }
  const double = fileOf('F64', Float64Array.of(1, 2));
  assert.throws(() => openTensors(double, { dtypes }), { message: /: a is "F64", expected F32 or F16 or BF16; / });
  const short = fileOf('F16', Float32Array.of(1, 2));
  assert.throws(() => openTensors(short, { dtypes }), { message: /: a does not lie within the file; / });
});
