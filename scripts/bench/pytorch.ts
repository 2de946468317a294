/** PyTorch beside our own variants: a Python process that does a step when it is asked to. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Variant } from './report.js';

const SCRIPT = fileURLToPath(new URL('../../../scripts/bench/pytorch_step.py', import.meta.url));

export interface PyTorchOptions {
  batch: number;
  pixels: number;
  classes: number;
  width: number;
  /** For one op; by default as many as the machine has. */
  threads?: number | undefined;
}

/** PyTorch's steps, and how to end it. */
export interface PyTorch {
  version: string;
  variants: readonly Variant[];
  close(): void;
}

/**
 * Starts PyTorch with the same net, when there is one.
 * @param python the interpreter; the environment variable `BENCH_PYTHON` names another than `python3`.
 * @returns undefined when it is not installed; says so.
 */
export async function openPyTorch(
  kinds: readonly ('eager' | 'compile')[],
  options: PyTorchOptions,
  python = process.env.BENCH_PYTHON ?? 'python3',
): Promise<PyTorch | undefined> {
  const threads = options.threads ?? availableParallelism();
  const flags = Object.entries({ ...options, threads }).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(python, [SCRIPT, ...flags], { stdio: ['pipe', 'pipe', 'pipe'] });
  const errors: string[] = [];
  child.stderr.on('data', (chunk) => errors.push(String(chunk)));
  child.stdin.on('error', () => {}); // it ended; the missing answer tells
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const failed = once(child, 'error').then(([error]) => ({ done: true, value: String(error) }) as const);
  const answer = async (): Promise<Record<string, number | string> | undefined> => {
    const next = await Promise.race([lines.next(), failed]);
    return next.done ? undefined : JSON.parse(next.value);
  };
  const hello = await answer();
  if (!hello) {
    console.log(`without PyTorch: ${errors.join('').trim().split('\n').at(-1) || `${python} cannot be run`}`);
    return undefined;
  }
  const variants = kinds.map((kind) => ({
    name: `pytorch ${kind}`,
    run: async () => {
      child.stdin.write(`${kind}\n`);
      const result = await answer();
      if (!result) throw new Error(`PyTorch ended: ${errors.join('').trim().split('\n').at(-1)}`);
      return result.ms as number;
    },
  }));
  return { version: String(hello.torch), variants, close: () => child.kill() };
}
