/** The context's settings, devices by name, and moving tfjs from one device to another. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { NativeError } from '../../../src/errors.js';
import { encodeConfig, findDevice, openContext, shortName, threadsOf } from '../../../src/native/c/context.js';
import { backingDevice, listDevices, useDevice } from '../../../src/native/index.js';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

test('encodeConfig() writes the ConfigProto that TensorFlow reads', () => {
  // By hand, from config.proto: device_count { "CPU": 2 }, gpu_options { allow_growth: true }.
  assert.equal(hex(encodeConfig({})), '0a070a03435055100232022001');
  // CPU: 300 (two bytes), intra_op_parallelism_threads: 3.
  assert.equal(hex(encodeConfig({ cpus: 300, intraOpThreads: 3 })), '0a080a0343505510ac02100332022001');
  // … virtual_devices { memory_limit_mb: [1000, 2000] } as floats.
  assert.equal(
    hex(encodeConfig({ cpus: 1, virtualGpuMiB: [1000, 2000] })),
    '0a070a034350551001' + '3210' + '2001' + '4a0c0a0a0a0800007a440000fa44',
  );
  // … of the third GPU: two empty virtual_devices before it.
  assert.equal(
    hex(encodeConfig({ cpus: 1, virtualGpuMiB: [1000, 2000], virtualGpuCard: 2 })),
    '0a070a034350551001' + '3214' + '2001' + '4a10' + '0a00' + '0a00' + '0a0a0a0800007a440000fa44',
  );
});

test("threadsOf() uses the quota, which TensorFlow does not know, unless TensorFlow's variables are set", () => {
  const unset = () => false;
  assert.deepEqual(threadsOf({}, unset, 0), { intraOpThreads: 0, interOpThreads: 0 });
  assert.deepEqual(threadsOf({}, unset, 3), { intraOpThreads: 3, interOpThreads: 3 });
  assert.deepEqual(threadsOf({ intraOpThreads: 1 }, unset, 3), { intraOpThreads: 1, interOpThreads: 3 });
  const isIntra = (name: string) => name === 'TF_NUM_INTRAOP_THREADS';
  assert.deepEqual(threadsOf({ intraOpThreads: 1 }, isIntra, 3), { intraOpThreads: 0, interOpThreads: 3 });
  // inter_op_parallelism_threads: 3.
  assert.equal(hex(encodeConfig({ cpus: 1, interOpThreads: 3 })), '0a070a034350551001' + '2803' + '32022001');
});

test("listDevices() gives TensorFlow's names and memory", () => {
  const [first, second] = listDevices();
  assert.equal(first?.name, 'CPU:0');
  assert.equal(second?.fullName, '/job:localhost/replica:0/task:0/device:CPU:1');
  assert.deepEqual([second?.type, second?.memory], ['CPU', 'host']);
  assert.ok(second.memoryBytes > 0);
});

test('findDevice() takes every spelling of a name', () => {
  for (const name of ['CPU:1', 'cpu:1', '/device:CPU:1', '/job:localhost/replica:0/task:0/device:CPU:1']) {
    assert.equal(findDevice(openContext(), name).name, 'CPU:1');
    assert.equal(shortName(name), 'CPU:1');
  }
});

test("shortName() keeps the job and the task of another process's device", () => {
  for (const task of [0, 1]) {
    const full = `/job:tower/replica:0/task:${task}/device:GPU:0`;
    assert.equal(shortName(full), full);
    assert.equal(shortName(full.replace('device:', '')), full);
  }
});

test('useDevice() of a missing device lists the existing ones', () => {
  assert.throws(
    () => useDevice('CPU:9'),
    (error: NativeError) => {
      assert.ok(error instanceof NativeError);
      assert.deepEqual([error.code, error.exitCode], [5, 1]);
      assert.match(error.message, /^Cannot use the device CPU:9: TensorFlow has CPU:0, CPU:1\b.* choose from these/);
      return true;
    },
  );
  assert.throws(() => useDevice('GPU:77'), /`alexnet-split doctor` says why/);
});

test('useDevice() a second time moves the thread to another device; its tensors stay valid', () => {
  useDevice('CPU:0');
  const made = tf.tidy(() => ({
    floats: tf.add(tf.ones([3]), 1),
    bools: tf.less(tf.tensor1d([1, 2]), 2),
    complex: tf.mul(tf.complex([1, 2], [3, 4]), tf.complex([1, 1], [0, 0])),
    strings: tf.concat([tf.tensor1d(['a']), tf.tensor1d(['ä'])]),
    unused: tf.tensor1d([7]),
  }));
  assert.match(backingDevice(made.floats), /CPU:0$/);
  useDevice('CPU:1');
  const moved = tf.tidy(() => Object.values(made).map((each) => tf.expandDims(each, 0)));
  assert.deepEqual(
    moved.map((each) => Array.from<unknown>(each.dataSync())),
    [[2, 2, 2], [1, 0], [1, 3, 2, 4], ['a', 'ä'], [7]],
  );
  assert.match(backingDevice(moved[0]!), /CPU:1$/);
  assert.match(backingDevice(tf.tidy(() => tf.keep(tf.add(made.floats, 1)))), /CPU:1$/);
  tf.dispose([...Object.values(made), ...moved]);
});
