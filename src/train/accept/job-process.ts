/** The parent's side of the child process: one job at a time, each with a deadline. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { SplitError } from '../../errors.js';
import { runningSleep, setRunningTimeout } from '../../running-time.js';
import type { Answer, Job, JobKind, JobOf, JobResults } from './child.js';

/** A job failed; the message says why. */
export class JobError extends SplitError {
  override name = 'JobError';
}

/** The signal stopped the job. */
export class JobStopped extends Error {}

interface JobOptions {
  deadlineMs: number;
  /** Starts a new process for this job. */
  fresh?: boolean;
}

export interface JobProcess {
  /**
   * Runs a job in the child process; starts one if there is none.
   * @throws JobError if the job fails, crashes or is late; the next job then gets a new process. JobStopped.
   */
  run<Kind extends JobKind>(job: JobOf<Kind>, options: JobOptions): Promise<JobResults[Kind]>;
  /** Runs a job that ends its own process with SIGKILL. @throws as {@link run}. */
  runToDeath(job: Job, options: JobOptions): Promise<void>;
  close(): void;
}

/** How long the next job waits for the last process to end; a process that a driver blocks does not end. */
const EXIT_MS = 5_000;

const STDERR_LENGTH = 2_000;

/** @param file the program of the process. @param signal stops the running job and all later ones. */
export function openJobProcess(file: string, signal: AbortSignal): JobProcess {
  let running: { child: ChildProcess; stderr: string } | undefined;
  /** The last process holds memory of the devices until it has ended. */
  let ending: Promise<unknown> = Promise.resolve();

  function start() {
    const child = fork(file, [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], serialization: 'advanced' });
    const started = { child, stderr: '' };
    child.on('error', () => {}); // the job that waits reports it
    child.stderr?.on('data', (chunk: Buffer) => {
      started.stderr = (started.stderr + chunk).slice(-STDERR_LENGTH);
    });
    return started;
  }

  function end(): void {
    const child = running?.child;
    running = undefined;
    if (!child || exitOf(child) !== undefined) return;
    const exited = once(child, 'exit').catch(() => {});
    ending = Promise.race([exited, runningSleep(EXIT_MS)]);
    child.kill('SIGKILL');
  }

  /** Returns the answer, or how the process ended instead. */
  async function ask(job: Job, { deadlineMs, fresh = false }: JobOptions): Promise<Answer | NodeJS.Signals | number> {
    if (signal.aborted) throw new JobStopped();
    const exit = running && exitOf(running.child);
    if (exit !== undefined) throw crashed(exit, 'the process of the earlier checks');
    if (fresh) end();
    if (!running) await ending;
    running ??= start();
    const { child } = running;
    const late = new AbortController();
    const clear = setRunningTimeout(deadlineMs, () => late.abort());
    const options = { signal: AbortSignal.any([signal, late.signal]) };
    try {
      const answered = once(child, 'message', options).then(([answer]) => answer as Answer);
      const exited = once(child, 'close', options).then(([code, by]) => (by ?? code) as NodeJS.Signals | number);
      for (const each of [answered, exited]) each.catch(() => {}); // one of them is aborted below
      child.send(job, () => {}); // `close` reports a process that has ended
      return await Promise.race([answered, exited]);
    } catch (error) {
      end();
      if (signal.aborted) throw new JobStopped();
      if (!late.signal.aborted) throw new JobError(`its process does not run: ${(error as Error).message}`);
      throw new JobError(`there was no answer within ${Math.round(deadlineMs / 1000)} s, and its process was ended`);
    } finally {
      clear();
      late.abort(); // removes the listeners
    }
  }

  function crashed(exit: NodeJS.Signals | number, which = 'its process'): JobError {
    const line = running ? lastLine(running.stderr) : '';
    end();
    const by = typeof exit === 'number' ? `with exit code ${exit}` : `by ${exit}`;
    return new JobError(`${which} ended ${by}${line && `; its last message is: ${line}`}`);
  }

  return {
    async run(job, options) {
      const answer = await ask(job as Job, options);
      if (typeof answer !== 'object') throw crashed(answer);
      if (answer.ok) return answer.result as never;
      end(); // a failed job may leave something behind
      throw new JobError(answer.message);
    },
    async runToDeath(job, options) {
      const answer = await ask(job, options);
      if (typeof answer !== 'object' && answer !== 'SIGKILL') throw crashed(answer);
      end();
      if (typeof answer !== 'object') return;
      throw new JobError(answer.ok ? 'it ended before it was killed' : answer.message);
    },
    close: end,
  };
}

function exitOf({ signalCode, exitCode }: ChildProcess): NodeJS.Signals | number | undefined {
  return signalCode ?? exitCode ?? undefined;
}

/** The last line of stderr, or TensorFlow's last fatal one (`F0000 …`). */
function lastLine(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  return (lines.findLast((line) => /^F\d|Fatal|fatal/.test(line)) ?? lines.at(-1) ?? '').trim();
}
