/** The sum of the gradients over the replicas, of towers in one thread. */
import assert from 'node:assert/strict';
import test from 'node:test';

import tf = require('@tensorflow/tfjs');

import { ownersOf } from '../../src/model/owners.js';
import { useDevice } from '../../src/native/binding/backend.js';
import { listDevices } from '../../src/native/c/context.js';
import { TensorQueue } from '../../src/native/graph/tensor-queue.js';
import { CopiedSum } from '../../src/tower/average.js';

test('ownersOf() shares the bytes of the parameters between the replicas', () => {
  const shapes = [[8], [100, 10], [4], [30, 30], [2, 2]];
  assert.deepEqual(ownersOf(shapes, 1), [0, 0, 0, 0, 0]);
  const owners = ownersOf(shapes, 2);
  const bytes = [0, 1].map((owner) =>
    shapes.reduce((sum, shape, i) => sum + (owners[i] === owner ? shape.reduce((a, b) => a * b) : 0), 0),
  );
  assert.deepEqual(bytes, [1000, 916]);
  assert.equal(new Set(ownersOf(shapes, 5)).size, 5);
});

test('sum() adds up what it owns in the order of the replicas, sends the sums, and takes the others', () => {
  useDevice('CPU:0');
  const device = listDevices()[0]!.fullName;
  const shapes = [[4], [1]];
  const replica = { index: 1, count: 3 };
  const own = new CopiedSum({ replica, devices: Array(3).fill(device), name: 'sum_test', shapes });
  assert.deepEqual(ownersOf(shapes, 3), [0, 1]);
  assert.equal(own.bytes, 4 * 4 + 2 * 4); // its gradient of the first, and twice the sum of the second
  const queue = (parameter: number, from: number, to: number) =>
    new TensorQueue({ device, sharedName: `sum_test_${parameter}_${from}_${to}` });
  const put = (values: number[], ...path: [number, number, number]) => queue(...path).put(tf.tensor1d(values));
  put([5, 6, 7, 8], 0, 0, 1);
  // In another order float32 gives another sum.
  put([1], 1, 2, 1);
  put([1e8], 1, 0, 1);
  const sums = own.sum([tf.tensor1d([1, 2, 3, 4]), tf.tensor1d([-1e8])], false);
  assert.deepEqual(
    sums.map((each) => [...each.dataSync()]),
    [[5, 6, 7, 8], [1]],
  );
  const taken = (...path: [number, number, number]) => [
    ...queue(...path)
      .take()
      .toTensor()
      .dataSync(),
  ];
  assert.deepEqual(taken(0, 1, 0), [1, 2, 3, 4]);
  assert.deepEqual([taken(1, 1, 0), taken(1, 1, 2)], [[1], [1]]);
  own.dispose();
});
