/** Compares values and gradients of the native layers with tfjs's. */
import assert from 'node:assert/strict';
import test from 'node:test';

import tf = require('@tensorflow/tfjs');

import { TFJS_OPS } from '../../../src/model/ops.js';
import { useDevice } from '../../../src/native/binding/backend.js';
import { nativeOps } from '../../../src/tower/native-ops.js';

const NATIVE_OPS = nativeOps('auto');

useDevice(process.env.TEST_DEVICE ?? 'CPU:0'); // another one for test/fake-gpu

const normal = (shape: number[], seed: number, scale = 1) => tf.randomNormal(shape, 0, scale, 'float32', seed);

type Case = { name: string; inputs: tf.Tensor[]; run: (ops: typeof TFJS_OPS, ...xs: tf.Tensor[]) => tf.Tensor };

function conv(size: number, stride: number, pad: number | 'ceil', pixels: number): Case {
  const layer = { kind: 'conv', name: 'c', kernels: 12, size, stride, pad, reach: 'own' } as never;
  return {
    name: `conv ${size}x${size}/${stride} pad ${pad}`,
    inputs: [normal([2, pixels, pixels, 4], 1), normal([size, size, 4, 6], 2), normal([6], 3)],
    run: (ops, x, kernel, bias) => ops.conv(x as never, kernel as never, bias as never, layer),
  };
}

const norm = { kind: 'norm', radius: 2, k: 2, alpha: 1e-2, beta: 0.75 } as const;
const mapNorm = { kind: 'mapNorm', size: 5, k: 1, alpha: 1e-2, beta: 0.75 } as const;
const labels = tf.tensor1d([0, 4, 2], 'int32');

const CASES: Case[] = [
  conv(11, 4, 'ceil', 32),
  conv(5, 1, 2, 9),
  conv(3, 1, 1, 6),
  conv(5, 1, 0, 9),
  conv(3, 2, 1, 9),
  {
    name: 'dense',
    inputs: [normal([3, 20], 4), normal([20, 8], 5), normal([8], 6)],
    run: (ops, x, kernel, bias) => ops.dense(x as never, kernel as never, bias as never),
  },
  {
    name: 'dense, large enough for the transposed product',
    inputs: [normal([3, 300], 4), normal([300, 256], 5), normal([256], 6)],
    run: (ops, x, kernel, bias) => ops.dense(x as never, kernel as never, bias as never),
  },
  ...(['max', 'average'] as const).map((op) => ({
    name: `${op} pool`,
    inputs: [normal([2, 8, 8, 5], 12)],
    run: (ops: typeof TFJS_OPS, x: tf.Tensor) =>
      ops.pool(x as never, { kind: 'pool', name: 'p', op, size: 3, stride: 2 } as never),
  })),
  ...(['relu', 'sigmoid', 'tanh'] as const).map((kind) => ({
    name: kind,
    inputs: [normal([3, 5, 5, 4], 7)],
    run: (ops: typeof TFJS_OPS, x: tf.Tensor) => ops.activation(x, kind),
  })),
  ...[norm, { ...norm, beta: 0.5 }].map((layer) => ({
    name: `norm, power ${layer.beta}`,
    inputs: [normal([2, 3, 3, 12], 8, 20)],
    run: (ops: typeof TFJS_OPS, x: tf.Tensor) => ops.norm(x as never, layer as never),
  })),
  ...[mapNorm, { ...mapNorm, size: 4 }].map((layer) => ({
    name: `mapNorm, ${layer.size} pixels`,
    inputs: [normal([2, 7, 7, 3], 9, 20)],
    run: (ops: typeof TFJS_OPS, x: tf.Tensor) => ops.mapNorm(x as never, layer as never),
  })),
  {
    name: 'crossEntropy',
    inputs: [normal([3, 5], 10, 30)],
    run: (ops, logits) => ops.crossEntropy(logits as never, labels),
  },
];

for (const { name, inputs, run } of CASES) {
  test(`NATIVE_OPS ${name} has tfjs's values and gradients`, () => {
    tf.tidy(() => {
      const value = run(TFJS_OPS, ...inputs);
      const weights = normal(value.shape, 11);
      const both = [NATIVE_OPS, TFJS_OPS].map((ops) =>
        tf.grads((...xs: tf.Tensor[]) => tf.sum(tf.mul(run(ops, ...xs), weights)))(inputs),
      );
      const pairs = [[run(NATIVE_OPS, ...inputs), value], ...both[0]!.map((each, i) => [each, both[1]![i]!])];
      pairs.forEach(([mine, theirs], i) => {
        assert.deepEqual(mine!.shape, theirs!.shape);
        const scale = tf.max(tf.abs(theirs!)).dataSync()[0]!;
        const apart = tf.max(tf.abs(tf.sub(mine!, theirs!))).dataSync()[0]! / scale;
        assert.ok(apart < 2e-6, `${i === 0 ? 'value' : `gradient ${i}`} differs by ${apart}`);
        assert.ok(scale > 0);
      });
    });
  });
}

test('NATIVE_OPS do not compute a gradient that is not asked for', () => {
  const [x, kernel, bias] = CASES[0]!.inputs as [tf.Tensor, tf.Tensor, tf.Tensor];
  tf.tidy(() => {
    const before = tf.memory().numBytes;
    const f = (k: tf.Tensor, b: tf.Tensor) => tf.sum(CASES[0]!.run(NATIVE_OPS, x, k, b));
    const { grads } = tf.valueAndGrads(f)([kernel, bias]);
    assert.equal(grads.length, 2);
    assert.ok(tf.memory().numBytes - before < x.size * 4, 'no tensor as large as the gradient of x');
  });
});
