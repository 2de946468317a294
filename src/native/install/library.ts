/** Finds the TensorFlow library: where `TENSORFLOW_DIR` points, or in the cache. Loads nothing. */
import { existsSync } from 'node:fs';
import os from 'node:os';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { SetupError, truncate } from '../../errors.js';
import { expandHome } from '../../paths.js';
import { hasNvidiaDevice, namesIn } from './nvidia.js';
import { buildFor, cudaFolders, type Flavour } from './wheels.js';

export interface FoundLibrary {
  /** libtensorflow_framework, which has to be loaded first. */
  framework: string;
  /** libtensorflow_cc, or the libtensorflow of a C package. */
  tensorflow: string;
  source: 'TENSORFLOW_DIR' | 'cache';
  flavour: Flavour | 'unknown';
  /** The `lib` folders of CUDA packages that came with the library. */
  nvidiaFolders: string[];
}

const SUFFIX = process.platform === 'darwin' ? '2.dylib' : 'so.2';
const FRAMEWORK = `libtensorflow_framework.${SUFFIX}`;
/** The C API is in libtensorflow_cc of a Python package, or in libtensorflow of a C package. */
const TENSORFLOW = [`libtensorflow_cc.${SUFFIX}`, `libtensorflow.${SUFFIX}`];

/**
 * The folder of fetched libraries, which all clones share. `ALEXNET_SPLIT_CACHE` moves it.
 * @throws SetupError for a user without a home folder, if no setting says where the cache is.
 */
export function cacheFolder(): string {
  const { ALEXNET_SPLIT_CACHE, XDG_CACHE_HOME } = process.env;
  if (ALEXNET_SPLIT_CACHE) return resolve(expandHome(ALEXNET_SPLIT_CACHE, 'ALEXNET_SPLIT_CACHE'));
  const shared = XDG_CACHE_HOME && expandHome(XDG_CACHE_HOME, 'XDG_CACHE_HOME');
  // Relative paths have to be ignored (XDG Base Directory Specification).
  if (shared && isAbsolute(shared)) return join(shared, 'alexnet-split');
  const caches = process.platform === 'darwin' ? join('Library', 'Caches') : '.cache';
  return join(homeFolder(), caches, 'alexnet-split');
}

/** `HOME`, if it is an absolute path; else the home in the system's list of users. */
function homeFolder(): string {
  for (const home of [() => os.homedir(), () => os.userInfo().homedir]) {
    try {
      const folder = home();
      if (isAbsolute(folder)) return folder;
    } catch {
      // The user is not in the list, which is common in containers.
    }
  }
  const { HOME } = process.env;
  const found = HOME ? `HOME is ${JSON.stringify(truncate(HOME))}` : 'HOME is not set';
  throw new SetupError(
    `Cannot tell where the cache folder is: ${found}, and the system knows no home of user ${process.geteuid?.()}, expected a home folder; set ALEXNET_SPLIT_CACHE, XDG_CACHE_HOME or HOME to a folder that this user may write to`,
  );
}

/**
 * The library to load, or undefined if it has to be fetched. With an NVIDIA device, the cache's CPU build does not count
 * if the platform has a GPU build: a run would be slow without any message. Without a device, both builds count.
 * @throws SetupError if `TENSORFLOW_DIR` has no library.
 */
export function findLibrary(nvidiaDevice: boolean = hasNvidiaDevice()): FoundLibrary | undefined {
  return process.env.TENSORFLOW_DIR ? fromSetting(process.env.TENSORFLOW_DIR) : fromCache(nvidiaDevice);
}

/** CUDA's libraries that TensorFlow opens by name, each after the ones that it needs itself. */
const CUDA_LIBRARIES = [
  ...['libcudart', 'libnvJitLink', 'libcublasLt', 'libcublas', 'libnvrtc', 'libcufft', 'libcurand', 'libcusparse'],
  ...['libcusolver', 'libcupti', 'libnccl', 'libcudnn'],
];

/**
 * The files to open with `RTLD_GLOBAL`, in this order, before TensorFlow. TensorFlow opens CUDA by name (`libcudnn.so.9`)
 * and then gets the library of that name that is already open, whatever its folder.
 */
export function cudaPreload(nvidiaFolders: readonly string[]): string[] {
  const files = nvidiaFolders.flatMap((folder) => namesIn(folder).map((name) => join(folder, name)));
  return CUDA_LIBRARIES.flatMap(
    (library) => files.find((each) => new RegExp(`^${library}\\.so\\.\\d+$`).test(basename(each))) ?? [],
  );
}

/** A library's folder in the cache, and the CUDA folders that it has lost; undefined for a library from elsewhere. */
export function fetchedBuild(library: FoundLibrary): { folder: string; lost: string[] } | undefined {
  const { source, flavour, framework } = library;
  if (source !== 'cache') return undefined;
  const folder = dirname(dirname(framework));
  const isLost = (name: string) => namesIn(join(folder, name)).length === 0;
  return { folder, lost: flavour === 'gpu' ? cudaFolders().filter(isLost) : [] };
}

function fromSetting(setting: string): FoundLibrary {
  const folder = resolve(expandHome(setting, 'TENSORFLOW_DIR'));
  // The folder itself, site-packages, or an unpacked C package.
  for (const each of [folder, join(folder, 'tensorflow'), join(folder, 'lib')]) {
    const found = librariesIn(each);
    if (found) {
      const flavour = found.nvidiaFolders.length > 0 ? 'gpu' : 'unknown';
      return { ...found, source: 'TENSORFLOW_DIR', flavour };
    }
  }
  const state = existsSync(folder) ? 'has no TensorFlow library' : 'does not exist';
  throw new SetupError(
    `Cannot use TENSORFLOW_DIR: the folder ${folder} ${state}, expected ${FRAMEWORK} and ${TENSORFLOW.join(' or ')} in it, in tensorflow/ or in lib/; point it at a Python package's tensorflow folder or an unpacked libtensorflow, or unset it to have the library fetched`,
  );
}

function fromCache(nvidiaDevice: boolean): FoundLibrary | undefined {
  for (const wanted of nvidiaDevice ? (['gpu'] as const) : (['cpu', 'gpu'] as const)) {
    const { folder, flavour } = buildFor(process.platform, process.arch, wanted);
    const found = librariesIn(join(cacheFolder(), folder, 'tensorflow'));
    if (found) return { ...found, source: 'cache', flavour };
  }
  return undefined;
}

function librariesIn(folder: string): Pick<FoundLibrary, 'framework' | 'tensorflow' | 'nvidiaFolders'> | undefined {
  const framework = join(folder, FRAMEWORK);
  const tensorflow = TENSORFLOW.map((name) => join(folder, name)).find((file) => existsSync(file));
  if (!tensorflow || !existsSync(framework)) return undefined;
  const nvidia = resolve(folder, '..', 'nvidia'); // where pip puts the packages nvidia-*-cu12
  const nvidiaFolders = namesIn(nvidia).map((name) => join(nvidia, name, 'lib'));
  return { framework, tensorflow, nvidiaFolders: nvidiaFolders.filter((each) => existsSync(each)) };
}
