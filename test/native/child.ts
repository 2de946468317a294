/** Runs JavaScript in child processes, for what one process can do only once. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { collect, type Ended } from '../../scripts/trainer.js';

export type { Ended } from '../../scripts/trainer.js';

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** The environment of a child process: without the test runner's variables, but with the test's, and with stand-in GPUs. */
export function environment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const env = { ...process.env };
  delete env.NODE_TEST_CONTEXT;
  if (!env.FAKE_GPU_LIBRARY) delete env.NODE_OPTIONS;
  return { ...env, ...extra };
}

/** Runs Node.js to its end. @param args its arguments. @param by a command that starts it. */
export function runNode(args: string[], env: NodeJS.ProcessEnv = {}, by: readonly string[] = []): Promise<Ended> {
  const [first, ...rest] = [...by, process.execPath, ...args];
  const child = spawn(first!, rest, { env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] });
  return collect(child).ended;
}

/** Runs a program in `programs/`. */
export function runProgram(name: string, args: string[] = [], env?: NodeJS.ProcessEnv): Promise<Ended> {
  return runNode([fileURLToPath(new URL(`programs/${name}.js`, import.meta.url)), ...args], env);
}
