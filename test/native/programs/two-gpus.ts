/**
 * Uses each GPU, copies from the first to the second, and tries an op without a GPU kernel; prints the results as JSON. With
 * `peek` it reads a GPU's memory as if it were the host's.
 */
import tf = require('@tensorflow/tfjs');

import koffi from 'koffi';
import { currentBinding, runOp, tensorId } from '../../../src/native/binding/backend.js';
import { openContext } from '../../../src/native/c/context.js';
import { AttrType, DataType } from '../../../src/native/c/signatures.js';
import { backingDevice, listDevices, useDevice } from '../../../src/native/index.js';

const gpus = listDevices().filter(({ type }) => type === 'GPU');
const made = gpus.map(({ name }) => {
  useDevice(name);
  const sum = tf.add(tf.ones([1000]), 2);
  return { sum, device: backingDevice(sum), value: sum.dataSync()[999] };
});

if (process.argv[2] === 'peek') {
  const { path, c } = openContext();
  const pointerOf = koffi.load(path).func('void *TFE_TensorHandleDevicePointer(void *handle, void *status)');
  useDevice('GPU:0');
  const address = pointerOf(currentBinding().handle(tensorId(made[0]!.sum)), c.TF_NewStatus());
  process.stdout.write(`${new Float32Array(koffi.view(address, 4))[0]}\n`);
}

let refusal = '';
try {
  const type = { name: 'T', type: AttrType.TYPE, value: DataType.FLOAT };
  runOp('MatrixExponential', [tf.ones([2, 2])], [type]);
} catch (error) {
  refusal = (error as Error).message;
}
const first = made[0]!.sum;
const moved = gpus.length > 1 ? tf.add(first, 1).dataSync()[0] : undefined; // this thread is on GPU:1
const results = made.map(({ device, value }) => ({ device, value }));
process.stdout.write(`${JSON.stringify({ gpus: gpus.map(({ name }) => name), results, moved, refusal })}\n`);
