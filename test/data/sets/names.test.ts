import assert from 'node:assert/strict';
import test from 'node:test';
import { nameAt, packNames } from '../../../src/data/sets/names.js';

test('nameAt() returns each name of packNames(), also empty and non-ASCII names', () => {
  const names = ['train/a/1.jpg', '', 'äöü/犬.png', '🐕', 'z'];
  const packed = packNames(names);
  assert.deepEqual(
    names.map((_, i) => nameAt(packed, i)),
    names,
  );
  assert.ok(packed.bytes.buffer instanceof SharedArrayBuffer && packed.ends.buffer instanceof SharedArrayBuffer);
});

test('packNames() of an empty list is empty', () => {
  assert.deepEqual([packNames([]).bytes.length, packNames([]).ends.length], [0, 0]);
});
