/** The binding as tfjs-node's kernels use it: errors, data types, strings, counts, and unsupported calls. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { NativeError } from '../../../src/errors.js';
import { currentBinding, tensorId } from '../../../src/native/binding/backend.js';
import { AsyncExecutor } from '../../../src/native/binding/executor.js';
import { Variable } from '../../../src/native/binding/variables.js';
import { openContext } from '../../../src/native/c/context.js';
import { AttrType, DataType } from '../../../src/native/c/signatures.js';
import { allocateTensor } from '../../../src/native/c/tensors.js';
import { TensorQueue } from '../../../src/native/graph/tensor-queue.js';
import { backingDevice, runOp, useDevice } from '../../../src/native/index.js';

const FLOAT = { name: 'T', type: AttrType.TYPE, value: DataType.FLOAT };

before(() => useDevice('CPU:1'));

function assertNative(action: () => unknown, code: number, op: string | undefined, text: RegExp): void {
  assert.throws(action, (error: NativeError) => {
    assert.ok(error instanceof NativeError, String(error));
    assert.deepEqual([error.code, error.op, error.message.includes('\n')], [code, op, false]);
    assert.match(error.message, text);
    return true;
  });
}

test("runOp() fails with the op's name and TensorFlow's code and text", () => {
  const ones = tf.ones([2, 3]);
  const attrs = [FLOAT, ...['transpose_a', 'transpose_b'].map((name) => ({ name, type: AttrType.BOOL, value: false }))];
  const text = /^Cannot run the op MatMul: TensorFlow says INVALID_ARGUMENT: .*\[2,3\], In\[1\]: \[2,3\]/;
  assertNative(() => runOp('MatMul', [ones, ones], attrs), 3, 'MatMul', text);
  ones.dispose();
});

test('runOp() refuses an unknown op', () => {
  assertNative(
    () => runOp('NoSuchOp', [], []),
    5,
    'NoSuchOp',
    /^Cannot find the op NoSuchOp: TensorFlow says NOT_FOUND/,
  );
});

test('runOp() refuses too many inputs, a missing attribute, and too few outputs', () => {
  const one = tf.ones([2]);
  assertNative(() => runOp('Neg', [one, one], [FLOAT]), 3, 'Neg', /Neg/);
  assertNative(() => runOp('Cast', [one], [{ ...FLOAT, name: 'SrcT' }]), 5, 'Cast', /DstT/);
  assertNative(() => runOp('TopKV2', [one, tf.scalar(1, 'int32')], [FLOAT], 1), 3, 'TopKV2', /output/i);
  one.dispose();
});

test('runOp() refuses a tensor that was disposed of', () => {
  const binding = currentBinding();
  const id = binding.createTensor([1], DataType.FLOAT, Float32Array.of(1));
  binding.deleteTensor(id);
  binding.deleteTensor(id); // twice does no harm
  assertNative(() => binding.executeOp('Neg', [FLOAT], [id], 1), 3, undefined, /disposed of/);
  assertNative(() => binding.tensorDataSync(id), 3, undefined, /disposed of/);
});

test('after a failed op the thread can continue, and no tensor is left', () => {
  const before = currentBinding().getNumOfTensors();
  const ones = tf.ones([2, 3]);
  for (let i = 0; i < 3; i++) assert.throws(() => runOp('MatMul', [ones, ones], [FLOAT]));
  assert.equal(
    tf.tidy(() => tf.sum(ones).dataSync()[0]),
    6,
  );
  ones.dispose();
  assert.equal(currentBinding().getNumOfTensors(), before);
});

test('held() counts the tensors and variables of the thread, their bytes, and no queues', () => {
  const binding = currentBinding();
  const before = binding.held();
  const made = [tf.ones([2, 3]), tf.ones([4], 'int32'), tf.ones([5], 'bool'), tf.tensor(['text'])];
  made.forEach(tensorId); // which uploads what tfjs still holds
  tf.sum(made[0]!).dispose();
  const variable = new Variable(made[0]!);
  const queue = new TensorQueue();
  const found = binding.held();
  assert.deepEqual([found.tensors - before.tensors, found.bytes - before.bytes], [5, 24 + 16 + 5 + 0 + 24]);
  queue.dispose();
  variable.dispose();
  tf.dispose(made);
  assert.deepEqual(binding.held(), before);
});

test('executeOp() throws the error of an asynchronous op when its shape is read, and leaves no tensor', () => {
  const binding = currentBinding();
  const before = binding.getNumOfTensors();
  const id = binding.createTensor([1], DataType.FLOAT, Float32Array.of(Number.NaN));
  const attrs = [FLOAT, { name: 'message', type: AttrType.STRING, value: 'is it a number?' }];
  const executor = new AsyncExecutor();
  const text = /^Cannot ask for the shape of a tensor: TensorFlow says INVALID_ARGUMENT: .*is it a number\?/;
  assertNative(() => executor.start(() => binding.executeOp('CheckNumerics', attrs, [id], 1)), 3, undefined, text);
  assert.throws(() => executor.wait(), /is it a number\?/);
  executor.dispose();
  assert.deepEqual(binding.describe(id).shape, [1]);
  binding.deleteTensor(id);
  assert.equal(binding.getNumOfTensors(), before);
});

test('allocateTensor() fails if TensorFlow gives a tensor without memory', () => {
  const context = openContext();
  const message =
    /^Cannot make a tensor of shape \[17592186044416\]: OOM when allocating its 70368744177664 bytes in host/;
  assertNative(() => allocateTensor(context, DataType.FLOAT, [2 ** 44], 2 ** 46), 8, undefined, message);
  const tensor = allocateTensor(context, DataType.FLOAT, [0, 5], 0);
  context.c.TF_DeleteTensor(tensor);
});

test('createTensor() refuses values whose length does not fit the shape', () => {
  const make = (dtype: number, values: unknown) => () => currentBinding().createTensor([2, 2], dtype, values);
  assertNative(make(DataType.FLOAT, Float32Array.of(1, 2, 3)), 3, undefined, /\[2,2\]: it holds 16 bytes, and 12/);
  assertNative(make(DataType.STRING, [Buffer.from('a')]), 3, undefined, /\[2,2\]: 1 strings were given/);
  assertNative(make(DataType.INT64, [1, 2, 3, 4]), 3, undefined, /expected a typed array/);
  assertNative(make(DataType.VARIANT, new Uint8Array(4)), 12, undefined, /data type 21: it is not supported/);
});

test('createTensor() copies the values at once', () => {
  const values = Float32Array.of(1, 2);
  const id = currentBinding().createTensor([2], DataType.FLOAT, values);
  values.fill(9);
  assert.deepEqual(currentBinding().tensorDataSync(id), Float32Array.of(1, 2));
  currentBinding().deleteTensor(id);
});

test('createTensor() and tensorDataSync() keep the values of every data type', () => {
  const cases: [dtype: number, given: unknown, back: unknown][] = [
    [DataType.FLOAT, Float32Array.of(1.5, -2), Float32Array.of(1.5, -2)],
    [DataType.FLOAT, [1.5, -2], Float32Array.of(1.5, -2)],
    [DataType.INT32, Int32Array.of(2 ** 31 - 1, -3), Int32Array.of(2 ** 31 - 1, -3)],
    [DataType.UINT8, Uint8Array.of(255, 0), Uint8Array.of(255, 0)],
    [DataType.BOOL, [true, false], Uint8Array.of(1, 0)],
    [DataType.COMPLEX64, Float32Array.of(1, 2, 3, 4), Float32Array.of(1, 2, 3, 4)],
    [DataType.INT64, Int32Array.of(-1, -1, 0, 1), BigInt64Array.of(-1n, 2n ** 32n)],
    [DataType.STRING, [Buffer.from([0, 255]), Buffer.alloc(0)], [Uint8Array.of(0, 255), new Uint8Array(0)]],
  ];
  for (const [dtype, given, back] of cases) {
    const id = currentBinding().createTensor([2], dtype, given);
    assert.deepEqual(currentBinding().tensorDataSync(id), back, `data type ${dtype}`);
    currentBinding().deleteTensor(id);
  }
});

test('createTensor() makes tensors without elements', () => {
  for (const dtype of [DataType.FLOAT, DataType.INT32, DataType.BOOL, DataType.STRING]) {
    const id = currentBinding().createTensor([0, 3], dtype, []);
    assert.equal(currentBinding().tensorDataSync(id).length, 0);
    currentBinding().deleteTensor(id);
  }
});

test('images go through uint8 and strings: EncodePng, then DecodePng', () => {
  const binding = currentBinding();
  const pixels = Uint8Array.from({ length: 4 * 5 * 3 }, (_, i) => i * 4);
  const image = binding.createTensor([4, 5, 3], DataType.UINT8, pixels);
  const [png] = binding.executeOp('EncodePng', [], [image], 1);
  assert.deepEqual([png!.dtype, png!.shape], [DataType.STRING, []]);
  const [bytes] = binding.tensorDataSync(png!.id) as Uint8Array[];
  assert.deepEqual([...bytes!.slice(1, 4)], [...Buffer.from('PNG')]);
  const [decoded] = binding.executeOp('DecodePng', [], [png!.id], 1);
  assert.deepEqual([decoded!.dtype, decoded!.shape], [DataType.UINT8, [4, 5, 3]]);
  assert.deepEqual(binding.tensorDataSync(decoded!.id), pixels);
  for (const id of [image, png!.id, decoded!.id]) binding.deleteTensor(id);
});

test('backingDevice() is the pinned device, for values that were uploaded and for results', () => {
  const [x, y] = tf.tidy(() => {
    const x = tf.tensor1d([1, 2, 3]);
    return [x, tf.relu(x)];
  });
  for (const each of [x!, y!]) assert.equal(backingDevice(each), '/job:localhost/replica:0/task:0/device:CPU:1');
  assert.equal(currentBinding().isUsingGpuDevice(), false);
  tf.dispose([x!, y!]);
});

test('tensors are counted: tf.memory() and the binding agree, also after tensors were disposed of', () => {
  const [inTfjs, native] = [tf.memory().numTensors, currentBinding().getNumOfTensors()];
  const made = tf.tidy(() => [tf.neg(tf.ones([2])), tf.neg(tf.ones([2]))]);
  assert.equal(tf.memory().numTensors, inTfjs + 2);
  assert.equal(currentBinding().getNumOfTensors(), native + 2);
  tf.dispose(made);
  assert.equal(tf.memory().numTensors, inTfjs);
  assert.equal(currentBinding().getNumOfTensors(), native);
});

test('strings are freed: 400 MB of them, one after another, do not fill the memory', () => {
  const binding = currentBinding();
  const megabyte = Buffer.alloc(1e6, 'x');
  const round = () => {
    const id = binding.createTensor([2], DataType.STRING, [megabyte, megabyte]);
    const [joined] = binding.executeOp('Reverse', [{ ...FLOAT, value: DataType.STRING }], [id, axis], 1);
    assert.equal((binding.tensorDataSync(joined!.id) as Uint8Array[])[1]?.length, 1e6);
    binding.deleteTensor(id);
    binding.deleteTensor(joined!.id);
  };
  const axis = binding.createTensor([1], DataType.BOOL, [1]);
  for (let i = 0; i < 30; i++) round();
  const before = process.memoryUsage.rss();
  for (let i = 0; i < 100; i++) round(); // 4 MB each: two strings, given and reversed
  const grownMegabytes = (process.memoryUsage.rss() - before) / 1e6;
  assert.ok(grownMegabytes < 60, `grew by ${grownMegabytes.toFixed(0)} MB`);
  binding.deleteTensor(axis);
});

test('calls for a SavedModel fail as not supported', () => {
  const binding = currentBinding();
  const text = /^Cannot use a SavedModel: this binding does not support them/;
  for (const call of [binding.loadSavedModel, binding.runSavedModel, binding.deleteSavedModel]) {
    assertNative(call, 12, undefined, text);
  }
  assert.equal(binding.getNumOfSavedModels(), 0);
});

test("the binding gives TensorFlow's version and its own device", () => {
  assert.match(currentBinding().version, /^2\.\d+\.\d+/);
  assert.match(currentBinding().device, /CPU:1$/);
  const one = tf.scalar(1);
  assert.equal(currentBinding().handle(tensorId(one)) > 0n, true);
  one.dispose();
});
