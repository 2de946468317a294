/** What is measured of a layer: against the definitions, and where there is nothing to see. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { useDevice } from '../../src/native/index.js';
import { measure, measuredLayers, measureLayers } from '../../src/tower/layer-statistics.js';
import { netOf, TABLE_NAMES } from '../model/nets.js';

before(() => useDevice('CPU:0'));

const IMAGES = 5;
const SHAPE = [IMAGES, 3, 2, 4] as const;

/** ReLUs of random numbers around 1; unit 2 is dead. */
function values(): Float32Array {
  const x = tf.randomNormal([...SHAPE], 1, 2, 'float32', 7);
  const found = Float32Array.from(x.dataSync(), (value, i) => (i % 4 === 2 ? 0 : Math.max(0, value)));
  x.dispose();
  return found;
}

const mean = (x: readonly number[]) => x.reduce((sum, each) => sum + each, 0) / x.length;
const variance = (x: readonly number[]) => mean(x.map((each) => (each - mean(x)) ** 2));

test('measure() computes mean, deviations, largest value and shares as defined', () => {
  const x = [...values()];
  const tensor = tf.tensor(x, [...SHAPE]);
  const found = measure('conv2', 1, tensor, true);
  tensor.dispose();
  const places = Array.from({ length: 24 }, (_, place) => x.filter((_, i) => i % 24 === place));
  const near = (value: number, expected: number) =>
    assert.ok(Math.abs(value - expected) < 1e-9, `${value}, ${expected}`);
  near(found.mean, mean(x));
  near(found.sd, Math.sqrt(variance(x)));
  near(found.signal, Math.sqrt(mean(places.map(variance))));
  near(found.zero, x.filter((each) => each === 0).length / x.length);
  assert.ok(found.zero > 0.25 && found.signal < found.sd);
  assert.equal(found.max, Math.max(...x));
  assert.deepEqual([found.layer, found.tower, found.units, found.dead], ['conv2', 1, 4, 1]);
});

test('measure() of the same value for every image has a signal of exactly 0', () => {
  const row = [0.1, 1 / 3, 7e6];
  const tensor = tf.tensor(Array(IMAGES).fill(row));
  const { signal, sd } = measure('fc6', 0, tensor, true);
  tensor.dispose();
  assert.equal(signal, 0);
  assert.ok(sd > 1e6);
});

test('measure() counts a unit as alive that is positive in one place of one image, and counts no dead units without a ReLU', () => {
  const x = new Float32Array(120);
  x[119] = 1e-30;
  const tensor = tf.tensor(x, [...SHAPE]);
  assert.equal(measure('conv2', 0, tensor, true).dead, 3);
  assert.ok(!('dead' in measure('conv2', 0, tensor, false)));
  tensor.dispose();
});

test('measure() returns NaN if a value is NaN', () => {
  const x = values();
  x[7] = Number.NaN;
  const tensor = tf.tensor(x, [...SHAPE]);
  const { mean, sd, signal } = measure('conv2', 0, tensor, true);
  tensor.dispose();
  assert.deepEqual([mean, sd, signal], [Number.NaN, Number.NaN, Number.NaN]);
});

test('measuredLayers() leaves dropout out and assigns a ReLU to the named layer before it', () => {
  for (const table of TABLE_NAMES) {
    const layers = measuredLayers(netOf(table));
    assert.ok(![...layers.keys()].some((name) => name.startsWith('drop')));
  }
  const relus = (table: 'original' | 'paper' | 'lenet') =>
    [...measuredLayers(netOf(table))].flatMap(([name, hasRelu]) => (hasRelu ? [name] : []));
  assert.deepEqual(relus('original'), ['pool1', 'conv2', 'conv3', 'conv4', 'pool5', 'fc6', 'fc7']);
  assert.deepEqual(relus('paper'), ['conv1', 'conv2', 'conv3', 'conv4', 'pool5', 'fc6', 'fc7']);
  assert.deepEqual(relus('lenet'), []);
});

test('measureLayers() measures activations by tower, but no inputs and no dropout', () => {
  const tensor = tf.ones([2, 3]);
  const found = measureLayers(netOf('original'), [
    { name: 'tower1/fc6', layer: 'fc6', kind: 'activation', tensor },
    { name: 'tower0/fc6/input', layer: 'fc6', kind: 'input', tensor },
    { name: 'tower0/drop6', layer: 'drop6', kind: 'activation', tensor },
    { name: 'tower0/fc8', layer: 'fc8', kind: 'activation', tensor },
  ]);
  tensor.dispose();
  assert.deepEqual(
    found.map(({ layer, tower, dead }) => [layer, tower, dead]),
    [
      ['fc6', 1, 0],
      ['fc8', 0, undefined],
    ],
  );
});
