/**
 * Trains with one fault after another in one process: `several.js CASES`, a JSON list of {@link Case}. Prints a line of JSON
 * for each: a {@link Result}.
 */
import './workers.js';
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
}

for (const { name, fault, args } of JSON.parse(process.argv[2]!) as Case[]) {
  const started = performance.now();
  const { code, stderr } = await withFault(fault, () => inProcess(args));
  const seconds = (performance.now() - started) / 1000;
  process.stdout.write(`${JSON.stringify({ name, code, stderr, seconds } satisfies Result)}\n`);
}
