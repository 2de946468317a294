/**
 * Borrows JavaScript's shared memory as tensors in two threads, with garbage collections in between (`--expose-gc`). A fault
 * crashes the process. Prints `done`.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { isMainThread, Worker, workerData } from 'node:worker_threads';

import tf = require('@tensorflow/tfjs');

import { currentBinding } from '../../../src/native/binding/backend.js';
import { borrowTensor } from '../../../src/native/binding/tensors.js';
import { bytesToAlignment } from '../../../src/native/c/copy.js';
import { useDevice } from '../../../src/native/index.js';

const LENGTH = 100_000;

/** Float32 values in shared memory that begin at an aligned address. */
function aligned(): Float32Array {
  const memory = new SharedArrayBuffer(4 * LENGTH + 64);
  return new Float32Array(memory, bytesToAlignment(memory), LENGTH);
}

const collect = (globalThis as unknown as { gc: () => void }).gc;

/** Memory to which only the tensor refers is not collected; new objects would overwrite it. */
function outlives(): void {
  const tensors = Array.from({ length: 20 }, (_, i) => borrowTensor([LENGTH], aligned().fill(i)));
  collect();
  const others = Array.from({ length: 20 }, () => aligned().fill(-1));
  for (const [i, tensor] of tensors.entries()) {
    const mean = tf.tidy(() => tf.mean(tensor).dataSync()[0]);
    assert.equal(mean, i);
    tensor.dispose();
  }
  assert.equal(others.length, 20);
}

function comesAndGoes(): void {
  const values = aligned().fill(2);
  for (let i = 0; i < 5_000; i++) {
    const tensor = borrowTensor([LENGTH], values);
    if (i % 50 === 0)
      assert.equal(
        tf.tidy(() => tf.sum(tensor).dataSync()[0]),
        2 * LENGTH,
      );
    tensor.dispose();
  }
  collect();
  assert.ok(values.every((value) => value === 2));
}

useDevice(isMainThread ? 'CPU:0' : (workerData as string));
const ended = isMainThread ? once(new Worker(new URL(import.meta.url), { workerData: 'CPU:1' }), 'exit') : undefined;
outlives();
comesAndGoes();
assert.equal(currentBinding().getNumOfTensors(), 0);
if (ended) {
  assert.deepEqual(await ended, [0]);
  process.stdout.write('done\n');
}
