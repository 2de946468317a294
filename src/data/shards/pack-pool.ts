/** Makes pieces of shards in several threads, and hands them out in order. */
import { fileURLToPath } from 'node:url';
import { DataError } from '../../errors.js';
import { SystemError } from '../images/retry.js';
import { openThreads } from '../threads.js';
import { type Chunk, type ChunkSetup, type ChunkTask, createPacker } from './chunk.js';

/** A thread reads the images of one task while those of the other are decoded. */
const TASKS_PER_THREAD = 2;

export interface PackPool {
  /** Pieces that are made ahead of the one in use. With the results that wait, they bound the memory. */
  readonly ahead: number;
  /** @throws SystemError for a system fault that lasts, or DataError if a thread failed. */
  pack(task: ChunkTask): Promise<Chunk>;
  close(): Promise<void>;
}

/** Starts the threads; with 0 the calling thread does the work. The caller closes the pool. */
export function openPackPool(setup: ChunkSetup, threads: number): PackPool {
  const module = fileURLToPath(new URL('./pack-worker.js', import.meta.url));
  const pool = threads > 0 ? openThreads<ChunkTask, Chunk>(module, setup, threads, TASKS_PER_THREAD) : undefined;
  const run = pool?.run ?? createPacker(setup);
  return {
    ahead: pool ? 2 * TASKS_PER_THREAD * threads : 1,
    async pack(task) {
      try {
        const chunk = await run(task);
        if (chunk.systemFault !== undefined) throw new SystemError(chunk.systemFault);
        return chunk;
      } catch (error) {
        if (error instanceof DataError) throw error;
        const { name, message } = error as Error;
        // A DataError of a thread has lost its class.
        if (message.startsWith('Cannot ')) throw new DataError(message, { cause: error });
        throw new DataError(
          `Cannot pack the images of ${setup.folder}: a thread failed (${name}: ${message}), expected it to pack them; run it again, and it continues`,
          { cause: error },
        );
      }
    },
    close: async () => pool?.close(),
  };
}

/** Runs tasks, up to `ahead` at the same time beside the one whose result is in use, and yields the results in order. */
export async function* inOrder<Task, Result>(
  tasks: Iterable<Task>,
  run: (task: Task) => Promise<Result>,
  ahead: number,
): AsyncGenerator<[Task, Result]> {
  const running: [Task, Promise<Result>][] = [];
  for (const task of tasks) {
    const result = run(task);
    result.catch(() => {}); // awaited below, or another one failed first
    running.push([task, result]);
    if (running.length > ahead) yield await first();
  }
  while (running.length > 0) yield await first();

  async function first(): Promise<[Task, Result]> {
    const [task, result] = running.shift()!;
    return [task, await result];
  }
}
