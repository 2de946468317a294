/** PyTorch's training steps, in a Python process that does one step per line on its stdin. */
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError } from 'commander';
import { usableCores } from '../../src/limits.js';
import { openPython, PYTHON } from './python.js';
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

/** The first line of the script. */
interface Hello {
  torch: string;
  /** Whether this build of PyTorch has a fused optimizer for this CPU. */
  fused: boolean;
}

/** The answer to a step. */
interface Answer {
  ms: number;
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
 * @param python the interpreter.
 * @returns undefined if PyTorch is not installed; prints why.
 */
export async function openPyTorch(
  kinds: readonly PyTorchKind[],
  options: PyTorchOptions,
  python = PYTHON,
): Promise<PyTorch | undefined> {
  const threads = options.threads ?? usableCores();
  const process = await openPython<Hello, Answer>(SCRIPT, { ...options, threads }, python);
  if (!process) return undefined;
  const { torch, fused } = process.hello;
  if (!fused && kinds.some((kind) => kind.startsWith('expert'))) {
    console.log('this PyTorch has no fused optimizer for this CPU, so its expert variants use the usual one');
  }
  const variants = kinds.map((kind) => ({
    name: `pytorch ${kind}`,
    run: async () => {
      const { ms, differences } = await process.ask(kind);
      if (differences) {
        const { loss, gradients } = differences;
        const found = `${loss.toExponential(1)} of the loss and ${gradients.toExponential(1)} of the gradients`;
        console.log(`pytorch ${kind} differs from the usual net by ${found}`);
      }
      return ms;
    },
  }));
  return { version: torch, variants, close: process.close };
}
