/** PyTorch beside our own variants: a Python process that does a step when it is asked to. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError } from 'commander';
import { usableCores } from '../../src/limits.js';
import type { Variant } from './report.js';

/** How the net is written: as it comes, or as one would have it who knows PyTorch on CPUs; each by op or compiled. */
const KINDS = ['eager', 'compile', 'expert', 'expert-compile'] as const;
export type PyTorchKind = (typeof KINDS)[number];

const PREFIX = 'pytorch/';

const SCRIPT = fileURLToPath(new URL('../../../scripts/bench/pytorch_step.py', import.meta.url));

export interface PyTorchOptions {
  batch: number;
  pixels: number;
  classes: number;
  width: number;
  /** For one op; by default as many as the machine has. */
  threads?: number | undefined;
}

/** A line of the script: first what PyTorch is, then a step each. */
interface Answer {
  torch?: string;
  /** Whether it has the update of all parameters in one piece for this CPU. */
  fused?: boolean;
  ms?: number;
  /** Of an expert's net from the one as it comes, relative; before its first step. */
  differences?: { loss: number; gradients: number };
}

/** PyTorch's steps, and how to end it. */
export interface PyTorch {
  version: string;
  variants: readonly Variant[];
  close(): void;
}

/** PyTorch's among the variants. @throws InvalidArgumentError for one that there is not. */
export function kindsOf(variants: readonly string[]): PyTorchKind[] {
  const named = variants.filter((each) => each.startsWith(PREFIX)).map((each) => each.slice(PREFIX.length));
  const unknown = named.find((each) => !KINDS.some((kind) => kind === each));
  if (unknown === undefined) return KINDS.filter((kind) => named.includes(kind));
  throw new InvalidArgumentError(
    `There is no ${PREFIX}${unknown}, expected one of ${KINDS.map((kind) => PREFIX + kind).join(', ')}`,
  );
}

/**
 * Starts PyTorch with the same net, when there is one.
 * @param python the interpreter; the environment variable `BENCH_PYTHON` names another than `python3`.
 * @returns undefined when it is not installed; says so.
 */
export async function openPyTorch(
  kinds: readonly PyTorchKind[],
  options: PyTorchOptions,
  python = process.env.BENCH_PYTHON ?? 'python3',
): Promise<PyTorch | undefined> {
  const threads = options.threads ?? usableCores();
  const flags = Object.entries({ ...options, threads }).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(python, [SCRIPT, ...flags], { stdio: ['pipe', 'pipe', 'pipe'] });
  const errors: string[] = [];
  child.stderr.on('data', (chunk) => errors.push(String(chunk)));
  child.stdin.on('error', () => {}); // it ended; the missing answer tells
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const failed = once(child, 'error').then(([error]) => ({ done: true, value: String(error) }) as const);
  const answer = async () => {
    const next = await Promise.race([lines.next(), failed]);
    return next.done ? undefined : (JSON.parse(next.value) as Answer);
  };
  const closed = once(child, 'close').catch(() => {}); // it could not be started
  /** The last line that it said, when it has ended. */
  const lastWords = async () => {
    await closed;
    return errors.join('').trim().split('\n').at(-1);
  };
  const hello = await answer();
  if (!hello) {
    console.log(`without PyTorch: ${(await lastWords()) || `${python} cannot be run`}`);
    return undefined;
  }
  if (!hello.fused && kinds.some((kind) => kind.startsWith('expert'))) {
    console.log('this PyTorch has no fused update for this CPU: its expert variants go without');
  }
  const variants = kinds.map((kind) => ({
    name: `pytorch ${kind}`,
    run: async () => {
      child.stdin.write(`${kind}\n`);
      const result = await answer();
      if (!result) throw new Error(`PyTorch ended: ${await lastWords()}`);
      if (result.differences) {
        const { loss, gradients } = result.differences;
        const found = `${loss.toExponential(1)} of the loss and ${gradients.toExponential(1)} of the gradients`;
        console.log(`pytorch ${kind} differs from the net as it comes by ${found}`);
      }
      return result.ms!;
    },
  }));
  return { version: String(hello.torch), variants, close: () => child.kill() };
}
