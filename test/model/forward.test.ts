/** The forward pass: layers one by one, the reference, and a tower whose peer is played by what the reference computed. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import {
  type Captured,
  type Gather,
  groupEnds,
  type Run,
  referenceForward,
  runLayer,
  towerForward,
} from '../../src/model/forward.js';
import { type NetOptions, type PlacedLayer, type TowerIndex, volume } from '../../src/model/net.js';
import { TFJS_OPS } from '../../src/model/ops.js';
import { imagesFor, runFor, tinyNet, valuesOf } from './draws.js';
import { TABLE_NAMES } from './nets.js';

before(() => tf.setBackend('cpu'));

test('runLayer() flattens the input of a dense layer in row-major order', () => {
  const x = tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8], [2, 1, 2, 2]);
  const layer = { kind: 'dense', name: 'fc' } as PlacedLayer;
  const parameters = new Map<string, tf.Tensor>([
    ['tower0/fc/kernel', tf.eye(4)],
    ['tower0/fc/bias', tf.zeros([4])],
  ]);
  const run = { ops: TFJS_OPS, parameters } as unknown as Run;
  for (const input of [x, tf.reshape(x, [2, 4])]) {
    const y = runLayer(layer, 0, input, run);
    assert.deepEqual([y.shape, ...y.dataSync()], [[2, 4], 1, 2, 3, 4, 5, 6, 7, 8]);
  }
});

// classifier.0 of torchvision's AlexNet comes before the maps are flattened.
test('referenceForward() drops single values of the maps of pool5 in the net torchvision', () => {
  const net = tinyNet('torchvision');
  const { run, captured } = runFor(net, true);
  referenceForward(net, imagesFor(net), run);
  const mask = run.mask('drop5', 1, 2, 2 * 2 * 3).dataSync();
  const [before, after] = [valuesOf(captured, 'tower1/pool5'), valuesOf(captured, 'tower1/drop5')];
  assert.deepEqual(
    after,
    before.map((value, i) => value * mask[i]! * 2),
  );
  const dropped = before.filter((value, i) => value > 0 && after[i] === 0).length;
  assert.ok(dropped > 0 && dropped < before.filter((value) => value > 0).length, `${dropped}`);
});

test('runLayer() applies the dropout factor at test time as in 2012, or in training as PyTorch does', () => {
  const x = tf.tensor2d([1, 2, 3, 4], [1, 4]);
  const mask = () => tf.tensor2d([1, 0, 0, 1], [1, 4]);
  const values = (scale: 'test' | 'train', training: boolean) => {
    const layer = { kind: 'dropout', name: 'drop', keep: 0.8, scale, output: [1, 1, 4] } as unknown as PlacedLayer;
    const run = { training, mask: training ? mask : assert.fail } as unknown as Run;
    return [...runLayer(layer, 0, x, run).dataSync()].map((each) => +each.toFixed(5));
  };
  assert.deepEqual(values('test', true), [1, 0, 0, 4]);
  assert.deepEqual(values('test', false), [0.8, 1.6, 2.4, 3.2]);
  assert.deepEqual(values('train', true), [1.25, 0, 0, 5]);
  assert.deepEqual(values('train', false), [1, 2, 3, 4]);
});

test('groupEnds() names the last layer before the next layer with a name', () => {
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

/** Both towers' names. */
const both = (...paths: string[]) => paths.flatMap((path) => [`tower0/${path}`, `tower1/${path}`]);

test('referenceForward() returns a score for each image and class, for every table', () => {
  for (const table of TABLE_NAMES) {
    const net = tinyNet(table);
    const logits = referenceForward(net, imagesFor(net), runFor(net, true).run);
    assert.deepEqual(logits.shape, [2, 5], table);
    assert.ok(logits.dataSync().every(Number.isFinite), table);
  }
});

test('referenceForward() captures every named value in order, by tower', () => {
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

test('referenceForward() keeps the towers apart until a layer reads both', () => {
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

test('referenceForward() of 2012 applies bare masks in training and halves at test time', () => {
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

test('referenceForward() of the tutorial doubles what masks keep in training and changes nothing at test time', () => {
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

test('referenceForward() runs one column as a net without towers', () => {
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

test('referenceForward() names a missing parameter', () => {
  const net = tinyNet('lenet');
  const { run } = runFor(net, true);
  const parameters = new Map(run.parameters);
  parameters.delete('tower1/conv2/bias');
  assert.throws(
    () => referenceForward(net, imagesFor(net), { ...run, parameters }),
    /no parameter tower1\/conv2\/bias/,
  );
});

function assertClose(found: tf.Tensor, expected: tf.Tensor, what: string): void {
  assert.deepEqual(found.shape, expected.shape, what);
  const distance = tf.max(tf.abs(tf.sub(found, expected))).dataSync()[0]!;
  const largest = tf.max(tf.abs(expected)).dataSync()[0]!;
  assert.ok(distance <= 1e-5 * largest, `${what}: ${distance} of ${largest}`);
}

const references = new Map<string, ReturnType<typeof runReference>>();

function runReference(table: NetOptions['table'], training: boolean) {
  const net = tinyNet(table);
  const { run, captured } = runFor(net, training);
  return { net, run, captured, logits: referenceForward(net, imagesFor(net), run) };
}

/** Runs one tower; what the reference computed plays its peer. Asserts that each half it sends is right. */
function runTower(table: NetOptions['table'], tower: TowerIndex, training: boolean) {
  const key = `${table} ${training}`;
  const reference = references.get(key) ?? runReference(table, training);
  references.set(key, reference);
  const { net, run } = reference;
  const sites: string[] = [];
  const gather: Gather = (own, site) => {
    sites.push(site.name);
    assert.equal(own.size, 2 * volume(site.shape), 'the site has the shape of what one tower sends');
    const whole = reference.captured.find(({ kind, layer }) => kind === 'input' && layer === site.name)!.tensor;
    const half = tf.split(whole, 2, whole.rank - 1)[tower]!;
    assertClose(own, half, `${table} tower${tower} at ${site.name}`);
    return site.home !== undefined && site.home !== tower ? tf.scalar(0) : whole;
  };
  const captured: Captured[] = [];
  // A tower has only its own parameters.
  const parameters = new Map([...run.parameters].filter(([name]) => name.startsWith(`tower${tower}/`)));
  const own: Run = { ...run, parameters, capture: (value) => captured.push(value) };
  const output = towerForward(net, tower, imagesFor(net), gather, own);
  return { output, captured, reference, sites };
}

for (const table of ['original', 'paper', 'columns', 'tutorial', 'torchvision', 'lenet', 'cifar'] as const) {
  for (const tower of [0, 1] as const) {
    test(`towerForward() tower ${tower} of ${table} computes and captures what the reference does, in the same order`, () => {
      for (const training of [true, false]) {
        const { output, captured, reference } = runTower(table, tower, training);
        const own = reference.captured.filter(({ name }) => name.startsWith(`tower${tower}/`));
        assert.deepEqual(
          captured.map(({ name, kind, layer }) => ({ name, kind, layer })),
          own.map(({ name, kind, layer }) => ({ name, kind, layer })),
        );
        for (const [i, { name, tensor }] of captured.entries()) assertClose(tensor, own[i]!.tensor, name);
        if (tower === 0) {
          assert.ok('output' in output);
          assertClose(output.output, reference.logits, 'logits');
        } else {
          assert.ok('sent' in output);
          assert.deepEqual(output.sent.shape, []);
        }
      }
    });
  }
}

test('towerForward() exchanges at the sites of 2012', () => {
  assert.deepEqual(runTower('original', 0, true).sites, ['conv3', 'fc6', 'fc7', 'fc8']);
  assert.deepEqual(runTower('original', 1, true).sites, ['conv3', 'fc6', 'fc7', 'fc8']);
});

test('towerForward() runs without capture', () => {
  const net = tinyNet('lenet');
  const { run } = runFor(net, true);
  const { capture: _, ...bare } = run;
  const gather: Gather = (own) => tf.concat([own, own], own.rank - 1);
  const end = towerForward(net, 0, imagesFor(net), gather, bare);
  assert.ok('output' in end);
  assert.deepEqual(end.output.shape, [2, 5]);
});
