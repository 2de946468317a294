/** Tower 1 of the two threads that compute one function, for tests. Posts its gradients. */
import { parentPort, workerData } from 'node:worker_threads';

import tf = require('@tensorflow/tfjs');

import type { Mailboxes } from '../../src/exchange/mailbox.js';
import { runHalf } from './halves.js';

await tf.setBackend('cpu');
parentPort?.postMessage(runHalf(1, (workerData as { mailboxes: Mailboxes }).mailboxes));
