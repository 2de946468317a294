/** Which way a layer's operation goes. */
import assert from 'node:assert/strict';
import test from 'node:test';

import tf = require('@tensorflow/tfjs');

import { useDevice } from '../../src/native/binding/backend.js';
import { conv2dBias } from '../../src/native/layers/layer-ops.js';
import { hasXla, WinogradConvolutions } from '../../src/native/layers/winograd-conv.js';
import { nativeOps } from '../../src/tower/native-ops.js';

useDevice('CPU:0');
const skip = hasXla() ? false : 'this TensorFlow has no XLA';

test('nativeOps() computes large convolutions by Winograd unless they are to be direct', { skip }, () => {
  tf.tidy(() => {
    const normal = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, 'float32', seed);
    const x = normal([8, 13, 13, 160], 1) as tf.Tensor4D;
    const kernel = normal([3, 3, 160, 160], 2) as tf.Tensor4D;
    const bias = normal([160], 3) as tf.Tensor1D;
    const layer = { kind: 'conv', name: 'c', kernels: 160, size: 3, stride: 1, pad: 1, reach: 'own' } as never;
    const [auto, direct] = (['auto', 'direct'] as const).map((convolutions) => {
      const ops = nativeOps(convolutions);
      const y = ops.conv(x, kernel, bias, layer);
      ops.dispose();
      return y.dataSync();
    });
    const winograd = new WinogradConvolutions();
    assert.deepEqual(auto, winograd.conv(x, kernel, bias).dataSync());
    winograd.dispose();
    assert.deepEqual(direct, conv2dBias(x, kernel, bias, 1, 'same').dataSync());
    assert.notDeepEqual(auto, direct);
  });
});
