/**
 * A data thread for tests: by the batch's number it throws, leaves, fails in one part while the other still writes, or
 * waits in the system for a file that nobody writes: the set's class name.
 */
import fs from 'node:fs';
import { workerData } from 'node:worker_threads';
import type { FillResult, FillSetup, FillTask } from '../../../src/data/batches/filler.js';

export const THROWS = 1;
export const LEAVES = 2;
export const FAILS_IN_PART = 3;
export const FILLS = 4;
export const HANGS = 5;

export default function fill({ number, part, slot }: FillTask): FillResult {
  if (number === THROWS) throw new Error('out of crayons');
  if (number === LEAVES) process.exit(3);
  if (number === HANGS) {
    const { slots, dataset } = workerData as FillSetup;
    new Uint8Array(slots[slot]!)[1] = 1; // it is about to
    fs.openSync(dataset.classNames[0]!, 'r');
  }
  if (number !== FAILS_IN_PART) return { ms: 0, readBytes: 0, bad: [], holes: [] };
  if (part === 0) throw new Error('out of paper');
  const end = performance.now() + 200;
  while (performance.now() < end);
  new Uint8Array((workerData as FillSetup).slots[slot]!)[0] = 1;
  return { ms: 0, readBytes: 0, bad: [], holes: [] };
}
