/** What a fault does to the thread that it strikes. */
import { readSync } from 'node:fs';

import tf = require('@tensorflow/tfjs');

import type { ThreadKind } from './fault.js';

const SLOW_MS = 300;

/**
 * Height and width of a tensor of 2⁴⁸ bytes, which no process can address: it is refused at once on every system, also
 * where memory is promised that is not there, and the kernel then ends a process that wants it.
 */
const TOO_LARGE = 2 ** 23;

const ACTS: Record<ThreadKind, () => void> = {
  throw: () => {
    throw new Error('a fault that was requested');
  },
  exit: () => process.exit(7),
  hang: () => stall(),
  // Standard input, on which nothing comes.
  stuck: () => {
    for (;;) readSync(0, new Uint8Array(1));
  },
  slow: () => stall(SLOW_MS),
  memory: () => void tf.fill([TOO_LARGE, TOO_LARGE], 1),
  heap: () => {
    for (const held: number[][] = []; ; ) held.push(Array(100_000).fill(held.length + 0.5));
  },
};

/** Does to this thread what the kind says. */
export function strike(kind: ThreadKind): void {
  ACTS[kind]();
}

/** Blocks this thread for so long; forever unless something ends the thread. */
export function stall(ms = Number.POSITIVE_INFINITY): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
