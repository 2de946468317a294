/** A thread that sums over training images for the setup that it was started with. */
import { workerData } from 'node:worker_threads';
import { openSummer, type SumSetup } from './summer.js';

export default openSummer(workerData as SumSetup).sum;
