/** What a data thread runs: fills parts of batches, of the one setup it was started with. */
import { workerData } from 'node:worker_threads';
import { createFiller, type FillSetup } from './filler.js';

export default createFiller(workerData as FillSetup);
