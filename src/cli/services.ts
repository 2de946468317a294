/**
 * What the commands use from outside, in one place: tests put their own here, and whatever loads TensorFlow is imported
 * only when a command asks for it, so that `--help` and `summary` are quick.
 */
import type { Config } from '../config/config.js';
import type { ContextOptions, Device } from '../native/c/context.js';
import type { GpuFacts } from '../native/install/gpu-support.js';
import type { FoundLibrary } from '../native/install/library.js';
import type { AcceptOptions, AcceptUi } from '../train/accept/accept.js';
import type { AcceptReport } from '../train/accept/report.js';
import type { GoldenResult, Prediction, Scores, TrainResult, TrainUi, VerifyResult } from '../train/index.js';
import type { UsedWeights, WeightsOptions } from '../train/run-weights.js';

/** Where text goes: a stream, or a stand-in of a test. The commands' own write line by line (`plainOutput`). */
export interface Output {
  /** One line with its end, or a part of one. */
  write(text: string): unknown;
  isTTY?: boolean;
  /** The stream itself, for the bar alone, which moves the cursor. */
  terminal?: Output;
}

export type { GoldenResult, TrainResult, VerifyResult };
/** What {@link TrainRoom.evaluateRun} finds. */
export type EvalResult = Scores & UsedWeights;

/** What `src/train/index.js` has for the command line. */
export interface TrainRoom {
  train(config: Config, ui: TrainUi): Promise<TrainResult>;
  verify(config: Config, options: { steps: number }, ui: { print(line: string): void }): Promise<VerifyResult>;
  verifyGolden(
    file: string,
    config: Pick<Config, 'devices' | 'exchange' | 'exchangeTimeoutMs' | 'compile' | 'convolutions'>,
  ): Promise<GoldenResult>;
  evaluateRun(config: Config, folder: string, options?: { tenView?: boolean } & WeightsOptions): Promise<EvalResult>;
  predictFiles(
    config: Config,
    folder: string,
    files: readonly string[],
    top: number,
    tenView: boolean,
    options?: WeightsOptions,
  ): Promise<Prediction[]>;
}

/** What `src/train/accept/accept.js` has; nothing of it loads TensorFlow in this process. */
export interface AcceptRoom {
  accept(options: AcceptOptions, ui: AcceptUi): Promise<AcceptReport>;
}

/** The TensorFlow library, if there is one, and what is around it; nothing is loaded. */
export interface Examined {
  library: FoundLibrary | undefined;
  /** Whether there is an NVIDIA device, and `CUDA_VISIBLE_DEVICES` does not hide it. */
  nvidia: boolean;
  /** Whether there is one that is hidden. */
  hidden?: boolean;
  /** Files of the CUDA libraries beside TensorFlow's. */
  cuda: readonly string[];
}

export interface Services {
  stdout: Output;
  stderr: Output;
  env: Readonly<Record<string, string | undefined>>;
  now(): Date;
  /** Every device that TensorFlow has. @param options of its context, if there is none yet. */
  listDevices(options?: ContextOptions): Promise<readonly Device[]>;
  /** Whether Fashion-MNIST's files are here. */
  hasFashionMnist(): Promise<boolean>;
  /** The classes of a folder of images; nothing for other data. */
  countClasses(): Promise<(source: string) => number | undefined>;
  /** Finds the TensorFlow library, or fetches it, also where it lost a part; returns its path. */
  ensureLibrary(): Promise<string>;
  /** Looks for the library. @throws SetupError when what is there is no library for this machine. */
  examineLibrary(): Promise<Examined>;
  /**
   * The machine's cards and what CUDA says of them; nothing without a card.
   * @param devices names of those that TensorFlow has.
   * @param thorough asks nvidia-smi also where TensorFlow has a GPU.
   */
  examineGpus(devices: readonly string[], thorough?: boolean): Promise<GpuFacts | undefined>;
  trainRoom(): Promise<TrainRoom>;
  acceptRoom(): Promise<AcceptRoom>;
}

/** The real ones. */
export const SERVICES: Services = {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  now: () => new Date(),
  listDevices: async (options) => (await import('../native/c/context.js')).listDevices(options),
  hasFashionMnist: async () => (await import('../data/index.js')).findFashionMnist() !== undefined,
  countClasses: async () => (await import('../data/index.js')).countClasses,
  ensureLibrary: async () => {
    const { ensureLibrary } = await import('../native/install/fetch.js');
    return (await ensureLibrary({ repair: true })).tensorflow;
  },
  examineLibrary: async () => {
    const { cudaPreload, findLibrary } = await import('../native/install/library.js');
    const { hasDevice, hasNvidiaDevice } = await import('../native/install/nvidia.js');
    const [library, nvidia] = [findLibrary(), hasNvidiaDevice()];
    return { library, nvidia, hidden: !nvidia && hasDevice(), cuda: cudaPreload(library?.nvidiaFolders ?? []) };
  },
  examineGpus: async (devices, thorough) => {
    const { examineGpus } = await import('../native/c/cuda.js');
    return examineGpus(devices.filter((name) => name.startsWith('GPU')).length, thorough);
  },
  trainRoom: () => import('../train/index.js'),
  acceptRoom: () => import('../train/accept/accept.js'),
};
