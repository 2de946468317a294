import assert from 'node:assert/strict';
import test from 'node:test';
import { groupEnds } from '../../src/model/segments.js';
import { tinyNet } from './draws.js';

test('groupEnds() names the last layer before the next that has a name', () => {
  const { layers } = tinyNet('original');
  const ends = groupEnds(layers);
  assert.equal(ends.length, layers.length);
  const named = layers.map(({ kind }, i) => `${kind} ${ends[i] ?? '-'}`);
  assert.deepEqual(named.slice(0, 9), [
    ...['conv -', 'norm conv1', 'pool -', 'activation pool1'],
    ...['conv -', 'activation -', 'norm -', 'mapNorm conv2', 'pool pool2'],
  ]);
  assert.equal(ends.at(-1), 'fc8');
});
