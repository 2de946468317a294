import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { dropout, flat } from '../../src/model/forward.js';
import type { PlacedLayer } from '../../src/model/net.js';

before(() => tf.setBackend('cpu'));

type Dropout = Extract<PlacedLayer, { kind: 'dropout' }>;

test('flat() is row-major, and leaves what is flat', () => {
  const x = tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8], [2, 1, 2, 2]);
  assert.deepEqual(flat(x).shape, [2, 4]);
  assert.deepEqual([...flat(x).dataSync()], [1, 2, 3, 4, 5, 6, 7, 8]);
  const already = tf.zeros([2, 3]);
  assert.equal(flat(already), already);
});

test('dropout() applies its factor at test as in 2012, or in training as today', () => {
  const x = tf.tensor2d([1, 2, 3, 4], [1, 4]);
  const mask = () => tf.tensor2d([1, 0, 0, 1], [1, 4]);
  const values = (scale: Dropout['scale'], training: boolean) => {
    const layer = { kind: 'dropout', name: 'drop', keep: 0.8, scale } as Dropout;
    return [...dropout(x, layer, training, training ? mask : assert.fail).dataSync()].map((each) => +each.toFixed(5));
  };
  assert.deepEqual(values('test', true), [1, 0, 0, 4]);
  assert.deepEqual(values('test', false), [0.8, 1.6, 2.4, 3.2]);
  assert.deepEqual(values('train', true), [1.25, 0, 0, 5]);
  assert.deepEqual(values('train', false), [1, 2, 3, 4]);
});
