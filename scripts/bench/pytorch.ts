/** PyTorch's training steps, in a Python process that does one step per line on its stdin. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError } from 'commander';
import { usableCores } from '../../src/limits.js';
import type { Variant } from './report.js';

/** How the net is written: in the usual way, or as a PyTorch expert would for CPUs. Each is run by op, or compiled. */
const KINDS = ['eager', 'compile', 'expert', 'expert-compile'] as const;
export type PyTorchKind = (typeof KINDS)[number];

const PREFIX = 'pytorch/';

const SCRIPT = fileURLToPath(new URL('../../../scripts/bench/pytorch_step.py', import.meta.url));

export interface PyTorchOptions {
  batch: number;
  pixels: number;
  classes: number;
  width: number;
  /** Threads for one op. By default as many as there are cores. */
  threads?: number | undefined;
}

/** A line of the script. The first line describes PyTorch; each further line is the answer to a step. */
interface Answer {
  torch?: string;
  /** Whether this build of PyTorch has a fused optimizer for this CPU. */
  fused?: boolean;
  ms?: number;
  /** Relative differences of an expert's net from the usual one, with its first step. */
  differences?: { loss: number; gradients: number };
}

export interface PyTorch {
  version: string;
  variants: readonly Variant[];
  close(): void;
}

/** Returns the PyTorch variants among the given ones. @throws InvalidArgumentError for an unknown one. */
export function kindsOf(variants: readonly string[]): PyTorchKind[] {
  const named = variants.filter((each) => each.startsWith(PREFIX)).map((each) => each.slice(PREFIX.length));
  const unknown = named.find((each) => !KINDS.some((kind) => kind === each));
  if (unknown === undefined) return KINDS.filter((kind) => named.includes(kind));
  throw new InvalidArgumentError(
    `There is no ${PREFIX}${unknown}, expected one of ${KINDS.map((kind) => PREFIX + kind).join(', ')}`,
  );
}

/**
 * Starts a Python process with the same net.
 * @param python the interpreter; the environment variable `BENCH_PYTHON` names another than `python3`.
 * @returns undefined if PyTorch is not installed; prints why.
 */
export async function openPyTorch(
  kinds: readonly PyTorchKind[],
  options: PyTorchOptions,
  python = process.env.BENCH_PYTHON ?? 'python3',
): Promise<PyTorch | undefined> {
  const threads = options.threads ?? usableCores();
  const flags = Object.entries({ ...options, threads }).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(python, [SCRIPT, ...flags], { stdio: ['pipe', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  child.stdin.on('error', () => {}); // it has ended, so there will be no answer
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const failed = once(child, 'error').then(() => ({ done: true, value: '' }) as const);
  const closed = once(child, 'close').catch(() => {}); // it could not be started
  const answer = async () => {
    const next = await Promise.race([lines.next(), failed]);
    return next.done ? undefined : (JSON.parse(next.value) as Answer);
  };
  const lastLine = async () => {
    await closed;
    return stderr.trim().split('\n').at(-1);
  };
  const hello = await answer();
  if (!hello) {
    console.log(`without PyTorch: ${(await lastLine()) || `${python} cannot be run`}`);
    return undefined;
  }
  if (!hello.fused && kinds.some((kind) => kind.startsWith('expert'))) {
    console.log('this PyTorch has no fused optimizer for this CPU, so its expert variants use the usual one');
  }
  const variants = kinds.map((kind) => ({
    name: `pytorch ${kind}`,
    run: async () => {
      child.stdin.write(`${kind}\n`);
      const result = await answer();
      if (!result) throw new Error(`PyTorch ended: ${await lastLine()}`);
      if (result.differences) {
        const { loss, gradients } = result.differences;
        const found = `${loss.toExponential(1)} of the loss and ${gradients.toExponential(1)} of the gradients`;
        console.log(`pytorch ${kind} differs from the usual net by ${found}`);
      }
      return result.ms!;
    },
  }));
  return { version: String(hello.torch), variants, close: () => child.kill() };
}
