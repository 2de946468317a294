/** The thread of `writer.ts`. */
import { parentPort } from 'node:worker_threads';
import { CheckpointError } from '../errors.js';
import { writeCheckpoint } from './store.js';
import type { WriteAnswer, WriteTask } from './writer.js';

parentPort!.on('message', ({ checkpoints, draft, keep, best }: WriteTask) => {
  const started = performance.now();
  let answer: WriteAnswer;
  try {
    const written = writeCheckpoint(checkpoints, draft, { keep, best });
    answer = { written: { ...written, writeMs: performance.now() - started } };
  } catch (error) {
    answer = {
      message: error instanceof Error ? error.message : String(error),
      path: error instanceof CheckpointError ? error.path : undefined,
    };
  }
  parentPort!.postMessage(answer);
});
