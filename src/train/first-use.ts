/** The first use of a device: how long it may take, and what is said while it does. */
import { compiledAtFirstUse } from '../native/c/cuda.js';
import { setRunningTimeout } from '../running-time.js';

/** Opening loads TensorFlow, and a slow disk is no fault. */
const OPEN_MS = 60_000;
/** CUDA's libraries are gigabytes, which a file server may have to bring. */
const OPEN_GPU_MS = 300_000;
/** TensorFlow itself speaks of "30 minutes or longer" where the driver compiles its kernels. */
const COMPILE_MS = 2 * 3_600_000;

/** How long nothing is said. */
const SILENT_MS = 15_000;

/**
 * How long a tower may take to open on that device, in milliseconds.
 * @param compiles the newest compute capability for which the driver has to compile kernels, if any.
 */
export function openingMs(device: string, compiles: () => string | undefined = compiledAtFirstUse): number {
  if (!isGpu(device)) return OPEN_MS;
  return compiles() === undefined ? OPEN_GPU_MS : COMPILE_MS;
}

/**
 * Waits for the towers to open, and says why that takes long where GPUs are among their devices.
 * @param note takes the sentence, once; without it nothing is said.
 */
export async function saidWhileOpening<T>(
  opening: Promise<T>,
  devices: readonly string[],
  note: ((text: string) => void) | undefined,
  { silentMs = SILENT_MS, compiles = compiledAtFirstUse } = {},
): Promise<T> {
  if (!note || !devices.some(isGpu)) return await opening;
  const forget = setRunningTimeout(silentMs, () => {
    const capability = compiles();
    note(
      capability === undefined
        ? `opening ${devices.join(', ')}: CUDA's libraries are loaded from the disk, which takes long here`
        : `opening ${devices.join(', ')}: the GPU's driver compiles kernels for compute capability ${capability}, which is newer than TensorFlow's own; that can take many minutes, and only at the first start, for it keeps them in ~/.nv/ComputeCache`,
    );
  });
  try {
    return await opening;
  } finally {
    forget();
  }
}

function isGpu(device: string): boolean {
  return device.toUpperCase().includes('GPU:');
}
