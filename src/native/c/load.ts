/**
 * Loads TensorFlow into the process and binds its C functions. Every thread that uses it calls
 * {@link openLibrary} for itself; the library is loaded once.
 */
import { isNoexec, unmappableFile } from '../../addon.js';
import { SetupError } from '../../errors.js';
import { printable } from '../../printable.js';
import { remedies } from '../install/environment.js';
import { loadKoffi } from '../install/koffi.js';
import { cudaPreload, type FoundLibrary, findLibrary } from '../install/library.js';
import { hasUsableDriver } from './cuda.js';
import { oneAtATime, type ProcessWords } from './process-wide.js';
import { PROTOTYPES } from './prototypes.js';
import { type Pointer, STRUCTS, type TensorFlowC } from './signatures.js';

const koffi = loadKoffi();

/** The few functions of the C library that the binding needs. */
export interface LibC {
  memcpy(to: Pointer | ArrayBufferView, from: Pointer | ArrayBufferView, bytes: number): void;
  getenv(name: string): string | null;
  setenv(name: string, value: string, overwrite: number): number;
  unsetenv(name: string): number;
}

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
  const libc = bindLibC();
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
  const { dlopen, dlerror, strdup } = bindLoader();
  // Without RTLD_NODELETE the library is unmapped while its threads still run, and the process dies at its end.
  const open = (path: string, flags: number) => {
    if (dlopen(path, flags) === null) {
      throw new SetupError(`Cannot load ${whyNot(path, dlerror(), found.source)}`);
    }
  };
  for (const path of cudaPreload(found.nvidiaFolders)) open(path, RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE);
  const loadFramework = () => open(found.framework, RTLD_NOW | RTLD_NODELETE);
  if (wantsInfo) loadFramework();
  else withoutLog(words, libc, loadFramework);
  open(found.tensorflow, RTLD_NOW | RTLD_NODELETE);
  const paths: [string, string] = [found.framework, found.tensorflow];
  return { paths, kept: strdup(paths.join('\n')) };
}

/** Why the library is not loaded, and what to do: to fetch it again helps where the file is broken, not its disk. */
function whyNot(path: string, said: string, source: FoundLibrary['source']): string {
  if (unmappableFile(said) === undefined && !isNoexec(path))
    return `${path}: ${said}; run \`alexnet-split setup\` to fetch a working copy, or point TENSORFLOW_DIR at one`;
  const elsewhere =
    source === 'cache'
      ? 'set ALEXNET_SPLIT_CACHE to a folder on another disk, where the library is fetched again'
      : 'point TENSORFLOW_DIR at a copy on another disk';
  return `${path}: the system runs no code from its disk (${said}), which is probably mounted noexec; ${elsewhere}, or have that disk mounted with exec`;
}

function bindTensorFlow(framework: string, tensorflow: string): TensorFlowC {
  const libraries = [koffi.load(tensorflow), koffi.load(framework)];
  declareStructs();
  const missing: string[] = [];
  const bound: Record<string, unknown> = {};
  for (const [name, prototype] of Object.entries(PROTOTYPES)) {
    const holder = libraries.find((library) => hasSymbol(library, name));
    if (holder) bound[name] = holder.func(prototype);
    else missing.push(name);
  }
  if (missing.length > 0) {
    throw new SetupError(
      `Cannot use ${tensorflow}: it lacks ${missing.length} functions of TensorFlow's C API (${missing.slice(0, 3).join(', ')}); use TensorFlow 2.21, which \`alexnet-split setup\` fetches`,
    );
  }
  return bound as unknown as TensorFlowC;
}

let declared = false;

/** koffi takes a name once in a thread. */
function declareStructs(): void {
  if (declared) return;
  for (const [name, fields] of Object.entries(STRUCTS)) koffi.struct(name, fields);
  declared = true;
}

function hasSymbol(library: ReturnType<typeof koffi.load>, name: string): boolean {
  try {
    return library.symbol(name) !== null;
  } catch {
    return false; // koffi throws for an unknown name
  }
}

function bindLoader() {
  const self = koffi.load(null);
  return {
    dlopen: self.func('void *dlopen(const char *path, int flags)'),
    dlerror: self.func('const char *dlerror()'),
    strdup: self.func('void *strdup(const char *text)'),
  } as unknown as {
    dlopen(path: string, flags: number): Pointer | null;
    dlerror(): string;
    strdup(text: string): Pointer;
  };
}

/**
 * Runs `action` with C's `stderr` replaced by one that leads nowhere. While it loads, TensorFlow's framework tells of
 * oneDNN there, before any level of its log is heard (`IsMklEnabled()` in `tsl/util/port.cc`, with Abseil's log, which no
 * variable of the environment quiets). The descriptor stays as it is: what JavaScript writes to stderr meanwhile, in
 * whatever thread, arrives. When the thread ends in the middle of this, the next one that loads puts it right.
 */
function withoutLog(words: ProcessWords, { memcpy }: LibC, action: () => void): void {
  const self = koffi.load(null);
  // Only TensorFlow's builds for Linux have oneDNN.
  const nowhere = process.platform === 'linux' ? openNowhere(self) : null;
  if (nowhere === null) {
    action();
    return;
  }
  const variable: Pointer = self.symbol('stderr');
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

function openNowhere(self: ReturnType<typeof koffi.load>): Pointer | null {
  return self.func('void *fopen(const char *path, const char *mode)')('/dev/null', 'we');
}

function bindLibC(): LibC {
  const self = koffi.load(null);
  return {
    memcpy: self.func('void *memcpy(void *to, const void *from, size_t bytes)'),
    getenv: self.func('const char *getenv(const char *name)'),
    setenv: self.func('int setenv(const char *name, const char *value, int overwrite)'),
    unsetenv: self.func('int unsetenv(const char *name)'),
  } as unknown as LibC;
}
