/**
 * What the commands use from outside, in one place: tests put their own here, and whatever loads TensorFlow is imported
 * only when a command asks for it, so that `--help` and `summary` are quick.
 */
import type { Config } from '../config/config.js';
import type { Report } from '../log.js';
import type { Device } from '../native/context.js';

/** Where text goes: a stream, or a stand-in of a test. */
export interface Output {
  write(text: string): unknown;
  isTTY?: boolean;
}

export interface TrainResult {
  exitCode: number;
  top1: number;
  steps: number;
}

/** The largest difference of one tensor between split and reference over the steps. */
export interface VerifyRow {
  name: string;
  layer: string;
  kind: string;
  absolute: number;
  relative: number;
}

export interface VerifyResult {
  passed: boolean;
  rows: readonly VerifyRow[];
  /** The first tensor out of tolerance, in the order of the computation. */
  firstDivergent?: string;
  losses: readonly { step: number; split: number; reference: number; relative: number }[];
}

/** How far one side is from a reference file: the worst relative difference of one kind of value, and where. */
export interface GoldenRow {
  side: 'towers' | 'reference';
  kind: string;
  worst: number;
  name: string;
  tolerance: number;
}

export interface GoldenResult {
  passed: boolean;
  rows: readonly GoldenRow[];
}

export interface EvalResult {
  images: number;
  loss: number;
  top1: number;
  top5: number;
}

/** What `src/train/index.js` has for the command line. */
export interface TrainRoom {
  train(config: Config, ui: { report: Report; signal: AbortSignal }): Promise<TrainResult>;
  verify(config: Config, options: { steps: number }, ui: { print(line: string): void }): Promise<VerifyResult>;
  verifyGolden(file: string, config: Pick<Config, 'devices' | 'exchangeTimeoutMs'>): Promise<GoldenResult>;
  evaluateRun(config: Config, folder: string): Promise<EvalResult>;
}

export interface Services {
  stdout: Output;
  stderr: Output;
  env: Readonly<Record<string, string | undefined>>;
  now(): Date;
  /** Every device that TensorFlow has. */
  listDevices(): Promise<readonly Device[]>;
  /** Whether Fashion-MNIST's files are here. */
  hasFashionMnist(): Promise<boolean>;
  /** Finds or fetches the TensorFlow library; returns its path. */
  ensureLibrary(): Promise<string>;
  trainRoom(): Promise<TrainRoom>;
}

/** The real ones. */
export const SERVICES: Services = {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  now: () => new Date(),
  listDevices: async () => (await import('../native/context.js')).listDevices(),
  hasFashionMnist: async () => (await import('../data/index.js')).findFashionMnist() !== undefined,
  ensureLibrary: async () => (await (await import('../native/fetch.js')).ensureLibrary()).tensorflow,
  trainRoom: () => import('../train/index.js'),
};
