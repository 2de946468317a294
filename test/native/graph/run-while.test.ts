import { deepEqual, equal, throws } from 'node:assert/strict';
import { describe, it } from 'node:test';

import tf = require('@tensorflow/tfjs');

import type { NativeError } from '../../../src/errors.js';
import { currentBinding, runOp, useDevice } from '../../../src/native/binding/backend.js';
import { AsyncExecutor } from '../../../src/native/binding/executor.js';
import { Variable } from '../../../src/native/binding/variables.js';
import { AttrType, DataType } from '../../../src/native/c/signatures.js';
import { compile } from '../../../src/native/graph/compile.js';

useDevice('CPU:0');

describe('AsyncExecutor', () => {
  it('start() runs calls one after another, and wait() waits for them', () => {
    const executor = new AsyncExecutor();
    const one = tf.tensor2d([1], [1, 1]);
    const variable = new Variable(one);
    const add = compile((x) => {
      variable.assign(tf.add(variable.read(), x));
      return [tf.mul(x, 2)];
    });
    const ten = tf.tensor2d([10], [1, 1]);
    const results = executor.start(() => [add(ten), add(ten), add(ten)]);
    executor.wait();
    deepEqual(
      results.map(([result]) => result!.dataSync()[0]),
      [20, 20, 20],
    );
    const now = variable.read();
    equal(now.dataSync()[0], 31);
    tf.dispose([one, ten, now, ...results.flat()]);
    add.dispose();
    variable.dispose();
    executor.dispose();
  });

  it('start() leaves later calls to the thread itself', () => {
    const executor = new AsyncExecutor();
    const before = currentBinding().getNumOfTensors();
    throws(
      () =>
        executor.start(() => {
          throw new Error('not begun');
        }),
      /not begun/,
    );
    // If the executor were still set, this would fail later.
    throws(() => tf.tidy(() => runOp('CheckNumerics', [tf.scalar(Number.NaN)], CHECK)), /is it a number\?/);
    executor.wait();
    equal(currentBinding().getNumOfTensors(), before);
    executor.dispose();
  });

  it('wait() throws what failed, once, and the executor stays usable', () => {
    const executor = new AsyncExecutor();
    const check = compile((x) => [runOp('CheckNumerics', [x], CHECK)[0]!]);
    const call = (value: number) => tf.tidy(() => executor.start(() => check(tf.scalar(value))));
    tf.dispose(call(Number.NaN));
    throws(
      () => executor.wait(),
      (error: NativeError) => /is it a number\?/.test(error.message) && error.code === 3,
    );
    executor.wait();
    const [result] = call(5);
    executor.wait();
    equal(result!.dataSync()[0], 5);
    result!.dispose();
    check.dispose();
    executor.dispose();
  });
});

const CHECK = [
  { name: 'T', type: AttrType.TYPE, value: DataType.FLOAT },
  { name: 'message', type: AttrType.STRING, value: 'is it a number?' },
];
