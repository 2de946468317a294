/** Compares values and gradients of Winograd's algorithm with direct convolutions. */
import assert from 'node:assert/strict';
import test, { after } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { backingDevice, currentBinding, useDevice } from '../../../src/native/binding/backend.js';
import { compile } from '../../../src/native/graph/compile.js';
import { conv2dBias } from '../../../src/native/layers/layer-ops.js';
import { hasXla, isWorthWinograd, WinogradConvolutions } from '../../../src/native/layers/winograd-conv.js';
import { savesByWinograd } from '../../../src/native/layers/winograd-tiling.js';

useDevice('CPU:1');
const skip = hasXla() ? false : 'this TensorFlow has no XLA';

type Args = [tf.Tensor4D, tf.Tensor4D, tf.Tensor1D?];

const winograd = new WinogradConvolutions();
after(() => winograd.dispose());

const byWinograd = (...[x, kernel, bias]: Args) => winograd.conv(x, kernel, bias);
const direct = (...[x, kernel, bias]: Args) => conv2dBias(x, kernel, bias, 1, 'same');

function inputs([batch, size, taps, channels, kernels]: readonly number[], hasBias: boolean): Args {
  const normal = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, 'float32', seed);
  const x = tf.relu(normal([batch!, size!, size!, channels!], 1)) as tf.Tensor4D;
  const kernel = normal([taps!, taps!, channels!, kernels!], 2) as tf.Tensor4D;
  return hasBias ? [x, kernel, normal([kernels!], 3) as tf.Tensor1D] : [x, kernel];
}

/** Result, and gradients of a weighted sum of it. */
function resultsOf(conv: (...args: Args) => tf.Tensor, args: Args): tf.Tensor[] {
  const { value, grads } = tf.valueAndGrads((...all: tf.Tensor[]) => {
    const y = conv(...(all as unknown as Args));
    return tf.sum(tf.mul(y, tf.randomNormal(y.shape, 0, 1, 'float32', 4))) as tf.Scalar;
  })(args as tf.Tensor[]);
  return [conv(...args), value, ...grads];
}

function apart(mine: tf.Tensor, theirs: tf.Tensor): number {
  assert.deepEqual(mine.shape, theirs.shape);
  const scale = tf.max(tf.abs(theirs)).dataSync()[0]!;
  assert.ok(scale > 0);
  return tf.max(tf.abs(tf.sub(mine, theirs))).dataSync()[0]! / scale;
}

for (const shape of [
  [3, 13, 3, 16, 8],
  [2, 27, 5, 12, 20],
  [1, 6, 3, 5, 7],
  [4, 7, 5, 3, 2],
  [2, 3, 3, 4, 4],
]) {
  for (const hasBias of [true, false]) {
    test(`conv() of ${shape} has the values and gradients of the direct convolution${hasBias ? '' : ', without a bias'}`, {
      skip,
    }, () => {
      tf.tidy(() => {
        const args = inputs(shape, hasBias);
        const [mine, theirs] = [resultsOf(byWinograd, args), resultsOf(direct, args)];
        assert.equal(mine.length, hasBias ? 5 : 4);
        for (const [i, each] of mine.entries()) {
          const distance = apart(each, theirs[i]!);
          assert.ok(distance < 2e-5, `${['value', 'sum', 'x', 'kernel', 'bias'][i]} differs by ${distance}`);
        }
        assert.match(backingDevice(mine[0]!), /CPU:1$/);
      });
    });
  }
}

test('conv() in a compiled function has the same bits', { skip }, () => {
  tf.tidy(() => {
    const args = inputs([2, 13, 3, 8, 8], true);
    const compiled = compile((...all) => [byWinograd(...(all as unknown as Args))]);
    const mine = resultsOf((...all) => compiled(...(all as tf.Tensor[]))[0]!, args);
    const eager = resultsOf(byWinograd, args);
    for (const [i, each] of mine.entries()) assert.deepEqual(each.dataSync(), eager[i]!.dataSync());
    compiled.dispose();
  });
});

test('conv() refuses a kernel of a size without a tiling', { skip }, () => {
  tf.tidy(() => {
    const [x, kernel] = inputs([1, 9, 7, 1, 1], false);
    assert.throws(() => winograd.conv(x, kernel), RangeError);
  });
});

test('isWorthWinograd() is true for layers 2 to 5 of the whole net, and false for small or narrow ones', {
  skip,
}, () => {
  const rows: [boolean, [number, number, number, number], [number, number, number, number]][] = [
    [true, [32, 27, 27, 48], [5, 5, 48, 128]],
    [true, [32, 13, 13, 256], [3, 3, 256, 192]],
    [true, [32, 13, 13, 192], [3, 3, 192, 128]],
    [false, [1, 13, 13, 192], [3, 3, 192, 192]], // over too soon
    [false, [512, 13, 13, 32], [3, 3, 32, 32]], // few channels: the transforms cost more
    [false, [128, 27, 27, 3], [5, 5, 3, 64]],
    [false, [32, 13, 27, 192], [3, 3, 192, 192]], // not square
    [false, [32, 55, 55, 96], [11, 11, 96, 96]], // no tiling
  ];
  for (const [expected, x, kernel] of rows) assert.equal(isWorthWinograd(x, kernel), expected, `${x} by ${kernel}`);
});

test('hasXla() is false while a function for XLA is traced', () => {
  const found: boolean[] = [];
  for (const mode of ['graph', 'xla'] as const) {
    const compiled = compile(
      (x) => {
        found.push(hasXla());
        return [tf.add(x, 1)];
      },
      { mode },
    );
    tf.tidy(() => compiled(tf.scalar(1)));
    compiled.dispose();
  }
  assert.deepEqual(found, [hasXla(), false]);
});

test('isWorthWinograd() is false on a GPU, and without XLA', (t) => {
  const large = [
    [32, 13, 13, 192],
    [3, 3, 192, 192],
  ] as const;
  assert.equal(savesByWinograd(...large), true);
  const binding = currentBinding();
  const { target } = binding;
  const pinned = binding as { target: typeof target };
  pinned.target = { ...target, type: 'GPU' };
  assert.equal(isWorthWinograd(...large), false);
  pinned.target = target;
  t.mock.method(binding, 'can', () => false);
  assert.equal(isWorthWinograd(...large), false);
});
