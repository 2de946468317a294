/** Asks CUDA's driver, and tries the libraries that TensorFlow opens. Nothing here needs TensorFlow. */
import { type DriverAnswer, type GpuFacts, type LibraryState, mustCompile } from '../install/gpu-support.js';
import { bind, loadKoffi, type NativeLibrary } from '../install/koffi.js';
import { fetchedBuild, findLibrary } from '../install/library.js';
import { hasNvidiaCard, hasNvidiaDevice, readNvidia } from '../install/nvidia.js';
import type { Card } from '../install/nvidia-smi.js';

const koffi = loadKoffi();

/** TensorFlow 2.21 has no GPU if it cannot open all of these (`TryDlopenCUDALibraries`). */
const OPENED_BY_TENSORFLOW = [
  ...['libcudart.so.12', 'libcublas.so.12', 'libcublasLt.so.12', 'libcufft.so.11', 'libcusolver.so.11'],
  ...['libcusparse.so.12', 'libcudnn.so.9'],
];

/** `dlfcn.h` */
export const DYNAMIC_LOADING = ['void *dlopen(const char *path, int flags)', 'const char *dlerror()'] as const;
const RTLD_LAZY = 1;

/** `cuda.h` */
const DRIVER = [
  'int cuDriverGetVersion(_Out_ void *version)',
  'int cuInit(uint32_t flags)',
  'int cuGetErrorName(int error, _Out_ void *name)',
  'int cuDeviceGetCount(_Out_ void *count)',
  'int cuDeviceGetAttribute(_Out_ void *value, int attribute, int device)',
  'int cuDeviceGetName(_Out_ void *name, int bytes, int device)',
] as const;
/** `CUdevice_attribute` of cuda.h. */
const CAPABILITY_MAJOR = 75;
const CAPABILITY_MINOR = 76;
const NAME_BYTES = 128;

/** Asks CUDA's driver. Never throws: what went wrong is part of the answer. */
export function askDriver(): DriverAnswer {
  let driver: NativeLibrary;
  try {
    driver = koffi.load('libcuda.so.1');
  } catch (error) {
    return { missing: reasonOf(error), cards: [] };
  }
  const number = (call: (out: Int32Array) => number) => {
    const out = new Int32Array(1);
    return call(out) === 0 ? out[0]! : 0;
  };
  const cu = bind(DRIVER, [driver]);
  const version = number(cu.cuDriverGetVersion);
  const cuda = version > 0 ? { cuda: `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}` } : {};
  const code = cu.cuInit(0);
  if (code !== 0) {
    const address = new BigUint64Array(1);
    const name = cu.cuGetErrorName(code, address) === 0 ? koffi.decode(address[0]!, 'char', -1) : 'unknown';
    return { ...cuda, refusal: { code, name }, cards: [] };
  }
  const count = number(cu.cuDeviceGetCount);
  const cards = Array.from({ length: count }, (_, i): Card => {
    const [major, minor] = [CAPABILITY_MAJOR, CAPABILITY_MINOR].map((which) =>
      number((out) => cu.cuDeviceGetAttribute(out, which, i)),
    );
    const name = Buffer.alloc(NAME_BYTES);
    cu.cuDeviceGetName(name, NAME_BYTES, i);
    return { name: name.toString('utf8', 0, name.indexOf(0)), computeCapability: `${major}.${minor}` };
  });
  return { ...cuda, cards };
}

/** Whether TensorFlow could have a GPU in this process: CUDA's driver starts, and has a card. */
export function hasUsableDriver(root = '/'): boolean {
  return hasNvidiaDevice(root) && askDriver().cards.length > 0;
}

let compiling: Card[] | undefined;

/** The newest compute capability of the cards for which the driver has to compile TensorFlow's kernels, if any. */
export function compiledAtFirstUse(root = '/'): string | undefined {
  if (!hasNvidiaDevice(root)) return undefined;
  compiling ??= askDriver().cards.filter(mustCompile);
  return compiling.map((card) => card.computeCapability!).sort((a, b) => Number(b) - Number(a))[0];
}

/** Whether each library that TensorFlow opens can be opened. Once TensorFlow is loaded, it finds the same ones. */
export function openableLibraries(): LibraryState[] {
  const { dlopen, dlerror } = bind(DYNAMIC_LOADING);
  return OPENED_BY_TENSORFLOW.map((name) =>
    dlopen(name, RTLD_LAZY) ? { name } : { name, error: reasonOf(dlerror()) },
  );
}

/** cuDNN's version as its own function gives it, 91002 for 9.10.2; undefined without cuDNN. */
export function cudnnVersion(): number | undefined {
  try {
    return Number(bind(['size_t cudnnGetVersion()'], [koffi.load('libcudnn.so.9')]).cudnnGetVersion());
  } catch {
    return undefined;
  }
}

/**
 * All facts about the machine's cards; undefined if there is none, or `CUDA_VISIBLE_DEVICES` hides them all on purpose.
 * To be called after TensorFlow was loaded.
 * @param gpus how many GPUs TensorFlow has.
 * @param thorough also runs nvidia-smi, which takes a second, if TensorFlow has a GPU.
 */
export function examineGpus(gpus: number, thorough = false, root = '/'): GpuFacts | undefined {
  if (!hasNvidiaCard(root)) return undefined;
  const hasDriver = hasNvidiaDevice(root);
  const cudnn = cudnnVersion();
  const library = findLibrary();
  const build = library && fetchedBuild(library);
  return {
    ...{ nvidia: thorough || gpus === 0 ? readNvidia(root) : { cards: [] }, hasDriver, gpus },
    flavour: library?.flavour ?? 'unknown',
    ...(build && { build }),
    driver: hasDriver ? askDriver() : { cards: [] },
    libraries: hasDriver ? openableLibraries() : [],
    ...(cudnn !== undefined && { cudnn }),
  };
}

function reasonOf(error: unknown): string {
  const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
  return line.replace(/^Failed to load shared library: /, '');
}
