/**
 * Runs the command line in this process, so that the trainings of a test file load TensorFlow once. Nothing is replaced. The
 * environment keeps what TensorFlow was loaded with, such as its log level, and child processes get that.
 */
import { main } from '../../src/cli.js';
import { Screen } from './stand-ins.js';

/** @param args of the command line. Paths begin in the current folder. */
export async function inProcess(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const [stdout, stderr] = [new Screen(), new Screen()];
  const code = await main(args, { stdout, stderr });
  return { code, stdout: stdout.text, stderr: stderr.text };
}
