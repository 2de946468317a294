import assert from 'node:assert/strict';
import { test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { hasKernel, recordPlacement } from '../../../src/native/c/ops.js';
import { DataType } from '../../../src/native/c/signatures.js';
import { compile, useDevice } from '../../../src/native/index.js';

const { FLOAT, STRING } = DataType;

test('recordPlacement() lists the ops of functions with the device that TensorFlow gave them', () => {
  useDevice('CPU:1');
  const layer = compile((x) => [tf.mean(tf.relu(x!))]);
  const placed = recordPlacement();
  tf.tidy(() => layer(tf.ones([4])));
  const ops = placed();
  const relu = ops.find(({ op }) => op === 'Relu')!;
  assert.match(relu.device, /device:CPU:1$/);
  assert.deepEqual(relu.types.T, [FLOAT]);
  assert.ok(ops.some(({ op }) => op === 'Mean'));
  layer.dispose();
});

test('hasKernel() depends on the op, the type of device and the data types', () => {
  const op = (name: string, types: Record<string, number[]>) => ({ op: name, device: '', types });
  assert.equal(hasKernel(op('Relu', { T: [FLOAT] }), 'CPU'), true);
  assert.equal(hasKernel(op('Relu', { T: [STRING] }), 'CPU'), false);
  assert.equal(hasKernel(op('Relu', { T: [FLOAT] }), 'NO_SUCH_TYPE'), false);
  // Registered for every type of device.
  assert.equal(hasKernel(op('QueueSizeV2', {}), 'NO_SUCH_TYPE'), true);
  assert.equal(hasKernel(op('NoSuchOp', {}), 'CPU'), false);
});
