import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { TFJS_OPS } from '../../src/model/ops.js';
import { referenceForward } from '../../src/model/reference.js';
import { imagesFor, runFor, tinyNet, valuesOf } from './draws.js';
import { TABLE_NAMES } from './nets.js';

before(() => tf.setBackend('cpu'));

/** Both towers' names. */
const both = (...paths: string[]) => paths.flatMap((path) => [`tower0/${path}`, `tower1/${path}`]);

test('referenceForward() gives a score for each image and class, for every table', () => {
  for (const table of TABLE_NAMES) {
    const net = tinyNet(table);
    const logits = referenceForward(net, imagesFor(net), runFor(net, true).run);
    assert.deepEqual(logits.shape, [2, 5], table);
    assert.ok(logits.dataSync().every(Number.isFinite), table);
  }
});

test('referenceForward() shows every named value in order, by tower', () => {
  const net = tinyNet('original');
  const { run, captured } = runFor(net, true);
  referenceForward(net, imagesFor(net), run);
  assert.deepEqual(
    captured.map(({ name }) => name),
    [
      ...both('conv1', 'pool1', 'conv2', 'pool2', 'conv3/input', 'conv3', 'conv4', 'conv5', 'pool5'),
      ...both('fc6/input', 'fc6', 'drop6', 'fc7/input', 'fc7', 'drop7'),
      ...['tower0/fc8/input', 'tower0/fc8'],
    ],
  );
  const shapes = new Map(captured.map(({ name, tensor }) => [name, tensor.shape]));
  // 96, 256, 384, 384, 256, 4096 kernels and units at 0.02, half of them in each tower.
  const expected = {
    'tower1/conv1': [2, 15, 15, 1],
    'tower1/pool1': [2, 7, 7, 1],
    'tower0/pool2': [2, 3, 3, 3],
    'tower1/conv3/input': [2, 3, 3, 6],
    'tower1/conv3': [2, 3, 3, 4],
    'tower0/pool5': [2, 1, 1, 3],
    'tower0/fc6/input': [2, 1, 1, 6],
    'tower1/fc6': [2, 41],
    'tower0/fc8/input': [2, 82],
    'tower0/fc8': [2, 5],
  };
  for (const [name, shape] of Object.entries(expected)) assert.deepEqual(shapes.get(name), shape, name);
  const layers = new Set(captured.map(({ name, layer }) => name.split('/')[1] === layer));
  assert.deepEqual([...layers], [true]);
});

test('referenceForward() keeps the towers apart but where a layer reaches both', () => {
  const net = tinyNet('original');
  const images = imagesFor(net);
  const plain = runFor(net, false);
  referenceForward(net, images, plain.run);
  const changed = runFor(net, false);
  const parameters = new Map(changed.run.parameters);
  parameters.set('tower1/conv1/bias', tf.fill([1], 5));
  referenceForward(net, images, { ...changed.run, parameters });
  const isSame = (name: string) => String(valuesOf(plain.captured, name)) === String(valuesOf(changed.captured, name));
  const names = ['tower0/conv1', 'tower1/conv1', 'tower0/pool2', 'tower1/pool2', 'tower0/conv3'];
  assert.deepEqual(names.map(isSame), [true, false, true, false, false]);
});

test('referenceForward() of 2012 has bare masks in training, and halves at test', () => {
  const net = tinyNet('original');
  const training = runFor(net, true);
  referenceForward(net, imagesFor(net), training.run);
  for (const tower of [0, 1] as const) {
    const mask = training.run.mask('drop6', tower, 2, 41).dataSync();
    const before = valuesOf(training.captured, `tower${tower}/fc6`);
    const after = valuesOf(training.captured, `tower${tower}/drop6`);
    assert.ok(before.some((value, i) => value !== 0 && mask[i] === 0));
    assert.deepEqual(
      after,
      before.map((value, i) => value * mask[i]!),
    );
  }
  const test = runFor(net, false);
  referenceForward(net, imagesFor(net), test.run);
  const halves = valuesOf(test.captured, 'tower1/fc6').map((value) => value / 2);
  assert.deepEqual(valuesOf(test.captured, 'tower1/drop6'), halves);
});

test('referenceForward() of the tutorial has doubled masks in training, and nothing at test', () => {
  const net = tinyNet('tutorial');
  const training = runFor(net, true);
  referenceForward(net, imagesFor(net), training.run);
  const mask = training.run.mask('drop7', 1, 2, 41).dataSync();
  const expected = valuesOf(training.captured, 'tower1/fc7').map((value, i) => value * mask[i]! * 2);
  assert.deepEqual(valuesOf(training.captured, 'tower1/drop7'), expected);
  const test = runFor(net, false);
  referenceForward(net, imagesFor(net), test.run);
  assert.deepEqual(valuesOf(test.captured, 'tower1/drop7'), valuesOf(test.captured, 'tower1/fc7'));
});

test('referenceForward() of one column runs it as a net without towers', () => {
  const net = tinyNet('one-gpu');
  const images = imagesFor(net);
  const { run, captured } = runFor(net, false);
  const logits = referenceForward(net, images, run);
  assert.deepEqual(new Set(captured.map(({ name }) => name.split('/')[0])), new Set(['tower0']));
  // The layers one after another: norms over all maps, no slices.
  let x: tf.Tensor = images;
  for (const layer of net.layers) {
    const of = <T extends tf.Tensor>(role: string) =>
      run.parameters.get(`tower0/${'name' in layer ? layer.name : ''}/${role}`) as T;
    if (layer.kind === 'conv') x = TFJS_OPS.conv(x as tf.Tensor4D, of('kernel'), of('bias'), layer);
    if (layer.kind === 'dense') {
      x = TFJS_OPS.dense(tf.reshape(x, [2, x.size / 2]) as tf.Tensor2D, of('kernel'), of('bias'));
    }
    if (layer.kind === 'norm') x = TFJS_OPS.norm(x as tf.Tensor4D, layer);
    if (layer.kind === 'mapNorm') x = TFJS_OPS.mapNorm(x as tf.Tensor4D, layer);
    if (layer.kind === 'pool') x = TFJS_OPS.pool(x as tf.Tensor4D, layer);
    if (layer.kind === 'activation') x = tf.relu(x);
    if (layer.kind === 'dropout') x = tf.mul(x, layer.keep);
  }
  assert.deepEqual([...logits.dataSync()], [...x.dataSync()]);
});

test('referenceForward() names a parameter that is missing', () => {
  const net = tinyNet('lenet');
  const { run } = runFor(net, true);
  const parameters = new Map(run.parameters);
  parameters.delete('tower1/conv2/bias');
  assert.throws(
    () => referenceForward(net, imagesFor(net), { ...run, parameters }),
    /no parameter tower1\/conv2\/bias/,
  );
});
