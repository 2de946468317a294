/** Two worker threads pin tfjs to their own devices at the same moment, and compute. Prints the results of both. */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

import tf = require('@tensorflow/tfjs');

import { openContext } from '../../../src/native/c/context.js';
import { backingDevice, useDevice } from '../../../src/native/index.js';

function compute(device: string) {
  useDevice(device);
  let x = tf.ones([64, 64]);
  for (let i = 0; i < 50; i++) x = tf.tidy(() => tf.div(tf.matMul(x, tf.ones([64, 64])), 64));
  return { device: backingDevice(x), value: x.dataSync()[5], context: String(openContext().address) };
}

if (isMainThread) {
  const workers = ['CPU:0', 'CPU:1'].map((device) => new Worker(new URL(import.meta.url), { workerData: device }));
  const seen = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]));
  process.stdout.write(JSON.stringify(seen));
} else {
  parentPort?.postMessage(compute(workerData));
}
