/** What a data thread runs: fills parts of batches, of the one setup it was started with. */
import { workerData } from 'node:worker_threads';
import type { FillSetup } from './fill-task.js';
import { createFiller } from './filler.js';

export default createFiller(workerData as FillSetup).fill;
