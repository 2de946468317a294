import assert from 'node:assert/strict';
import test from 'node:test';
import { checksumOf } from '../../src/exchange/checksum.js';

function values(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => (i * 37) & 255);
}

test('checksumOf() changes with every single bit, at any length', () => {
  for (const length of [1, 2, 4, 15, 16, 33, 64, 70]) {
    const bytes = values(length);
    const sum = checksumOf(bytes);
    assert.equal(sum.length, 4);
    assert.deepEqual(sum, checksumOf(values(length)));
    for (let bit = 0; bit < 8 * length; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      assert.notDeepEqual(sum, checksumOf(bytes), `bit ${bit} of ${length} bytes`);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
    }
  }
});

test('checksumOf() changes if two words are swapped or the end is missing', () => {
  const bytes = values(64);
  const words = new Int32Array(bytes.buffer);
  const sum = checksumOf(bytes);
  for (const other of [1, 4, 5]) {
    const [a, b] = [words[0]!, words[other]!];
    [words[0], words[other]] = [b, a];
    assert.notDeepEqual(sum, checksumOf(bytes), `word ${other}`);
    [words[0], words[other]] = [a, b];
  }
  assert.notDeepEqual(sum, checksumOf(bytes.subarray(0, 60)));
  assert.notDeepEqual(checksumOf(new Uint8Array(0)), checksumOf(new Uint8Array(4)));
});
