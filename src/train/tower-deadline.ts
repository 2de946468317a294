/** How long a tower may take to answer, and the note for the user if a GPU takes long to open. */
import { TowerError } from '../errors.js';
import { compiledAtFirstUse } from '../native/c/cuda.js';
import { setRunningTimeout } from '../running-time.js';
import type { TowerClient } from '../tower/client.js';
import { type Command, placeOf, type Replies } from '../tower/protocol.js';
import { towerName, towerNumber } from '../tower/replica.js';
import { withDeadline } from './waiting.js';

/** A command waits for its peer several times, so its deadline is this many times the exchange's. */
export const ANSWER_FACTOR = 5;

/** Opening loads TensorFlow, which a slow disk delays. */
const OPEN_CPU_MS = 60_000;
/** CUDA's libraries are gigabytes, and may come from a file server. */
const OPEN_GPU_MS = 300_000;
/** TensorFlow's own warning says "30 minutes or longer" where the driver has to compile its kernels. */
const COMPILE_MS = 2 * 3_600_000;
/** An opening that takes longer is explained to the user. */
const QUIET_MS = 15_000;

/** The tower's reply to a command. @throws the tower's error; TowerError if there is no answer before the deadline. */
export function answerOf<Kind extends Command['kind']>(
  tower: TowerClient,
  command: Extract<Command, { kind: Kind }>,
  memory: SharedArrayBuffer | undefined,
  exchangeTimeoutMs: number,
): Promise<Replies[Kind]> {
  const { device } = tower.setup;
  const name = towerName(tower.setup);
  const ms = Math.max(ANSWER_FACTOR * exchangeTimeoutMs, command.kind === 'open' ? openingMs(device) : 0);
  const timeoutError = () =>
    new TowerError(
      `Cannot continue: ${name} on ${device} has not answered for ${ms / 1000} s in ${placeOf(command)}, expected an answer within ${ANSWER_FACTOR} times exchangeTimeoutMs; continue from the last checkpoint with --resume, and with a larger exchangeTimeoutMs in the config if it was only slow`,
      towerNumber(tower.setup),
    );
  return withDeadline(tower.ask<Kind>(command, memory), ms, timeoutError);
}

/** @param compiles the newest compute capability for which the driver has to compile kernels, if any. */
export function openingMs(device: string, compiles: () => string | undefined = compiledAtFirstUse): number {
  if (!isGpu(device)) return OPEN_CPU_MS;
  return compiles() === undefined ? OPEN_GPU_MS : COMPILE_MS;
}

/** Waits for the towers to open. If that takes long on a GPU, `note` receives a sentence that explains it. */
export async function explainSlowOpening<T>(
  opening: Promise<T>,
  devices: readonly string[],
  note: ((text: string) => void) | undefined,
  { quietMs = QUIET_MS, compiles = compiledAtFirstUse } = {},
): Promise<T> {
  if (!note || !devices.some(isGpu)) return await opening;
  const cancel = setRunningTimeout(quietMs, () => {
    const capability = compiles();
    const reason =
      capability === undefined
        ? "loading CUDA's libraries from the disk takes long on this machine"
        : `the GPU's driver compiles kernels for compute capability ${capability}, which is newer than TensorFlow's own; the first start can take many minutes, later ones reuse the kernels in ~/.nv/ComputeCache`;
    note(`opening ${devices.join(', ')}: ${reason}`);
  });
  try {
    return await opening;
  } finally {
    cancel();
  }
}

function isGpu(device: string): boolean {
  return device.toUpperCase().includes('GPU:');
}
