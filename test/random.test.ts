import assert from 'node:assert/strict';
import test from 'node:test';
import { draw, nameWord, PURPOSE, philox, shuffled, unit } from '../src/random.js';

// Known answers of Random123 (kat_vectors, philox4x32 with 10 rounds), the generator authors' own library.
test('philox() has the published known answers', () => {
  assert.deepEqual(philox([0, 0, 0, 0], [0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  const ones = 0xffffffff;
  assert.deepEqual(philox([ones, ones, ones, ones], [ones, ones]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
  assert.deepEqual(
    philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  );
});

test('draw() depends on every argument', () => {
  const draws = [
    draw(1, PURPOSE.init, 1, 0, 0),
    draw(2, PURPOSE.init, 1, 0, 0),
    draw(1, PURPOSE.crop, 1, 0, 0),
    draw(1, PURPOSE.init, 2, 0, 0),
    draw(1, PURPOSE.init, 1, 1, 0),
    draw(1, PURPOSE.init, 1, 0, 1),
    draw(1, PURPOSE.init, 1, 0, 2 ** 32),
  ].map(String);
  assert.equal(new Set(draws).size, draws.length);
});

test('unit() stays below 1', () => {
  assert.deepEqual([unit(0), unit(0xffffffff) < 1], [0, true]);
});

test('nameWord() is FNV-1a', () => {
  assert.deepEqual([nameWord(''), nameWord('a'), nameWord('foobar')], [0x811c9dc5, 0xe40c292c, 0xbf9cf968]);
});

test('shuffled() returns a different permutation for each seed and epoch', () => {
  const first = shuffled(100, 1, 0);
  assert.deepEqual(
    [...first].sort((a, b) => a - b),
    [...Array(100).keys()],
  );
  assert.deepEqual(shuffled(100, 1, 0), first);
  assert.notDeepEqual(shuffled(100, 1, 1), first);
  assert.notDeepEqual(shuffled(100, 2, 0), first);
  assert.deepEqual([...shuffled(1, 1, 0)], [0]);
});
