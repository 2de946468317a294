import assert from 'node:assert/strict';
import test from 'node:test';

import tf = require('@tensorflow/tfjs');

import { NativeError } from '../../../src/errors.js';
import { currentBinding, useDevice } from '../../../src/native/binding/backend.js';
import { PinnedBinding } from '../../../src/native/binding/binding.js';
import { AsyncExecutor } from '../../../src/native/binding/executor.js';
import { openContext } from '../../../src/native/c/context.js';
import { AttrType, DataType } from '../../../src/native/c/signatures.js';
import { compile } from '../../../src/native/graph/compile.js';
import { maxPool } from '../../../src/native/layers/layer-ops.js';

useDevice('CPU:0');

/** Many equal values: the zeros of a ReLU. */
const image = tf.relu(tf.randomNormal([2, 9, 9, 7], 0, 1, 'float32', 1)) as tf.Tensor4D;
const slopes = tf.randomNormal([2, 4, 4, 7], 0, 1, 'float32', 2);
const theirs = tf
  .grad((x: tf.Tensor) => tf.maxPool(x as tf.Tensor4D, 3, 2, 'valid'))(image, slopes)
  .arraySync();

const WAYS: [string, (x: tf.Tensor4D) => tf.Tensor][] = [
  ['op by op', (x) => maxPool(x, 3, 2)],
  ...(['graph', 'xla'] as const).map((mode): [string, (x: tf.Tensor4D) => tf.Tensor] => {
    const compiled = compile((x) => [maxPool(x as tf.Tensor4D, 3, 2)], { mode });
    return [mode, (x) => compiled(x)[0]!];
  }),
];

for (const [name, pool] of WAYS) {
  test(`maxPool() gives the first of equal values the gradient, ${name}`, () => {
    const mine = tf.grad((x: tf.Tensor) => pool(x as tf.Tensor4D))(image, slopes);
    const apart = tf.max(tf.abs(tf.sub(mine, tf.tensor(theirs)))).dataSync()[0]!;
    assert.ok(apart < 1e-6, `gradients differ by ${apart}`);
    assert.deepEqual(pool(image).arraySync(), tf.maxPool(image, 3, 2, 'valid').arraySync());
  });
}

test('maxPool() leaks no tensors', () => {
  const before = { tensors: tf.memory().numTensors, handles: currentBinding().getNumOfTensors() };
  for (const [, pool] of WAYS) {
    tf.tidy(() => {
      tf.grad((x: tf.Tensor) => pool(x as tf.Tensor4D))(image, slopes);
    });
  }
  assert.deepEqual({ tensors: tf.memory().numTensors, handles: currentBinding().getNumOfTensors() }, before);
});

test('can() tries once, and returns false only for an error of TensorFlow', () => {
  const binding = new PinnedBinding(openContext(), 'CPU:0');
  let tries = 0;
  const attempt = (each: PinnedBinding) => {
    tries++;
    each.executeOp('NoSuchOp', [], [], 1);
  };
  assert.equal(binding.can('what there is not', attempt), false);
  assert.equal(binding.can('what there is not', attempt), false);
  assert.equal(tries, 1);
  assert.equal(
    binding.can('what there is', () => {}),
    true,
  );
  const broken = () => {
    throw new TypeError('a mistake');
  };
  assert.throws(() => binding.can('broken', broken), TypeError);
  assert.throws(() => binding.executeOp('NoSuchOp', [], [], 1), NativeError);
});

test('can() gets its error at once in an asynchronous executor, and leaves none for later ops', () => {
  const binding = new PinnedBinding(openContext(), 'CPU:0');
  const type = { name: 'T', type: AttrType.TYPE, value: DataType.FLOAT };
  const square = (rows: number, columns: number) => {
    const id = binding.createTensor([rows, columns], DataType.FLOAT, new Float32Array(rows * columns));
    return binding.executeOp('MatMul', [type], [id, id], 1)[0]!.id;
  };
  const executor = new AsyncExecutor();
  try {
    executor.start(() => {
      assert.equal(
        binding.can('the square of what is none', () => void square(2, 3)),
        false,
      );
      assert.equal(binding.tensorDataSync(square(2, 2)).length, 4);
    });
    executor.wait();
  } finally {
    executor.dispose();
  }
});
