/** The parent's side of the child process: one job at a time, each with a deadline. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { SplitError } from '../../errors.js';
import { runningSleep, setRunningTimeout } from '../../running-time.js';
import type { Answer, Job, JobOf, JobResults } from './jobs.js';

/** A job that brought no result: the message is the sentence. */
export class JobError extends SplitError {
  override name = 'JobError';
}

/** The job was broken off because all is to stop. */
export class JobStopped extends Error {}

export interface JobOptions {
  deadlineMs: number;
  /** In a process of its own, which nothing has used before. */
  fresh?: boolean;
  /** Instead of an answer the process is to end itself by SIGKILL. */
  dies?: boolean;
}

export interface Worker {
  /**
   * Has the child process do a job, and starts one if there is none.
   * @throws JobError when it fails, crashes or is late, after which the process is another one; JobStopped.
   */
  run<Kind extends Job['kind']>(job: JobOf<Kind>, options: JobOptions): Promise<JobResults[Kind]>;
  /** As {@link run}, of a job that ends its own process. */
  runToDeath(job: Job, options: JobOptions): Promise<void>;
  close(): void;
}

/** A process that a driver holds does not go. */
const LEAVE_MS = 5_000;

/** What is kept of what a process says on stderr. */
const LAST_WORDS = 2_000;

interface Running {
  child: ChildProcess;
  said: string;
}

/** @param file what the process runs. @param signal stops what runs, and whatever would be run after it. */
export function openWorker(file: string, signal: AbortSignal): Worker {
  let running: Running | undefined;
  /** What the last process had on the devices is free when it is gone. */
  let leaving: Promise<unknown> = Promise.resolve();

  function start(): Running {
    const child = fork(file, [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], serialization: 'advanced' });
    const started: Running = { child, said: '' };
    child.on('error', () => {}); // whoever waits for it hears
    child.stderr?.on('data', (chunk: Buffer) => {
      started.said = (started.said + chunk).slice(-LAST_WORDS);
    });
    return started;
  }

  function end(): void {
    const child = running?.child;
    running = undefined;
    if (!child || howItEnded(child) !== undefined) return;
    const gone = once(child, 'exit').catch(() => {});
    leaving = Promise.race([gone, runningSleep(LEAVE_MS)]);
    child.kill('SIGKILL');
  }

  /** The answer, or how the process ended instead. */
  async function ask(job: Job, { deadlineMs, fresh = false }: JobOptions): Promise<Answer | NodeJS.Signals | number> {
    if (signal.aborted) throw new JobStopped();
    const left = running && howItEnded(running.child);
    if (left !== undefined) throw crashed(left, 'the process of the checks before it');
    if (fresh) end();
    if (!running) await leaving;
    running ??= start();
    const { child } = running;
    const over = new AbortController();
    const forget = setRunningTimeout(deadlineMs, () => over.abort('late'));
    const stop = () => over.abort('stopped');
    signal.addEventListener('abort', stop);
    try {
      const options = { signal: over.signal };
      const answered = once(child, 'message', options).then(([answer]) => answer as Answer);
      const ended = once(child, 'close', options).then(([code, by]) => (by ?? code) as NodeJS.Signals | number);
      for (const each of [answered, ended]) each.catch(() => {}); // one of them loses
      child.send(job, () => {}); // of a process that has ended `close` tells
      return await Promise.race([answered, ended]);
    } catch (error) {
      end();
      if (!over.signal.aborted) throw new JobError(`its process does not run: ${(error as Error).message}`);
      if (signal.aborted) throw new JobStopped();
      throw new JobError(`there was no answer within ${Math.round(deadlineMs / 1000)} s, and its process was ended`);
    } finally {
      forget();
      signal.removeEventListener('abort', stop);
      over.abort();
    }
  }

  function crashed(how: NodeJS.Signals | number, whose = 'its process'): JobError {
    const words = running ? lastWords(running.said) : '';
    end();
    const by = typeof how === 'number' ? `with exit code ${how}` : `by ${how}`;
    return new JobError(`${whose} ended ${by}${words && `; it said: ${words}`}`);
  }

  return {
    async run(job, options) {
      const answer = await ask(job, options);
      if (typeof answer !== 'object') throw crashed(answer);
      if (answer.ok) return answer.result as never;
      end(); // what failed may have left something behind
      throw new JobError(answer.message);
    },
    async runToDeath(job, options) {
      const answer = await ask(job, options);
      if (typeof answer !== 'object' && answer !== 'SIGKILL') throw crashed(answer);
      end();
      if (typeof answer !== 'object') return;
      throw new JobError(answer.ok ? 'it ended before it could be killed' : answer.message);
    },
    close: end,
  };
}

function howItEnded({ signalCode, exitCode }: ChildProcess): NodeJS.Signals | number | undefined {
  return signalCode ?? exitCode ?? undefined;
}

/** The last line of what TensorFlow or the system said, without its date and place. */
function lastWords(said: string): string {
  const lines = said.split('\n').filter((line) => line.trim() !== '');
  // TensorFlow's own last line is a fatal one: F0000 …
  return (lines.findLast((line) => /^F\d|Fatal|fatal/.test(line)) ?? lines.at(-1) ?? '').trim();
}
