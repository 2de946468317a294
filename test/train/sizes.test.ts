import assert from 'node:assert/strict';
import test from 'node:test';
import { PRESETS } from '../../src/config/presets.js';
import { ConfigError } from '../../src/errors.js';
import { refuseLargeTensors } from '../../src/train/sizes.js';

const DEVICES = ['CPU:0', '10.0.0.2:2222/GPU:0'];
const refusal = (net: object, batchSize: number, devices = DEVICES): string => {
  try {
    refuseLargeTensors({ net: { ...PRESETS.imagenet.net, ...net }, batchSize, devices });
    return '';
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message;
  }
};

test('refuseLargeTensors() names the first tensor of more than 2 GiB that goes to a server', () => {
  // 227 × 227 × 3 values of 4 bytes: 3472 images have 2 GiB less half a megabyte.
  const { inputSize } = PRESETS.imagenet.net;
  const most = Math.floor((2 ** 31 - 1) / (inputSize ** 2 * 3 * 4));
  assert.equal(refusal({}, most), '');
  assert.equal(
    refusal({}, most + 1),
    `Cannot train on 10.0.0.2:2222/GPU:0: the images of a step have 2.0 GiB, expected less than 2 GiB, TensorFlow's limit for a tensor that it sends; use a --batch-size of at most ${most}, or devices of this machine`,
  );
  assert.equal(refusal({}, most + 1, ['CPU:0', 'CPU:1']), '');
  assert.match(refusal({ inputChannels: 1, width: 8 }, 8000), /: the activations for conv3 have .* GiB, /);
  assert.match(refusal({ width: 8 }, 1), /: the weights tower0\/fc6\/kernel have \d\.\d GiB, .* smaller --width/);
});
