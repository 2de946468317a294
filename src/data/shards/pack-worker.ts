/** The thread that packs: makes pieces of shards for the setup that it was started with. */
import { workerData } from 'node:worker_threads';
import { type ChunkSetup, createPacker } from './chunk.js';

export default createPacker(workerData as ChunkSetup);
