/** A data thread for tests: by the batch's number it throws, leaves, or fails in one part while the other still writes. */
import { workerData } from 'node:worker_threads';
import type { FillSetup, FillTask } from '../../src/data/fill-task.js';

export const THROWS = 1;
export const LEAVES = 2;
export const FAILS_IN_PART = 3;
export const FILLS = 4;

export default function fill({ number, part, slot }: FillTask): void {
  if (number === THROWS) throw new Error('out of crayons');
  if (number === LEAVES) process.exit(3);
  if (number !== FAILS_IN_PART) return;
  if (part === 0) throw new Error('out of paper');
  const end = performance.now() + 200;
  while (performance.now() < end);
  new Uint8Array((workerData as FillSetup).slots[slot]!)[0] = 1;
}
