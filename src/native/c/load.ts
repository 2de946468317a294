/** Loads TensorFlow into the process, once, and binds its C functions, in each thread. */
import { dirname } from 'node:path';
import { isNoexec, unmappableFile } from '../../addon.js';
import { SetupError } from '../../errors.js';
import { printable } from '../../printable.js';
import { remedies } from '../install/environment.js';
import { bind, loadKoffi, nameIn } from '../install/koffi.js';
import { cudaPreload, type FoundLibrary, findLibrary } from '../install/library.js';
import { libc } from './copy.js';
import { DYNAMIC_LOADING, hasUsableDriver } from './cuda.js';
import { oneAtATime, type ProcessWords } from './process-wide.js';
import { type Pointer, PROTOTYPES, type TensorFlowC } from './signatures.js';

const koffi = loadKoffi();
koffi.struct('TF_Output', { oper: 'void *', index: 'int' });
koffi.struct('AbslStatus', { word: 'uint64_t', room: 'uint64_t', more: 'uint64_t' });

export interface Library {
  c: TensorFlowC;
  path: string;
  /** Path of the library with TensorFlow's own C++ functions. */
  framework: string;
}

/**
 * Binds each function at its first call. To bind all of TensorFlow's at once would take a third of the time of loading it,
 * and what would fail then, a function that is absent, is checked for those that are called: {@link bindTensorFlow}.
 */
const RTLD_LAZY = 1;
const RTLD_NODELETE = process.platform === 'darwin' ? 0x80 : 0x1000;
const RTLD_GLOBAL = process.platform === 'darwin' ? 0x8 : 0x100;

let opened: Library | undefined;

/**
 * Loads TensorFlow, once in a process, and binds its functions for this thread. The first thread chooses the library.
 * @param options `usesServers`: whether this process will use devices of servers, or be one.
 * @throws SetupError if there is no library, it cannot be loaded, or it lacks a function; NativeError if another thread
 * does not finish loading it.
 */
export function openLibrary({ usesServers = false } = {}): Library {
  if (opened) return opened;
  const [framework, tensorflow] = oneAtATime('load TensorFlow', (words) => {
    if (words.library !== 0n) return koffi.decode(words.library, 'char', -1).split('\n') as [string, string];
    const found = findLibrary();
    if (!found) {
      throw new SetupError(
        'Cannot find the TensorFlow library: it is not in the cache and TENSORFLOW_DIR is not set; run `alexnet-split setup` to fetch it',
      );
    }
    loadFiles(found, words, usesServers);
    const paths: [string, string] = [found.framework, found.tensorflow];
    words.library = libc.strdup(paths.join('\n'));
    return paths;
  });
  opened = { c: bindTensorFlow(framework, tensorflow), path: tensorflow, framework };
  return opened;
}

/** The version of the TensorFlow that a process uses with servers, such as `2.21.0`. @throws as {@link openLibrary}. */
export function tensorflowVersion(): string {
  return openLibrary({ usesServers: true }).c.TF_Version();
}

function loadFiles(found: FoundLibrary, words: ProcessWords, usesServers: boolean): void {
  const wantsInfo = libc.getenv('TF_CPP_MIN_LOG_LEVEL') === '0';
  setEnvironment(found, usesServers);
  const { dlopen, dlerror } = bind(DYNAMIC_LOADING);
  // Without RTLD_NODELETE the library is unmapped while its threads still run, and the process crashes at its end.
  const open = (path: string, flags = RTLD_LAZY | RTLD_NODELETE) => {
    if (!dlopen(path, flags)) throw new SetupError(`Cannot load ${whyNot(path, dlerror(), found)}`);
  };
  for (const path of cudaPreload(found.nvidiaFolders)) open(path, RTLD_LAZY | RTLD_GLOBAL | RTLD_NODELETE);
  // Only TensorFlow's builds for Linux have oneDNN.
  if (wantsInfo || process.platform !== 'linux') open(found.framework);
  else withoutLog(words, () => open(found.framework));
  open(found.tensorflow);
}

/**
 * Sets what TensorFlow reads from the environment while it loads; through C, because in a worker thread `process.env` is
 * only a copy. The user's values stay, unless TensorFlow would end or hang: stderr says so.
 */
function setEnvironment({ flavour }: FoundLibrary, usesServers: boolean): void {
  for (const { name, value, keeps, says } of remedies()) {
    if (value !== undefined) libc.setenv(name, value, 1);
    else if (!keeps) libc.unsetenv(name);
    process.stderr.write(`warning: ${printable(says)}\n`);
  }
  const defaults = {
    // Off by default on CPUs without AVX-512, which would cost a third of the speed.
    TF_ENABLE_ONEDNN_OPTS: '1',
    // oneDNN keeps its plans for the gradients of kernels, instead of making them again in each step.
    TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE: '0',
    // Newer NVIDIA GPUs would round the factors of products to ten bits.
    NVIDIA_TF32_OVERRIDE: '0',
    // The kernels that the driver compiles for a card newer than TensorFlow do not fit into its default cache.
    CUDA_CACHE_MAXSIZE: `${2 ** 32}`,
    // Empty: a proxy for web pages (`http_proxy`) would get the connections to TensorFlow's servers, and refuse them.
    grpc_proxy: '',
    // Only errors: 0 is info, 1 warnings. With servers not even those (3): TensorFlow logs an error for each call to a server
    // that is lost, beside our own sentence. What ends the process is written at every level.
    TF_CPP_MIN_LOG_LEVEL: usesServers ? '3' : '2',
    // A call to a server that is not there fails at once; otherwise it waits for the server.
    GRPC_FAIL_FAST: 'true',
  };
  for (const [name, value] of Object.entries(defaults)) libc.setenv(name, value, 0);
  // If CUDA does not start, a GPU build would say so on stderr at every log level; our own message says why. Last, because
  // this starts the driver, which reads the variables above.
  if (flavour !== 'cpu' && !hasUsableDriver()) libc.setenv('TF_ENABLED_DEVICE_TYPES', 'CPU', 0);
}

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

/** The meaning of `dlopen`'s messages about an existing file, on Linux and on macOS. */
const REASONS: readonly [RegExp, string][] = [
  [
    // For a library for another 64-bit processor, Linux only says that there is no such file.
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
 * Runs `action` with C's `stderr` replaced by /dev/null. TensorFlow's framework writes a line about oneDNN there that no log
 * level turns off (`IsMklEnabled()` in `tsl/util/port.cc`, with Abseil's log). JavaScript writes to the file descriptor,
 * which stays. If the thread ends during this, the next one that loads the library restores `stderr`.
 */
function withoutLog(words: ProcessWords, action: () => void): void {
  const devNull = libc.fopen('/dev/null', 'we');
  const variable: Pointer = koffi.load(null).symbol('stderr');
  if (words.stderr === 0n) words.stderr = BigInt(koffi.decode(variable, 'uint64_t'));
  koffi.encode(variable, 'uint64_t', devNull || words.stderr);
  try {
    action();
  } finally {
    // The stream stays open, because another thread's C code may be writing to it.
    koffi.encode(variable, 'uint64_t', words.stderr);
    words.stderr = 0n;
  }
}
