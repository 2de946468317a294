/** Measurements of the child process, on the CPU. */
import assert from 'node:assert/strict';
import test from 'node:test';

import tf = require('@tensorflow/tfjs');

import { resolveConfig } from '../../../src/config/config.js';
import { listDevices, openContext } from '../../../src/native/c/context.js';
import { DataType } from '../../../src/native/c/signatures.js';
import { measureCopies } from '../../../src/train/accept/copies.js';
import { missingKernels } from '../../../src/train/accept/steps.js';

openContext();
const machine = { devices: listDevices().map(({ name }) => name), fashionMnist: false, now: new Date() };
const values = { preset: 'mini', devices: ['CPU:0', 'CPU:1'], net: { width: 0.125 }, batchSize: 2 };
const { config } = resolveConfig([{ values }], machine);

test('measureCopies() measures every size that crosses, and finds wrong bytes', () => {
  const { rates, wrong } = measureCopies(config);
  assert.deepEqual(wrong, []);
  // fc8's, fc6's and fc7's inputs, and conv3's, of two images: 2·(64, 64, 16·7·7) values.
  assert.deepEqual(
    rates.map(({ bytes }) => bytes),
    [128, 1152, 2048],
  );
  for (const { peer, upload, download } of rates) {
    for (const rate of [...peer, ...upload, ...download]) assert.ok(rate > 0 && Number.isFinite(rate));
  }
  const changed = measureCopies(config, (tensor) => tf.add(tensor, 1));
  assert.deepEqual(changed.wrong.slice(0, 2), ['CPU:0 to CPU:1, 128 bytes', 'CPU:1 to CPU:0, 128 bytes']);
  assert.equal(changed.wrong.length, 6);
});

test('missingKernels() lists ops that are on the host only because the device has no kernel', () => {
  const onHost = (op: string, types = {}) => ({ op, device: '/job:localhost/replica:0/task:0/device:CPU:0', types });
  // TensorFlow's CPU build has no kernel for this type of device, but those for every type.
  const ops = [
    onHost('Round', { T: [DataType.FLOAT] }),
    onHost('QueueSizeV2'),
    onHost('Round', { T: [DataType.FLOAT] }),
  ];
  assert.deepEqual(missingKernels(ops, ['TPU:0', 'TPU:1']), ['Round']);
  assert.deepEqual(missingKernels(ops, ['TPU:0', 'CPU:1']), ['Round']);
  assert.deepEqual(missingKernels(ops, ['CPU:0', 'CPU:1']), []);
  assert.deepEqual(missingKernels([{ ...ops[0]!, device: '/device:TPU:0' }], ['TPU:0', 'TPU:1']), []);
});
