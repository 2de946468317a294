/**
 * Trains with one fault after another in one process: `several.js CASES`, a JSON list of {@link Case}. Prints a line of JSON
 * for each: a {@link Result}.
 */
import './workers.js';
import { existsSync, readdirSync } from 'node:fs';
import { inProcess } from '../cli/in-process.js';
import { withFault } from './fault.js';

export interface Case {
  name: string;
  fault: string | null;
  /** Of the command line. */
  args: string[];
}

export interface Result {
  name: string;
  code: number;
  stderr: string;
  seconds: number;
  /** Threads of the process at their most, and after the run. On Linux alone. */
  threads?: { most: number; left: number };
}

const THREADS = '/proc/self/task';
const SAMPLE_MS = 20;

/** Counts the threads of this process until it is called again. */
function countThreads(): () => Result['threads'] {
  if (!existsSync(THREADS)) return () => undefined;
  const now = () => readdirSync(THREADS).length;
  let most = now();
  const timer = setInterval(() => {
    most = Math.max(most, now());
  }, SAMPLE_MS);
  return () => {
    clearInterval(timer);
    return { most, left: now() };
  };
}

for (const { name, fault, args } of JSON.parse(process.argv[2]!) as Case[]) {
  const [started, stop] = [performance.now(), countThreads()];
  const { code, stderr } = await withFault(fault, () => inProcess(args));
  const [seconds, threads] = [(performance.now() - started) / 1000, stop()];
  process.stdout.write(
    `${JSON.stringify({ name, code, stderr, seconds, ...(threads && { threads }) } satisfies Result)}\n`,
  );
}
