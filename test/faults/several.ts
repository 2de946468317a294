/**
 * Trains with one fault after another in one process: `several.js CASES`, a JSON list of {@link Case}. Prints a line of JSON
 * for each: a {@link Result}.
 */
import './workers.js';
import { main } from '../../src/cli.js';
import { Screen } from '../cli/stand-ins.js';
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
  const [stdout, stderr] = [new Screen(), new Screen()];
  const code = await withFault(fault, () => main(args, { stdout, stderr }));
  const seconds = (performance.now() - started) / 1000;
  process.stdout.write(`${JSON.stringify({ name, code, stderr: stderr.text, seconds } satisfies Result)}\n`);
}
