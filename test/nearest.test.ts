/** Names that are similar to what somebody typed. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { nearest } from '../src/nearest.js';

test('nearest() finds a name with a letter more, less, other, or swapped with the next one', () => {
  const names = ['mini', 'fashion', 'tutorial', 'lenet'];
  const typed = { minni: 'mini', mni: 'mini', mimi: 'mini', mnii: 'mini', Fahsion: 'fashion' };
  for (const [word, name] of Object.entries(typed)) assert.equal(nearest(word, names), name);
});

test('nearest() finds nothing for a word of which more than a third differs, or all letters', () => {
  assert.equal(nearest('imagenet', ['mini', 'fashion']), undefined);
  assert.equal(nearest('x', ['a', 'b']), undefined);
  assert.equal(nearest('ab', ['ba']), 'ba'); // one swap
});
