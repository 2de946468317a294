/**
 * Computes on the last device of a server, as a coordinator does, and prints the result and the device. With a second argument
 * it then goes on computing.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

import tf = require('@tensorflow/tfjs');

import { backingDevice, listDevices, useDevice } from '../../../src/native/index.js';

const free = createServer().listen(0, '127.0.0.1');
await once(free, 'listening');
const coordinator = `127.0.0.1:${(free.address() as AddressInfo).port}`;
free.close();
await once(free, 'close');
const cluster = { servers: [process.argv[2]!], coordinator, timeoutMs: 30_000, keepAliveSeconds: 10 };
useDevice(listDevices({ cluster }).at(-1)!.name);
const product = tf.mul(tf.tensor1d([6]), tf.tensor1d([7]));
process.stdout.write(`${product.dataSync()[0]} on ${backingDevice(product)}\n`);
if (process.argv[3] !== undefined) for (const x = tf.ones([700, 700]); ; ) tf.tidy(() => tf.matMul(x, x).dataSync());
