/** The data worker: fills parts of batches for the setup that it was started with. */
import { workerData } from 'node:worker_threads';
import { createFiller, type FillSetup } from './filler.js';

export default createFiller(workerData as FillSetup).fill;
