/** Runs JavaScript in child processes, for what one process can do only once. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** The environment of a child process: without the test runner's variables, but with the test's, and with stand-in GPUs. */
export function environment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const env = { ...process.env };
  delete env.NODE_TEST_CONTEXT;
  if (!env.FAKE_GPU_LIBRARY) delete env.NODE_OPTIONS;
  return { ...env, ...extra };
}

/** Runs Node.js to its end. @param args its arguments. @param by a command that starts it. */
export async function runNode(args: string[], env: NodeJS.ProcessEnv = {}, by: readonly string[] = []): Promise<Ended> {
  const [first, ...rest] = [...by, process.execPath, ...args];
  const child = spawn(first!, rest, { env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    output.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output.stderr += chunk;
  });
  const [code, signal] = await once(child, 'close');
  return { code, signal, ...output };
}

/** Runs a program in `programs/`. */
export function runProgram(name: string, args: string[] = [], env?: NodeJS.ProcessEnv): Promise<Ended> {
  return runNode([fileURLToPath(new URL(`programs/${name}.js`, import.meta.url)), ...args], env);
}
