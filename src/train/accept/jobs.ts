/** What the parts of the acceptance are asked to do, each in the child process, and what they answer. */
import type { Config } from '../../config/config.js';
import type { Device } from '../../native/c/context.js';
import type { DriverCard } from '../../native/install/nvidia-smi.js';

/** One thing to do. Everything in it can go from process to process. */
export type Job =
  /** Asks the driver for its cards: a driver that hangs keeps whoever asks. */
  | { kind: 'cards' }
  /** Makes the context and lists the devices. */
  | { kind: 'look'; devices: readonly string[] }
  /** A step op by op on each device, then one as functions, and where each of its ops was. */
  | { kind: 'kernels'; config: Config }
  /** Copies at the sizes that cross. */
  | { kind: 'copies'; config: Config }
  /** The exchange's self-test. */
  | { kind: 'exchange'; config: Config }
  | { kind: 'verify'; config: Config; steps: number }
  | { kind: 'golden'; config: Config; file: string }
  | { kind: 'speed'; config: Config; seconds: number }
  /** A training, which goes on from its newest checkpoint, or ends itself by SIGKILL once it has one. */
  | { kind: 'run'; config: Config; resume: boolean; dies: boolean };

export interface CardsResult {
  cards: readonly DriverCard[];
  topology?: string;
}

export interface LookResult {
  tensorflow: string;
  /** Of the library: for which devices, and from where. */
  library: string;
  devices: readonly Device[];
  /** What the settings call them. */
  names: readonly string[];
  /** Why none of them is a GPU, though there is a card and nobody asked for others. */
  trouble?: string;
}

export interface KernelsResult {
  /** How many times each op stands in the step's functions, by the device that TensorFlow gave it. */
  ops: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Ops that run on the host because the towers' devices have no kernel for them. */
  missing: readonly string[];
}

/** One size of copies; rates in bytes a second. */
export interface CopyRates {
  bytes: number;
  /** From the first device to the second, and back. */
  peer: readonly [number, number];
  /** From the host to each device, and back. */
  upload: readonly [number, number];
  download: readonly [number, number];
}

export interface CopiesResult {
  rates: readonly CopyRates[];
  /** Which copies arrived with other bytes. */
  wrong: readonly string[];
}

export interface ExchangeResult {
  sites: number;
  /** Why the exchange that was asked for is not in use, or where what came was not what was sent. */
  wrong?: string;
  ms: number;
  /** What each tower said. */
  replies: readonly object[];
}

export interface ComparisonResult {
  passed: boolean;
  /** The value nearest to its tolerance. */
  worst: number;
  allowed: number;
  where: string;
  /** For the report. */
  detail: object;
}

export interface SpeedResult {
  imagesPerS: number;
  /** Median of a step. */
  stepMs: number;
  steps: number;
  /** Of the slower tower's steps, all together. */
  exchangeShare: number;
  waitShare: number;
  /** Sent by both towers in a step. */
  exchangeBytes: number;
  finite: boolean;
  /** The most memory that the process has had so far. */
  processBytes: number;
}

export interface RunResult {
  /** The folder with its weights. */
  folder: string;
  /** The step that it went on from. */
  from: number;
}

export interface JobResults {
  cards: CardsResult;
  look: LookResult;
  kernels: KernelsResult;
  copies: CopiesResult;
  exchange: ExchangeResult;
  verify: ComparisonResult;
  golden: ComparisonResult;
  speed: SpeedResult;
  run: RunResult;
}

export type JobOf<Kind extends Job['kind']> = Extract<Job, { kind: Kind }>;

/** What comes back from the child process. */
export type Answer = { ok: true; result: unknown } | { ok: false; message: string };
