/** Tensors whose values are in shared memory. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import tf = require('@tensorflow/tfjs');

import { currentBinding, runOp, tensorId } from '../../../src/native/binding/backend.js';
import { borrowTensor, tensorFromHalf } from '../../../src/native/binding/tensors.js';
import { bytesToAlignment } from '../../../src/native/c/copy.js';
import { compile } from '../../../src/native/graph/compile.js';
import { AttrType, DataType, useDevice } from '../../../src/native/index.js';
import { runNode } from '../child.js';

before(() => useDevice('CPU:1'));

/** Shared memory in which `values` begin `shift` bytes after an aligned address. */
function shared(values: readonly number[], shift = 0): Float32Array {
  const memory = new SharedArrayBuffer(4 * values.length + 128);
  const found = new Float32Array(memory, bytesToAlignment(memory) + shift, values.length);
  found.set(values);
  return found;
}

/** Whether a tensor's memory is `values`: then it changes with them. */
function liesIn(values: Float32Array): boolean {
  const tensor = borrowTensor([values.length], values);
  const [was] = values;
  values[0] = 99;
  const is = tf.tidy(() => tf.add(tensor, 1).dataSync()[0]);
  tensor.dispose();
  values[0] = was!;
  return is === 100;
}

test('borrowTensor() copies no aligned shared memory, but any other memory', () => {
  const own = new Float32Array(64);
  assert.equal(liesIn(shared([1, 2, 3])), true);
  assert.deepEqual(
    [4, 16, 60].map((shift) => liesIn(shared([1, 2, 3], shift))),
    [false, false, false],
  );
  assert.equal(liesIn(own), false);
});

test('borrowTensor() gives the shape, values and device of a copy, and leaves nothing behind', () => {
  const handles = currentBinding().getNumOfTensors();
  const { numTensors } = tf.memory();
  tf.tidy(() => {
    const tensor = borrowTensor([2, 3], shared([1, 2, 3, 4, 5, 6]));
    assert.deepEqual([tensor.shape, tensor.dtype, [...tensor.dataSync()]], [[2, 3], 'float32', [1, 2, 3, 4, 5, 6]]);
    assert.match(currentBinding().backingDevice(tensorId(tensor)), /CPU:1$/);
    assert.equal(borrowTensor([0], shared([])).size, 0);
  });
  assert.deepEqual([tf.memory().numTensors, currentBinding().getNumOfTensors()], [numTensors, handles]);
  assert.throws(() => borrowTensor([2, 2], shared([1, 2, 3])), /it holds 16 bytes, and 12 were given/);
});

test('no op writes into borrowed memory, even with the last handle of the tensor', () => {
  const values = [-1, 2, -3, 4];
  const memory = shared(values);
  const type = { name: 'T', type: AttrType.TYPE, value: DataType.FLOAT };
  const chain = compile((x) => [tf.relu(tf.add(tf.neg(x!), 1))]);
  const programs: ((x: tf.Tensor) => tf.Tensor)[] = [
    (x) => runOp('Relu', [x], [type])[0]!,
    (x) => runOp('AddV2', [x, x], [type])[0]!,
    (x) => tf.mul(tf.reshape(x, [2, 2]), 2),
    (x) => chain(x)[0]!,
  ];
  for (const program of programs) {
    const results = tf.tidy(() => {
      const x = borrowTensor([4], memory);
      const reshaped = tf.reshape(x, [4]); // the only tensor with this memory from here on
      x.dispose();
      return [program(reshaped), program(reshaped)].map((each) => [...each.dataSync()]);
    });
    assert.deepEqual(results[0], results[1]);
    assert.deepEqual([...memory], values);
  }
  chain.dispose();
});

test('borrowTensor() makes a constant in a function that is compiled', () => {
  const memory = shared([1, 2]);
  const plus = compile((x) => [tf.add(x!, borrowTensor([2], memory))]);
  const run = () => tf.tidy(() => [...plus(tf.tensor1d([10, 20]))[0]!.dataSync()]);
  assert.deepEqual(run(), [11, 22]);
  memory.fill(0);
  assert.deepEqual(run(), [11, 22]);
  plus.dispose();
});

test('tensorFromHalf() has read its bytes when it returns', () => {
  const memory = shared([0]);
  const bytes = new Uint8Array(memory.buffer, memory.byteOffset, 4);
  new Uint16Array(memory.buffer, memory.byteOffset, 2).set([0x3c00, 0xc000]);
  const tensor = tensorFromHalf([2], bytes);
  bytes.fill(0);
  assert.deepEqual([...tensor.dataSync()], [1, -2]);
  tensor.dispose();
});

test('borrowed memory lives as long as its tensors, in two threads', async () => {
  const program = fileURLToPath(new URL('../programs/borrow.js', import.meta.url));
  const { code, signal, stdout, stderr } = await runNode(['--expose-gc', program]);
  assert.deepEqual([code, signal, stdout], [0, null, 'done\n'], stderr);
});
