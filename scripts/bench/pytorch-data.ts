/** PyTorch's DataLoader, in a Python process that runs an epoch per line on its stdin. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Variant } from './report.js';

const SCRIPT = fileURLToPath(new URL('../../../scripts/bench/pytorch_data.py', import.meta.url));
const CROPS = { crop: 'Resize, RandomCrop', resized: 'RandomResizedCrop' } as const;

export interface LoaderOptions {
  /** With a folder for each class. */
  folder: string;
  /** Of an epoch. */
  images: number;
  batch: number;
  resize: number;
  crop: number;
}

/**
 * Starts the process.
 * @param python the interpreter; the environment variable `BENCH_PYTHON` names another than `python3`.
 * @returns undefined if PyTorch or torchvision is not installed; prints why.
 */
export async function openLoaders(
  options: LoaderOptions,
  workers: readonly number[],
  python = process.env.BENCH_PYTHON ?? 'python3',
) {
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(python, [SCRIPT, ...flags], { stdio: ['pipe', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  child.stdin.on('error', () => {}); // it has ended, so there will be no answer
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const failed = once(child, 'error').then(() => ({ done: true, value: '' }) as const);
  const answer = async () => {
    const next = await Promise.race([lines.next(), failed]);
    return next.done ? undefined : JSON.parse(next.value);
  };
  const versions: { torch: string; torchvision: string } | undefined = await answer();
  if (!versions) {
    console.log(`without PyTorch: ${stderr.trim().split('\n').at(-1) || `${python} cannot be run`}`);
    return undefined;
  }
  const variants: Variant[] = workers.flatMap((count) =>
    (['crop', 'resized'] as const).map((crop) => ({
      name: `${count} workers, PyTorch's DataLoader, ${CROPS[crop]}`,
      async run() {
        child.stdin.write(`${crop}/${count}\n`);
        const result = await answer();
        if (!result) throw new Error(`PyTorch ended: ${stderr.trim().split('\n').at(-1)}`);
        return result.ms as number;
      },
    })),
  );
  return { versions, variants, close: () => child.kill() };
}
