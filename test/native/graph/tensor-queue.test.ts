import { deepEqual, equal, ok, throws } from 'node:assert/strict';
import { after, describe, it } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { NativeError } from '../../../src/errors.js';
import { currentBinding, runOp, useDevice } from '../../../src/native/binding/backend.js';
import { newCancellation } from '../../../src/native/c/cancellation.js';
import { bytesToAlignment } from '../../../src/native/c/copy.js';
import { AttrType, DataType } from '../../../src/native/c/signatures.js';
import { type Compiled, compile } from '../../../src/native/graph/compile.js';
import { runOnTape } from '../../../src/native/graph/tape.js';
import { TensorQueue } from '../../../src/native/graph/tensor-queue.js';

useDevice('CPU:1');

const valuesOf = (tensor: tf.Tensor | undefined) => [...tensor!.dataSync()];

/** A queue out of a function and one into it. */
function openQueues() {
  const [out, given] = [new TensorQueue(), new TensorQueue()];
  return {
    out: (tensor: tf.Tensor) => out.send(tensor),
    in: (shape: readonly number[]) => given.receive(shape),
    take: () => out.take().toTensor(),
    give: (tensor: tf.Tensor) => given.put(tensor),
    clear() {
      for (const each of [out, given]) each.clear();
    },
    dispose() {
      for (const each of [out, given]) each.dispose();
    },
  };
}

type Queues = ReturnType<typeof openQueues>;

/** In a function: sends a tensor, and receives another. */
function through(queues: Queues, tensor: tf.Tensor, shape: readonly number[] = tensor.shape): tf.Tensor {
  queues.out(tensor);
  return queues.in(shape);
}

/** Sends x, and squares what it receives. */
function doubledAndSquared(queues: Queues): Compiled {
  return compile((x) => [tf.square(through(queues, x))]);
}

function doubling(queues: Queues): () => void {
  return () => tf.tidy(() => queues.give(tf.mul(queues.take(), 2)));
}

describe('TensorQueue', () => {
  const queues = openQueues();
  const by = { cancellation: newCancellation(), noteExecutor: () => {}, noteCancellation: () => {} };
  const square = doubledAndSquared(queues);
  after(() => {
    square.dispose();
    queues.dispose();
  });

  it('send() and receive() exchange tensors of any shape, at each call', () => {
    tf.tidy(() => {
      for (const values of [
        [1, 2, 3],
        [4, 5],
        [6, 7, 8],
      ]) {
        const [result] = square.runWhile(by, doubling(queues), tf.tensor1d(values));
        deepEqual(
          valuesOf(result),
          values.map((each) => (2 * each) ** 2),
        );
      }
    });
    equal(square.traces, 2);
  });

  it('receive() may have a shape other than what was sent', () => {
    const sum = compile((x) => [tf.add(through(queues, x, []), 1)]);
    const [result] = sum.runWhile(by, () => tf.tidy(() => queues.give(tf.sum(queues.take()))), tf.tensor1d([1, 2]));
    deepEqual([result!.shape, valuesOf(result)], [[], [4]]);
    sum.dispose();
  });

  it('take() returns tensors in the order of the recording, however long each takes to compute', () => {
    const order = compile((x) => {
      const product = tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D);
      queues.out(tf.slice(product, [0, 0], [1, 1]));
      queues.out(tf.scalar(7));
      const first = through(queues, tf.scalar(8), []);
      const second = through(queues, tf.scalar(9), []);
      return [tf.sub(first, second)];
    });
    const found: number[] = [];
    const take = () => tf.tidy(() => void found.push(...queues.take().dataSync()));
    const [difference] = order.runWhile(
      by,
      () => {
        for (let i = 0; i < 4; i++) take();
        for (const value of [30, 4]) tf.tidy(() => queues.give(tf.scalar(value)));
      },
      tf.ones([300, 300]),
    );
    deepEqual(found, [300, 7, 8, 9]);
    deepEqual(valuesOf(difference), [26]);
    order.dispose();
  });

  it('send() and receive() can be part of a differentiable operation in the function', () => {
    const gradientOf = compile((x) => {
      const by = (each: tf.Tensor) =>
        runOnTape(
          [each],
          () => [through(queues, each)],
          ([dy]) => [() => through(queues, dy!)],
        )[0]!;
      return [tf.grad((each) => tf.sum(tf.square(by(each))))(x)];
    });
    const work = () => {
      doubling(queues)();
      doubling(queues)();
    };
    const [gradient] = gradientOf.runWhile(by, work, tf.tensor1d([1, 2, 3]));
    deepEqual(valuesOf(gradient), [8, 16, 24]); // d (2x)² / dx
    gradientOf.dispose();
  });

  it('runWhile() ends the work if the function fails, and throws the error of the function', () => {
    const check: { name: string; type: number; value: string | number }[] = [
      { name: 'T', type: AttrType.TYPE, value: DataType.FLOAT },
      { name: 'message', type: AttrType.STRING, value: 'is it a number?' },
    ];
    const failing = compile((x) => [through(queues, runOp('CheckNumerics', [x], check)[0]!)]);
    const [tensors, held] = [tf.memory().numTensors, currentBinding().getNumOfTensors()];
    const call = (x: number) => tf.tidy(() => valuesOf(failing.runWhile(by, doubling(queues), tf.tensor1d([x]))[0]));
    for (let i = 0; i < 3; i++) {
      throws(
        () => call(Number.NaN),
        (error: NativeError) =>
          error instanceof NativeError && /is it a number\?/.test(error.message) && error.code === 3,
      );
      equal(call(3)[0], 6);
    }
    deepEqual([tf.memory().numTensors, currentBinding().getNumOfTensors()], [tensors, held]);
    failing.dispose();
  });

  it('runWhile() ends the function if the work fails, and the next call works', () => {
    const twice = compile((x) => [through(queues, through(queues, x))]);
    const twiceDoubled = () => {
      doubling(queues)();
      doubling(queues)();
    };
    const call = (work: () => void) => tf.tidy(() => valuesOf(twice.runWhile(by, work, tf.tensor1d([1, 2]))[0]));
    call(twiceDoubled);
    const [tensors, held] = [tf.memory().numTensors, currentBinding().getNumOfTensors()];
    const give = (value: number) => tf.tidy(() => queues.give(tf.tensor1d([value, value])));
    const works: (() => void)[] = [
      () => {
        throw new Error('nothing was done');
      },
      () => {
        doubling(queues)(); // the function continues meanwhile
        throw new Error('half was done');
      },
      () => {
        for (const value of [1, 2, 3]) give(value); // one more than it takes, and what it hands out is not taken
        throw new Error('too much was given');
      },
    ];
    for (const work of works) {
      throws(() => call(work), /was (done|given)$/);
      queues.clear();
      deepEqual(call(twiceDoubled), [4, 8]);
    }
    deepEqual([tf.memory().numTensors, currentBinding().getNumOfTensors()], [tensors, held]);
    twice.dispose();
  });

  it('refuses a call of a function that uses a queue, and a queue outside a function', () => {
    throws(() => square(tf.tensor1d([1])), /Cannot call a compiled function that uses a queue: .*use runWhile\(\)/);
    throws(
      () => tf.valueAndGrad((x) => square(x)[0] as tf.Scalar)(tf.tensor1d([1])),
      /Cannot call a compiled function that uses a queue/,
    );
    throws(() => queues.out(tf.scalar(1)), /Cannot use a queue here/);
    throws(() => queues.in([]), /Cannot use a queue here/);
  });

  it('close() of a shared queue discards what is in it and never waits, even if both sides close it', () => {
    const held = currentBinding().getNumOfTensors();
    const options = { device: currentBinding().device, sharedName: 'close_test' };
    const [one, other] = [new TensorQueue(options), new TensorQueue(options)];
    for (const value of [1, 2]) tf.tidy(() => one.put(tf.scalar(value)));
    one.close();
    other.close();
    throws(() => other.take(), /is closed and has insufficient elements/);
    throws(() => tf.tidy(() => one.put(tf.scalar(3))), /is closed/);
    for (const each of [one, other]) each.release();
    equal(currentBinding().getNumOfTensors(), held);
  });

  it('putBytes() sends values without a copy, or a copy', () => {
    for (const isCopied of [false, true]) {
      const memory = new SharedArrayBuffer(64 + 12);
      const bytes = new Uint8Array(memory, bytesToAlignment(memory), 12);
      const values = new Float32Array(memory, bytes.byteOffset, 3);
      values.set([1, 2, 3]);
      const queue = new TensorQueue();
      queue.putBytes([3], bytes, isCopied);
      values[0] = 100;
      const taken = queue.take();
      const found = new Uint8Array(12);
      taken.copyTo(found);
      taken.dispose();
      deepEqual([...new Float32Array(found.buffer)], [isCopied ? 1 : 100, 2, 3]);
      throws(() => queue.putBytes([2], bytes, isCopied), /it holds 8 bytes, and 12 were given/);
      queue.dispose();
    }
  });

  it('a float16 queue halves the bytes by rounding', () => {
    const [out, given] = [new TensorQueue({ dtype: 'float16' }), new TensorQueue({ dtype: 'float16' })];
    const twice = compile((x) => {
      out.send(x, 4096);
      return [tf.mul(given.receive([2], 4096), 2)];
    });
    const work = () => {
      const taken = out.take();
      const memory = new SharedArrayBuffer(4);
      taken.copyTo(new Uint8Array(memory));
      taken.dispose();
      given.putBytes([2], new Uint8Array(memory), true);
    };
    tf.tidy(() => {
      const [result] = twice.runWhile(by, work, tf.tensor1d([1 / 3, 100]));
      const [third, large] = valuesOf(result);
      ok(Math.abs(third! - 2 / 3) < 1e-3 && third !== Math.fround(2 / 3));
      equal(large, (2 * 65_504) / 4096); // where rounding would make it infinite
    });
    twice.dispose();
    for (const each of [out, given]) each.dispose();
  });

  it('dispose() leaks nothing', () => {
    const held = currentBinding().getNumOfTensors();
    for (let i = 0; i < 3; i++) {
      const own = openQueues();
      const compiled = doubledAndSquared(own);
      tf.tidy(() => deepEqual(valuesOf(compiled.runWhile(by, doubling(own), tf.tensor1d([1]))[0]), [4]));
      compiled.dispose();
      own.dispose();
    }
    equal(currentBinding().getNumOfTensors(), held);
  });
});
