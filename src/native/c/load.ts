/**
 * Loads TensorFlow into the process and binds its C functions. Every thread that uses it calls
 * {@link openLibrary} for itself; the library is loaded once.
 */
import { dirname } from 'node:path';
import { isNoexec, unmappableFile } from '../../addon.js';
import { SetupError } from '../../errors.js';
import { printable } from '../../printable.js';
import { remedies } from '../install/environment.js';
import { bind, type CFunctions, loadKoffi, nameIn } from '../install/koffi.js';
import { cudaPreload, type FoundLibrary, findLibrary } from '../install/library.js';
import { DYNAMIC_LOADING, hasUsableDriver } from './cuda.js';
import { oneAtATime, type ProcessWords } from './process-wide.js';
import { type Pointer, PROTOTYPES, type TensorFlowC } from './signatures.js';

const koffi = loadKoffi();
koffi.struct('TF_Output', { oper: 'void *', index: 'int' });

/** The few functions of the C library that the binding needs. */
const LIB_C = [
  'void *memcpy(_Out_ void *to, const void *from, size_t bytes)',
  'const char *getenv(const char *name)',
  'int setenv(const char *name, const char *value, int overwrite)',
  'int unsetenv(const char *name)',
] as const;
type LibC = CFunctions<(typeof LIB_C)[number]>;

export interface Library {
  c: TensorFlowC;
  libc: LibC;
  /** The file that was loaded. */
  path: string;
}

const RTLD_NOW = 2;
// glibc's values; macOS has 0x80 and 0x8.
const RTLD_NODELETE = process.platform === 'darwin' ? 0x80 : 0x1000;
const RTLD_GLOBAL = process.platform === 'darwin' ? 0x8 : 0x100;

let opened: Library | undefined;

/**
 * Loads libtensorflow (once a process) and binds its functions for this thread. The thread that comes first says which
 * library it is; one that comes later takes that, whatever its own environment says.
 *
 * TensorFlow reads its environment while it loads, and in a worker thread `process.env` is only a copy: what it must
 * see is therefore set through C. oneDNN is switched on, for on a CPU without AVX-512 it is off by default and that
 * costs a third of the speed; and it keeps what it has planned for the gradient of a kernel, which otherwise is planned
 * anew at each step. A value the user has set stays, unless TensorFlow would end or hang with it: stderr tells that.
 * @throws SetupError when there is no library, it cannot be loaded, or it lacks a function; NativeError when another
 * thread does not get done with loading it.
 */
export function openLibrary(): Library {
  if (opened) return opened;
  const libc = bind(LIB_C);
  const [framework, tensorflow] = oneAtATime('load TensorFlow', (words) => {
    if (words.library !== 0n) return koffi.decode(words.library, 'char', -1).split('\n') as [string, string];
    const { paths, kept } = loadFiles(libc, words);
    words.library = kept;
    return paths;
  });
  opened = { c: bindTensorFlow(framework, tensorflow), libc, path: tensorflow };
  return opened;
}

/** @returns framework and library, and both as a C string, which stays. */
function loadFiles(libc: LibC, words: ProcessWords): { paths: [string, string]; kept: Pointer } {
  const found = findLibrary();
  if (!found) {
    throw new SetupError(
      'Cannot find the TensorFlow library: it is not in the cache and TENSORFLOW_DIR is not set; run `alexnet-split setup` to fetch it',
    );
  }
  for (const { name, value, keeps, says } of remedies()) {
    if (value !== undefined) libc.setenv(name, value, 1);
    else if (!keeps) libc.unsetenv(name);
    process.stderr.write(`warning: ${printable(says)}\n`);
  }
  libc.setenv('TF_ENABLE_ONEDNN_OPTS', '1', 0);
  libc.setenv('TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE', '0', 0);
  // Newer NVIDIA GPUs would round the factors of products to ten bits.
  libc.setenv('NVIDIA_TF32_OVERRIDE', '0', 0);
  // What the driver compiles for a card newer than TensorFlow does not fit the cache that it keeps by itself.
  libc.setenv('CUDA_CACHE_MAXSIZE', `${2 ** 32}`, 0);
  // Where CUDA does not begin, a build for GPUs would say so on stderr, at every level; we say it in a sentence.
  if (found.flavour !== 'cpu' && !hasUsableDriver()) libc.setenv('TF_ENABLED_DEVICE_TYPES', 'CPU', 0);
  // The levels are those below which nothing is said: 0 info, 1 warning, 2 error.
  const wantsInfo = libc.getenv('TF_CPP_MIN_LOG_LEVEL') === '0';
  libc.setenv('TF_CPP_MIN_LOG_LEVEL', '2', 0);
  const { dlopen, dlerror, strdup } = bind([...DYNAMIC_LOADING, 'void *strdup(const char *text)']);
  // Without RTLD_NODELETE the library is unmapped while its threads still run, and the process dies at its end.
  const open = (path: string, flags: number) => {
    if (!dlopen(path, flags)) {
      throw new SetupError(`Cannot load ${whyNot(path, dlerror(), found)}`);
    }
  };
  for (const path of cudaPreload(found.nvidiaFolders)) open(path, RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE);
  const loadFramework = () => open(found.framework, RTLD_NOW | RTLD_NODELETE);
  // Only TensorFlow's builds for Linux have oneDNN.
  if (wantsInfo || process.platform !== 'linux') loadFramework();
  else withoutLog(words, libc, loadFramework);
  open(found.tensorflow, RTLD_NOW | RTLD_NODELETE);
  const paths: [string, string] = [found.framework, found.tensorflow];
  return { paths, kept: strdup(paths.join('\n')) };
}

/** Why `dlopen` does not load a file, and what to do. */
function whyNot(path: string, said: string, { source, framework }: FoundLibrary): string {
  const isCached = source === 'cache';
  if (unmappableFile(said) !== undefined || isNoexec(path)) {
    const elsewhere = isCached
      ? 'set ALEXNET_SPLIT_CACHE to a folder on another disk, where the library is fetched again'
      : 'point TENSORFLOW_DIR at a copy on another disk';
    return `${path}: the system runs no code from its disk (${said}), which is probably mounted noexec; ${elsewhere}, or have that disk mounted with exec`;
  }
  const reason = REASONS.find(([words]) => said.startsWith(path) && words.test(said))?.[1];
  const detail = said.replace(`${path}: `, '');
  const remedy = isCached
    ? `delete the folder ${dirname(dirname(framework))}, and run \`alexnet-split setup\` to fetch the library again`
    : 'point TENSORFLOW_DIR at a library for this machine, or unset it and run `alexnet-split setup` to fetch one';
  return `${path}: ${reason ? `${reason} (${detail})` : detail}; ${remedy}`;
}

/** What the messages of `dlopen` about a file that is there mean: those of Linux, and of macOS. */
const REASONS: readonly [RegExp, string][] = [
  [
    // For another 64-bit processor, Linux says no more than that there is no such file.
    /wrong ELF class|cannot open shared object file: No such file|incompatible architecture/,
    `it is built for another kind of machine, expected a library for ${process.arch} ${process.platform}`,
  ],
  [
    /invalid ELF header|file too short|not a mach-o|no(?:t a)? valid mach-o/i,
    'it is not a shared library of this system',
  ],
];

function bindTensorFlow(framework: string, tensorflow: string): TensorFlowC {
  const c = bind(PROTOTYPES, [koffi.load(tensorflow), koffi.load(framework)]);
  const missing = PROTOTYPES.map(nameIn).filter((name) => !(name in c));
  if (missing.length === 0) return c;
  throw new SetupError(
    `Cannot use ${tensorflow}: it lacks ${missing.length} functions of TensorFlow's C API (${missing.slice(0, 3).join(', ')}); use TensorFlow 2.21, which \`alexnet-split setup\` fetches`,
  );
}

/**
 * Runs `action` with C's `stderr` replaced by one that leads nowhere. While it loads, TensorFlow's framework tells of
 * oneDNN there, before any level of its log is heard (`IsMklEnabled()` in `tsl/util/port.cc`, with Abseil's log, which no
 * variable of the environment quiets). The descriptor stays as it is: what JavaScript writes to stderr meanwhile, in
 * whatever thread, arrives. When the thread ends in the middle of this, the next one that loads puts it right.
 */
function withoutLog(words: ProcessWords, { memcpy }: LibC, action: () => void): void {
  const nowhere = bind(['void *fopen(const char *path, const char *mode)']).fopen('/dev/null', 'we');
  if (!nowhere) {
    action();
    return;
  }
  const variable: Pointer = koffi.load(null).symbol('stderr');
  const pointer = new BigUint64Array(1);
  memcpy(pointer, variable, 8);
  if (words.stderr === 0n) words.stderr = pointer[0]!;
  memcpy(variable, BigUint64Array.of(nowhere), 8);
  try {
    action();
  } finally {
    // The stream stays open: another thread's C may be writing to it.
    memcpy(variable, BigUint64Array.of(words.stderr), 8);
    words.stderr = 0n;
  }
}
