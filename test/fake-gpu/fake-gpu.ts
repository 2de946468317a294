/**
 * Stand-in GPUs for tests: two devices of the type GPU for TensorFlow's CPU build, whose memory no host code can read, with
 * the kernels of TensorFlow's GPU build. The C++ files in this folder are compiled once and kept in the cache.
 *
 * They show in which memory a tensor is, what is copied, which kernel is missing, and which code reads a GPU's memory as the
 * host's. They do not show the numbers of cuDNN and cuBLAS, streams, copies from card to card (here TensorFlow copies through
 * the host), late errors, or speed. TensorFlow does not split such a device into logical ones (`virtualGpuMiB` has no effect).
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, findLibrary } from '../../src/native/install/library.js';
import { TENSORFLOW_VERSION } from '../../src/native/install/wheels.js';
import { ROOT } from '../native/child.js';

const SOURCES = join(ROOT, 'test/fake-gpu');
/** The list of kernels of TensorFlow's GPU build. */
export const KERNELS_FILE = join(SOURCES, 'kernels.txt');
const NAME = 'libfake_gpu.so';
const TENSORFLOW = ['libtensorflow_framework.so.2', 'libtensorflow_cc.so.2'];

export interface FakeGpuSettings {
  /** Number of GPUs; 2 by default. */
  count?: 1 | 2;
  /** Memory of each GPU, in MiB; 4096 by default. */
  mebibytes?: number;
  /** A file into which the process writes a {@link FakeGpuReport} when it ends by itself. */
  report?: string;
}

/** The number of copies by direction and size in bytes, and of ops by GPU and name. */
export type FakeGpuReport = Record<'toDevice' | 'toHost' | 'amongDevices', Record<string, number>> &
  Record<'GPU:0' | 'GPU:1', Record<string, number>>;

export interface FakeGpus {
  /** Why there are no stand-ins here, for a test that skips; false if there are. */
  skip: string | false;
  /** The environment of a child process with the stand-ins. */
  env(settings?: FakeGpuSettings): NodeJS.ProcessEnv;
}

/** Builds the stand-ins if they are not in the cache. @throws Error with the compiler's message. */
export async function fakeGpus(): Promise<FakeGpus> {
  const skip = whyNot();
  if (skip) return { skip, env: () => ({}) };
  const library = await build();
  if (!library) return { skip: 'no C++ compiler (c++, or CXX) to build stand-in GPUs with', env: () => ({}) };
  const preload = new URL('preload.js', import.meta.url).href;
  return {
    skip: false,
    env: ({ count = 2, mebibytes, report } = {}) => ({
      NODE_OPTIONS: `--import=${preload}`,
      FAKE_GPU_LIBRARY: library,
      TF_ENABLED_DEVICE_TYPES: 'CPU,GPU', // even if a setting points at the library, and there is no card
      FAKE_GPU_KERNELS: KERNELS_FILE,
      FAKE_GPUS: `${count}`,
      ...(mebibytes ? { FAKE_GPU_MIB: `${mebibytes}` } : {}),
      ...(report ? { FAKE_GPU_REPORT: report } : {}),
    }),
  };
}

function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'stand-in GPUs are for Linux';
  const found = findLibrary();
  if (!found) return 'stand-in GPUs need the TensorFlow library, which is not here';
  if (found.flavour === 'gpu') return "stand-in GPUs are for TensorFlow's CPU build, and here is the GPU build";
  return undefined;
}

/** @returns the library's path; undefined without a compiler. */
async function build(): Promise<string | undefined> {
  const names = readdirSync(SOURCES).filter((name) => /\.(cc|h)$/.test(name));
  const hash = createHash('sha256');
  for (const name of names) hash.update(name).update(readFileSync(join(SOURCES, name)));
  const key = hash.digest('hex').slice(0, 16);
  const folder = join(cacheFolder(), `fake-gpu-${TENSORFLOW_VERSION}-${process.arch}-${key}`);
  const library = join(folder, NAME);
  if (existsSync(library)) return library;
  mkdirSync(folder, { recursive: true });
  // Each process builds in its own folder, and the last rename wins: the files are the same.
  const work = mkdtempSync(join(folder, 'building-'));
  try {
    const sources = names.filter((name) => name.endsWith('.cc')).map((name) => join(SOURCES, name));
    // TensorFlow is loaded before this, under these names. Linking with TensorFlow itself would take seconds.
    for (const name of TENSORFLOW) {
      const stub = ['-shared', '-nostdlib', '-x', 'c', '/dev/null', `-Wl,-soname,${name}`, '-o', join(work, name)];
      if (!(await compile(stub))) return undefined;
    }
    const linked = ['-L', work, '-Wl,--no-as-needed', ...TENSORFLOW.map((name) => `-l:${name}`)];
    await compile(['-std=c++17', '-O1', '-shared', '-fPIC', ...sources, '-o', join(work, NAME), ...linked]);
    renameSync(join(work, NAME), library);
  } finally {
    rmSync(work, { recursive: true });
  }
  return library;
}

/** @returns false when there is no compiler. */
async function compile(args: string[]): Promise<boolean> {
  const command = process.env.CXX || 'c++';
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  try {
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`${command} cannot build the stand-in GPUs: ${errors}`);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
