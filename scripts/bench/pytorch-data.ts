/** PyTorch's DataLoader, in a Python process that runs an epoch per line on its stdin. */
import { fileURLToPath } from 'node:url';
import { openPython, PYTHON } from './python.js';
import type { Variant } from './report.js';

const SCRIPT = fileURLToPath(new URL('../../../scripts/bench/pytorch_data.py', import.meta.url));
const CROPS = {
  crop: 'Resize, RandomCrop',
  sized: 'sized files, RandomCrop',
  resized: 'RandomResizedCrop',
} as const;

export interface LoaderOptions {
  /** With a folder for each class. */
  folder: string;
  /** The same images, of the size `resize`. */
  sized: string;
  /** Of an epoch. */
  images: number;
  batch: number;
  resize: number;
  crop: number;
}

/**
 * Starts the process.
 * @param python the interpreter.
 * @returns undefined if PyTorch or torchvision is not installed; prints why.
 */
export async function openLoaders(options: LoaderOptions, workers: readonly number[], python = PYTHON) {
  type Versions = { torch: string; torchvision: string };
  const process = await openPython<Versions, { ms: number }>(SCRIPT, options, python);
  if (!process) return undefined;
  const variants: Variant[] = workers.flatMap((count) =>
    (['crop', 'sized', 'resized'] as const).map((crop) => ({
      name: `${count} workers, PyTorch's DataLoader, ${CROPS[crop]}`,
      run: async () => (await process.ask(`${crop}/${count}`)).ms,
    })),
  );
  return { versions: process.hello, variants, close: process.close };
}
