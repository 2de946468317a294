/** What a rehearsal found. */
import type { Rehearsal } from '../../src/plan/outlook.js';

/** 1,000 images a second together, limited by nothing in particular. */
export const FOUND: Rehearsal = {
  ...{ steps: 1000, batchesPerEpoch: 100, testBatches: 10, trainImages: 12_800, testImages: 1280, needsMean: false },
  dataWorkers: { workers: 6, decoders: 6, cores: 8, reason: 'why' },
  ...{ read: 9000, decode: { imagesPerS: 8000, meanBytes: 1e5, shorterSide: 375 }, prepare: 5000 },
  step: { ms: 125, images: 128 },
  together: { ms: 128, images: 128, dataShare: 0, exchangeShare: 0.1, waitShare: 0.1 },
  ...{ evaluate: 2000, space: { bytes: 5e8, atOnce: 3, log: 1e6, free: 1e12 }, hostBytes: 1e9 },
};
