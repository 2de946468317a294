/** Which cards and drivers TensorFlow can use, and why it does not use a card. Asks neither the driver nor programs. */
import type { FoundLibrary } from './library.js';
import { type Nvidia, visibleCards } from './nvidia.js';
import { type Card, SMI_ABSENT } from './nvidia-smi.js';
import { hasGpuBuild, isOlder } from './wheels.js';

/** The oldest driver that runs any CUDA 12 (CUDA compatibility guide, minor version compatibility). */
export const OLDEST_DRIVER = '525.60.13';
const CUDA_MAJOR = 12;
/** TensorFlow 2.21 is compiled for 6.0, 7.0, 8.0, 8.9 and 9.0, and has PTX of 9.0 for those after it. */
const OLDEST_CAPABILITY = 6.0;
const NEWEST_COMPILED = 9.0;
/** cuDNN from 9.11 on has no code for older cards. */
const CUDNN_DROPPED = { since: 91_100, capability: 7.5 };
/** TensorFlow 2.21 accepts the major version that it was compiled with, and that minor version or a later one. */
const OLDEST_CUDNN = 90_300;

export interface DriverAnswer {
  /** Why its library cannot be opened. */
  missing?: string;
  /** The error with which it refuses to start. */
  refusal?: { code: number; name: string };
  /** The newest CUDA that it supports, `12.4`. */
  cuda?: string;
  /** The cards that this process may use, in CUDA's order. */
  cards: Card[];
}

export interface LibraryState {
  name: string;
  error?: string;
}

export interface GpuFacts {
  nvidia: Nvidia;
  /** Whether this process may use its devices: not if it is in a container that only sees its host's list. */
  hasDriver: boolean;
  flavour: FoundLibrary['flavour'];
  /** The build in the cache, if the library is from there: its folder, and the parts that are missing. */
  build?: { folder: string; lost: readonly string[] };
  driver: DriverAnswer;
  libraries: readonly LibraryState[];
  /** cuDNN's version as its own function gives it, 91002 for 9.10.2. */
  cudnn?: number;
  gpus: number;
}

/** Whether the driver has to compile TensorFlow's kernels for this card at their first use. */
export function mustCompile({ computeCapability }: Card): boolean {
  return Number(computeCapability) > NEWEST_COMPILED;
}

/** Whether TensorFlow can use a card, in a few words. */
export function cardVerdict(card: Card, cudnn?: number): string {
  if (card.computeCapability === undefined) return 'compute capability unknown';
  const capability = `compute capability ${card.computeCapability}`;
  if (isTooOld(card)) return `${capability}, too old: TensorFlow needs ${OLDEST_CAPABILITY.toFixed(1)}`;
  if (lacksCudnn(card, cudnn)) return `${capability}, which cuDNN ${cudnnName(cudnn!)} has no code for`;
  if (!mustCompile(card)) return capability;
  return `${capability}, newer than TensorFlow's kernels: the driver compiles them at first use, which takes minutes, and keeps them`;
}

/** `9.10.2` of 91002. */
export function cudnnName(version: number): string {
  return [Math.floor(version / 10_000), Math.floor((version % 10_000) / 100), version % 100].join('.');
}

export function cudnnRange(version: number): string {
  if (version < OLDEST_CUDNN) return `too old: TensorFlow needs ${cudnnName(OLDEST_CUDNN)}`;
  const oldest = version >= CUDNN_DROPPED.since ? CUDNN_DROPPED.capability : OLDEST_CAPABILITY;
  return `for compute capability ${oldest.toFixed(1)} and newer`;
}

export function isDriverTooOld(driver: string | undefined): boolean {
  return driver !== undefined && isOlder(driver, OLDEST_DRIVER);
}

/**
 * Why TensorFlow does not use a card, and what to do, as the end of a sentence. Undefined if TensorFlow has all GPUs that
 * the driver lists, and can use them.
 */
export function gpuTrouble(facts: GpuFacts): string | undefined {
  const { driver, gpus, cudnn } = facts;
  const cards = driver.cards.length > 0 ? driver.cards : facts.nvidia.cards;
  if (gpus === 0) return noGpu(facts, cards);
  const unfit = cards.filter((card) => lacksCudnn(card, cudnn) && !isTooOld(card));
  if (unfit.length > 0) {
    return `cuDNN ${cudnnName(cudnn!)} has no code for ${named(unfit)}; ${howToFetch(facts)}, which has cuDNN 9.10.2`;
  }
  const ignored = driver.cards.filter(isTooOld);
  if (driver.cards.length > gpus && ignored.length > 0) {
    return `TensorFlow leaves out ${named(ignored)}: it needs compute capability ${OLDEST_CAPABILITY.toFixed(1)} or newer; CUDA_VISIBLE_DEVICES chooses among the others`;
  }
  return undefined;
}

function noGpu(facts: GpuFacts, cards: readonly Card[]): string {
  const { nvidia, hasDriver, flavour, driver, libraries, cudnn } = facts;
  const visible = process.env.CUDA_VISIBLE_DEVICES?.slice(0, 60);
  if (visibleCards() === 'mistaken') {
    return `CUDA_VISIBLE_DEVICES is ${JSON.stringify(visible)}, which is not a list of cards for CUDA; unset it, or set it to numbers of cards (0,1)`;
  }
  const install = `install NVIDIA's driver, ${OLDEST_DRIVER} or newer (a container has to be started with the GPUs: docker run --gpus all)`;
  if (!hasDriver && nvidia.driver !== undefined) {
    return `the driver ${nvidia.driver} is loaded, but there is no device file here (/dev/nvidia0); start the container with the GPUs (docker run --gpus all), or run nvidia-modprobe`;
  }
  if (!hasDriver) return `no driver of NVIDIA's is loaded; ${install}`;
  if (driver.missing !== undefined) {
    return `the driver's library libcuda.so.1 cannot be opened (${driver.missing}); ${install}`;
  }
  const version = nvidia.driver === undefined ? '' : ` ${nvidia.driver}`;
  if (isDriverTooOld(nvidia.driver) || Number.parseInt(driver.cuda ?? '', 10) < CUDA_MAJOR) {
    const runs = driver.cuda === undefined ? '' : `, for CUDA ${driver.cuda}`;
    return `the driver${version}${runs} is too old for CUDA ${CUDA_MAJOR}; install ${OLDEST_DRIVER} or newer`;
  }
  if (driver.refusal) return refused(driver.refusal, nvidia, version);
  if (driver.cards.length === 0) {
    return visible === undefined
      ? 'CUDA finds no device; see what nvidia-smi lists'
      : `CUDA_VISIBLE_DEVICES is ${JSON.stringify(visible)}, which names no card of this machine; unset it`;
  }
  if (cards.every(isTooOld)) {
    return `${named(cards)} is too old: TensorFlow needs compute capability ${OLDEST_CAPABILITY.toFixed(1)} or newer; use another card`;
  }
  if (flavour === 'cpu') return `TensorFlow's library is the one for CPUs; ${howToFetch(facts)}`;
  // For an installation that a setting points at, the flavour is not known.
  const missing = libraries.filter(({ error }) => error !== undefined);
  if (missing.length > 0) {
    const names = missing.map(({ name }) => name).join(', ');
    const which = missing.length === libraries.length ? "any of CUDA's libraries" : names;
    return `TensorFlow cannot open ${which} (${missing[0]!.error}); ${howToFetch(facts)}, or put CUDA's on LD_LIBRARY_PATH`;
  }
  if (cudnn !== undefined && cudnn < OLDEST_CUDNN) {
    return `cuDNN ${cudnnName(cudnn)} is ${cudnnRange(cudnn)}; ${howToFetch(facts)}`;
  }
  return 'its library may be the one for CPUs; `TF_CPP_MIN_LOG_LEVEL=0 alexnet-split devices` prints what TensorFlow itself says';
}

/** How to get a complete GPU build. The advice depends on what `setup` would do here. */
function howToFetch({ flavour, build }: GpuFacts): string {
  const { platform, arch } = process;
  if (!hasGpuBuild(platform, arch)) {
    return `TensorFlow has no GPU build for ${platform} ${arch}: point TENSORFLOW_DIR at one of your own`;
  }
  if (process.env.TENSORFLOW_DIR) return 'unset TENSORFLOW_DIR, and have `alexnet-split setup` fetch the GPU build';
  if (build && build.lost.length > 0) {
    return `have \`alexnet-split setup\` fetch the GPU build again, which has lost ${build.lost.join(', ')}`;
  }
  // Setup fetches the GPU build if there is a CPU build, but not if there is a GPU build that looks complete.
  if (flavour === 'cpu' || !build) return 'have `alexnet-split setup` fetch the GPU build';
  return `delete the folder ${build.folder}, and have \`alexnet-split setup\` fetch the GPU build`;
}

/** What to do about the driver's errors, by `CUresult` (cuda.h). */
const REMEDIES: Record<number, string> = {
  34: "it is CUDA's stub, not the driver: take its folder off LD_LIBRARY_PATH",
  100: 'it gives this process no device: check whether this user may read /dev/nvidia0, and what CUDA_VISIBLE_DEVICES is',
  304: 'the system refuses access to its files: check whether this user may read /dev/nvidia0 and /dev/nvidia-uvm',
  802: 'the machine is not ready: start the service nvidia-fabricmanager',
  803: "its library and the kernel's module are of different versions: restart the machine",
  804: 'this driver is for other cards: install the one for this card, without the package cuda-compat',
};

function refused({ code, name }: { code: number; name: string }, { complaint }: Nvidia, version: string): string {
  const says = complaint && complaint !== SMI_ABSENT ? `, and nvidia-smi says "${complaint.slice(0, 120)}"` : '';
  const remedy = REMEDIES[code] ?? 'restart the machine, or load the kernel module nvidia-uvm';
  return `the driver${version} refuses to start (cuInit gives ${code}, ${name}${says}); ${remedy}`;
}

function isTooOld({ computeCapability }: Card): boolean {
  return Number(computeCapability) < OLDEST_CAPABILITY;
}

function lacksCudnn({ computeCapability }: Card, cudnn: number | undefined): boolean {
  return (cudnn ?? 0) >= CUDNN_DROPPED.since && Number(computeCapability) < CUDNN_DROPPED.capability;
}

function named(cards: readonly Card[]): string {
  const each = cards.map(({ name, computeCapability }) => `${name} (${computeCapability ?? '?'})`);
  return [...new Set(each)].join(', ');
}
