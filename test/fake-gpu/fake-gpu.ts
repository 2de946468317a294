/**
 * Stand-in GPUs for tests: two devices of the type GPU for TensorFlow's CPU build, whose memory no host code can read, with
 * the kernels that TensorFlow's GPU build has. The C++ beside this is compiled once and kept in the cache.
 *
 * They tell where a tensor lies, what is copied, which kernel is missing, and who takes memory of a GPU for the host's.
 * They cannot tell cuDNN's and cuBLAS's numbers, what streams do, copies from card to card (TensorFlow takes them by way of
 * the host here), errors that come late, or speed; and TensorFlow splits no such device into logical ones
 * (`virtualGpuMiB` has no effect).
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
/** The list of kernels, as TensorFlow's GPU build has them. */
export const KERNELS_FILE = join(SOURCES, 'kernels.txt');
const NAME = 'libfake_gpu.so';
const TENSORFLOW = ['libtensorflow_framework.so.2', 'libtensorflow_cc.so.2'];

export interface FakeGpuSettings {
  /** How many there are; 2 without it. */
  count?: 1 | 2;
  /** Memory of each, in MiB; 4096 without it. */
  mebibytes?: number;
  /** A file that the process writes a {@link FakeGpuReport} into when it ends by itself. */
  report?: string;
}

/** What the stand-ins did: copies by direction, how many of each size in bytes, and ops by GPU and name. */
export type FakeGpuReport = Record<'toDevice' | 'toHost' | 'amongDevices', Record<string, number>> &
  Record<'GPU:0' | 'GPU:1', Record<string, number>>;

export interface FakeGpus {
  /** Why there are none here, for a test to print when it skips; false when there are. */
  skip: string | false;
  /** What a child process needs in its environment to have them. */
  env(settings?: FakeGpuSettings): NodeJS.ProcessEnv;
}

/** Builds the stand-ins when they are not in the cache. @throws Error with the compiler's words when it fails. */
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
      TF_ENABLED_DEVICE_TYPES: 'CPU,GPU', // also where a setting points at the library, and no card is here
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
  // Each process builds in a folder of its own, and the last rename stands: the files are alike.
  const work = mkdtempSync(join(folder, 'building-'));
  try {
    const sources = names.filter((name) => name.endsWith('.cc')).map((name) => join(SOURCES, name));
    // TensorFlow is in the process when this is loaded, under these names. To link with it itself takes seconds.
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
