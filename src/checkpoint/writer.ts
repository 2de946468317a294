/** A thread that hashes and writes checkpoints while the towers continue. */
import { Piscina } from 'piscina';
import { CheckpointError } from '../errors.js';
import { checkpointFolder, type Draft, writeCheckpoint } from './store.js';

/** The arguments of `writeCheckpoint`. The towers' values are shared memory: do not change them until it is done. */
export type WriteTask = { checkpoints: string; draft: Draft; keep: number; best: number | undefined };

export type Written = ReturnType<typeof writeCheckpoint> & { writeMs: number };

export type CheckpointWriter = ReturnType<typeof openWriter>;

/** Starts the thread. It does not keep the process alive, except while it writes. */
export function openWriter() {
  const pool = new Piscina<WriteTask, Written | { failure: string }>({
    filename: import.meta.url,
    minThreads: 1,
    maxThreads: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    // With 'sync' an idle thread sleeps where nothing but a task wakes it.
    atomics: 'disabled',
  });
  pool.on('error', () => {}); // an idle thread that fails is replaced
  return {
    /** Writes one checkpoint; call it again only when that is done. @throws CheckpointError if the write fails. */
    async write(task: WriteTask) {
      const folder = checkpointFolder(task.checkpoints, task.draft.state.step);
      const result = await pool.run(task).catch(({ message }: Error) => ({
        failure: `Cannot write the checkpoint ${folder}: ${message}; start again with --resume`,
      }));
      if ('failure' in result) throw new CheckpointError(result.failure, folder);
      return result;
    },
    /** Ends the thread. A checkpoint that it is writing is lost; the ones before stay. */
    close: () => pool.destroy(),
  };
}

/** Runs in the thread. Returns an error's message, because an error loses its class between threads. */
export default function writeInThread({ checkpoints, draft, keep, best }: WriteTask): Written | { failure: string } {
  const started = performance.now();
  try {
    const written = writeCheckpoint(checkpoints, draft, { keep, best });
    return { ...written, writeMs: performance.now() - started };
  } catch (error) {
    if (error instanceof CheckpointError) return { failure: error.message };
    throw error;
  }
}
