/** A thread that writes checkpoints while the towers go on: hashing and the disk take their time there. */
import { Worker } from 'node:worker_threads';
import { CheckpointError } from '../errors.js';
import type { Draft } from './store.js';

/** What the thread is told. The towers' values are shared memory: they must stay as they are until it answers. */
export interface WriteTask {
  checkpoints: string;
  draft: Draft;
  keep: number;
  best: number | undefined;
}

export interface Written {
  folder: string;
  bytes: number;
  removed: string[];
  writeMs: number;
}

/** The thread's answer. */
export type WriteAnswer = { written: Written } | { message: string; path: string | undefined };

export interface CheckpointWriter {
  /** One at a time. @throws CheckpointError when the disk does not take it. */
  write(task: WriteTask): Promise<Written>;
  /** Ends the thread, also in the middle of a checkpoint, which then is not there. */
  close(): Promise<void>;
}

/** Starts the thread. */
export function openWriter(): CheckpointWriter {
  const worker = new Worker(new URL('./writer-thread.js', import.meta.url));
  worker.unref();
  let ended: Error | undefined;
  let settle: ((answer: WriteAnswer) => void) | undefined;
  const end = (error: Error) => {
    ended ??= error;
    settle?.({ message: `Cannot write checkpoints any more: ${error.message}; start again with --resume`, path: '' });
  };
  worker.on('message', (answer: WriteAnswer) => settle?.(answer));
  worker.on('error', end);
  worker.on('exit', () => end(new Error('their thread ended')));
  return {
    async write(task) {
      if (ended) throw new CheckpointError(`Cannot write checkpoints any more: ${ended.message}`, task.checkpoints);
      const answered = new Promise<WriteAnswer>((resolve) => {
        settle = resolve;
      });
      worker.ref(); // a process that has nothing else to wait for waits for this
      worker.postMessage(task);
      const answer = await answered;
      worker.unref();
      if ('written' in answer) return answer.written;
      throw new CheckpointError(answer.message, answer.path ?? task.checkpoints);
    },
    async close() {
      await worker.terminate();
    },
  };
}
