/** Nets with options, of one column or of separate columns; where columns cross, and which tower has which layer. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { isOneColumn, type Net, parametersOf, sitesOf } from '../../src/model/net.js';
import type { TableName } from '../../src/model/tables.js';
import { netOf, TABLE_NAMES } from './nets.js';

test('buildNet() replaces every activation if asked, and leaves the tables unchanged', () => {
  const functions = (net: Net) => net.layers.flatMap((layer) => (layer.kind === 'activation' ? [layer.function] : []));
  assert.deepEqual(functions(netOf('original', { activation: 'tanh' })), Array(7).fill('tanh'));
  assert.deepEqual(functions(netOf('original')), Array(7).fill('relu'));
  assert.deepEqual(functions(netOf('lenet')), Array(4).fill('sigmoid'));
});

test('buildNet() leaves out response normalization if asked, and nothing else', () => {
  for (const table of TABLE_NAMES) {
    const [whole, without] = [netOf(table), netOf(table, { norm: false })];
    assert.deepEqual(
      without.layers,
      whole.layers.filter(({ kind }) => kind !== 'norm' && kind !== 'mapNorm'),
    );
    assert.deepEqual(netOf(table, { norm: true }).layers, whole.layers);
  }
});

// Paper §3.4: s = 2, z = 2 "produces output of equivalent dimensions".
test('buildNet() pools without overlap if asked; in the original to the same sizes', () => {
  for (const inputSize of [224, 67]) {
    const [whole, without] = [netOf('original', { inputSize }), netOf('original', { inputSize, overlap: false })];
    const expected = whole.layers.map((layer) => (layer.kind === 'pool' ? { ...layer, size: 2, stride: 2 } : layer));
    assert.deepEqual(without.layers, expected);
    assert.deepEqual(netOf('original', { inputSize, overlap: true }).layers, whole.layers);
  }
  assert.deepEqual(netOf('lenet', { overlap: false }).layers, netOf('lenet').layers);
});

test('buildNet() leaves out dropout if asked, and nothing else', () => {
  for (const table of TABLE_NAMES) {
    const [whole, without] = [netOf(table), netOf(table, { dropout: false })];
    assert.deepEqual(
      without.layers,
      whole.layers.filter(({ kind }) => kind !== 'dropout'),
    );
    assert.deepEqual(sitesOf(without), sitesOf(whole));
  }
});

test('sitesOf() returns where the columns cross, and what one tower sends', () => {
  for (const table of ['original', 'paper'] as const) {
    assert.deepEqual(sitesOf(netOf(table)), [
      { name: 'conv3', shape: [13, 13, 128] },
      { name: 'fc6', shape: [6, 6, 128] },
      { name: 'fc7', shape: [1, 1, 2048] },
      { name: 'fc8', shape: [1, 1, 2048], home: 0 },
    ]);
  }
  const names = (table: TableName) => sitesOf(netOf(table)).map(({ name }) => name);
  assert.deepEqual(names('columns'), ['fc8']);
  assert.deepEqual(names('one-gpu'), []);
  assert.deepEqual(names('tutorial'), ['conv2', 'conv3', 'conv4', 'conv5', 'fc6', 'fc7', 'fc8']);
  assert.deepEqual(names('lenet'), ['conv2', 'fc3', 'fc4', 'fc5']);
});

test('buildNet() puts the last layer on tower 0 and the others on both', () => {
  for (const table of TABLE_NAMES.filter((name) => name !== 'one-gpu')) {
    const { layers } = netOf(table);
    for (const layer of layers) assert.deepEqual(layer.towers, layer === layers.at(-1) ? [0] : [0, 1], table);
  }
  for (const { towers } of netOf('one-gpu').layers) assert.deepEqual(towers, [0]);
});

test('isOneColumn() is true only for the one-GPU net', () => {
  assert.deepEqual(
    TABLE_NAMES.filter((table) => isOneColumn(netOf(table))),
    ['one-gpu'],
  );
});

// layers-145-half.cfg: one column of 48, 128, 192, 192 kernels, but 256 in conv5 and whole dense layers.
test('buildNet() builds the one-GPU net that the paper compares with', () => {
  const outputs = netOf('one-gpu').layers.flatMap((layer) =>
    'name' in layer ? [`${layer.name} ${layer.output}`] : [],
  );
  assert.deepEqual(outputs, [
    ...['conv1 55,55,48', 'pool1 27,27,48', 'conv2 27,27,128', 'pool2 13,13,128', 'conv3 13,13,192'],
    ...['conv4 13,13,192', 'conv5 13,13,256', 'pool5 6,6,256', 'fc6 1,1,4096', 'drop6 1,1,4096'],
    ...['fc7 1,1,4096', 'drop7 1,1,4096', 'fc8 1,1,1000'],
  ]);
});

// layers-150.cfg, a column: conv2 160, fc 4096 and 2048.
test('buildNet() builds columns that do not read each other before fc8', () => {
  const shapes = (layer: string) =>
    parametersOf(netOf('columns'), 1).flatMap((each) => (each.layer === layer ? [each.shape] : []));
  assert.deepEqual(shapes('conv2'), [[5, 5, 48, 160], [160]]);
  assert.deepEqual(shapes('conv3'), [[3, 3, 160, 192], [192]]);
  assert.deepEqual(shapes('fc6'), [[4608, 4096], [4096]]);
  assert.deepEqual(shapes('fc7'), [[4096, 2048], [2048]]);
});
