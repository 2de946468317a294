import assert from 'node:assert/strict';
import test from 'node:test';
import { buildNet, isWeighted, type Net, type NetOptions, volume } from '../../src/model/net.js';
import { TABLES, type TableName } from '../../src/model/tables.js';
import {
  channelsFirst,
  channelsLast,
  groupsOf,
  join,
  type Portable,
  portablesOf,
  separate,
} from '../../src/weights/portable.js';

function netOf(table: TableName, width = 1): Net {
  const { inputSize, inputChannels, classes } = TABLES[table];
  const options: NetOptions = { table, width, inputSize, inputChannels, classes, init: 'he', dropout: true };
  return buildNet(options);
}

const shapes = (net: Net) => Object.fromEntries(portablesOf(net).map(({ name, shape }) => [name, shape]));

function portable(net: Net, name: string): Portable {
  return portablesOf(net).find((each) => each.name === name)!;
}

const counting = (length: number) => Float32Array.from({ length }, (_, i) => i);

test('portablesOf() gives the shapes of the grouped AlexNet', () => {
  assert.deepEqual(shapes(netOf('original')), {
    ...{ 'conv1.weight': [96, 3, 11, 11], 'conv1.bias': [96] },
    ...{ 'conv2.weight': [256, 48, 5, 5], 'conv2.bias': [256] },
    ...{ 'conv3.weight': [384, 256, 3, 3], 'conv3.bias': [384] },
    ...{ 'conv4.weight': [384, 192, 3, 3], 'conv4.bias': [384] },
    ...{ 'conv5.weight': [256, 192, 3, 3], 'conv5.bias': [256] },
    ...{ 'fc6.weight': [4096, 9216], 'fc6.bias': [4096] },
    ...{ 'fc7.weight': [4096, 4096], 'fc7.bias': [4096] },
    ...{ 'fc8.weight': [1000, 4096], 'fc8.bias': [1000] },
  });
});

test('groupsOf() is 2 if each tower reads only its own channels', () => {
  const groups = (net: Net) => net.layers.filter(isWeighted).map((layer) => groupsOf(net, layer));
  assert.deepEqual(groups(netOf('original')), [1, 2, 1, 2, 2, 1, 1, 1]);
  assert.deepEqual(groups(netOf('tutorial')), [1, 1, 1, 1, 1, 1, 1, 1]);
});

test('join() puts each value of a convolution where PyTorch expects it', () => {
  const net = netOf('original', 0.0625);
  const conv2 = portable(net, 'conv2.weight');
  assert.deepEqual(conv2.shape, [16, 3, 5, 5]);
  const joined = new Float32Array(volume(conv2.shape));
  for (const part of conv2.parts) join(conv2, part, counting(volume(part.parameter.shape)), joined);
  // Output 11 is tower 1's output 3; ours is [5, 5, 3, 8].
  const [o, i, y, x] = [3, 2, 4, 1];
  assert.equal(joined[(((8 + o) * 3 + i) * 5 + y) * 5 + x], ((y * 5 + x) * 3 + i) * 8 + o);
  const bias = portable(net, 'conv2.bias');
  const biases = new Float32Array(16);
  bias.parts.forEach((part, tower) => {
    join(bias, part, counting(8).fill(tower + 1), biases);
  });
  assert.deepEqual([...biases], [...Array(8).fill(1), ...Array(8).fill(2)]);
});

test("join() reorders the first dense layer's inputs from row, column, channel to channel, row, column", () => {
  const net = netOf('original', 0.0625);
  const fc6 = portable(net, 'fc6.weight');
  assert.deepEqual(fc6.shape, [256, 16 * 6 * 6]);
  const joined = new Float32Array(volume(fc6.shape));
  const [, part] = fc6.parts;
  join(fc6, part!, counting(volume(part!.parameter.shape)), joined);
  // Ours is [6 · 6 · 16, 128]: channel 11 is tower 1's, for fc6 reads both.
  const [o, c, y, x] = [5, 11, 4, 2];
  assert.equal(joined[(128 + o) * 576 + (c * 6 + y) * 6 + x], ((y * 6 + x) * 16 + c) * 128 + o);
  assert.ok(joined.subarray(0, 128 * 576).every((value) => value === 0));
});

test('separate() is the inverse of join(), for every net', () => {
  for (const table of Object.keys(TABLES) as TableName[]) {
    for (const each of portablesOf(netOf(table, 0.125))) {
      const joined = new Float32Array(volume(each.shape)).fill(Number.NaN);
      const own = each.parts.map(({ parameter }, tower) =>
        counting(volume(parameter.shape)).map((value) => value + 0.5 * tower),
      );
      each.parts.forEach((part, i) => {
        join(each, part, own[i]!, joined);
      });
      assert.ok(!joined.includes(Number.NaN), `${table} ${each.name} has a place without a value`);
      each.parts.forEach((part, i) => {
        const back = new Float32Array(own[i]!.length);
        separate(each, part, joined, back);
        assert.deepEqual(back, own[i], `${table} ${each.name}`);
      });
    }
  }
});

test('channelsFirst() transposes an image to the layout of PyTorch, and channelsLast() back', () => {
  const image = Float32Array.of(1, 10, 100, 2, 20, 200); // two pixels of three channels
  const first = channelsFirst(image, 3);
  assert.deepEqual([...first], [1, 2, 10, 20, 100, 200]);
  assert.deepEqual(channelsLast(first, 3), image);
});
