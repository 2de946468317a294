/** Pools of Piscina threads that read and decode images. */
import { Piscina } from 'piscina';
import { runningSleep } from '../running-time.js';

/** How long threads and reads may take to end: one that waits for a disk may never notice that it should. */
const CLOSE_MS = 2_000;

export interface Threads<Task, Result> {
  /** Rejects if the task fails or its thread ends. */
  run(task: Task): Promise<Result>;
  /** Ends all threads, busy or not; pending tasks reject. A thread that hangs in the system is abandoned. */
  close(): Promise<void>;
}

/**
 * Starts `threads` threads, which stay until they are closed.
 * @param module file of the worker. @param setup its `workerData`. @param tasks that a thread does at the same time.
 */
export function openThreads<Task, Result>(
  module: string,
  setup: object,
  threads: number,
  tasks = 1,
): Threads<Task, Result> {
  const pool = new Piscina<Task, Result>({
    filename: module,
    workerData: setup,
    minThreads: threads,
    maxThreads: threads,
    concurrentTasksPerWorker: tasks,
    idleTimeout: Number.POSITIVE_INFINITY,
    // With 'sync' a thread sleeps where only a task can wake it, and not the end of a decoding.
    atomics: 'disabled',
    // What was asked for first comes first.
    stricterFIFO: true,
    recordTiming: false,
  });
  // Without a listener the event would end the process. A failed idle thread is replaced from the same setup; a lasting
  // failure shows in the next task.
  pool.on('error', () => {});
  let closing: Promise<void> | undefined;
  return {
    run: (task) => pool.run(task),
    close() {
      closing ??= endedSoon(pool.destroy());
      return closing;
    },
  };
}

/** Waits for an end, but not for one that a disk holds up. */
export function endedSoon(ending: Promise<void>): Promise<void> {
  return Promise.race([ending, runningSleep(CLOSE_MS)]);
}
