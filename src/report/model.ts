/**
 * What a report knows of runs, from their logs alone. `report --json` prints it. Every list in it is bounded, so that it
 * does not grow with the log. A number that is not finite, or not known, is null.
 */
import type { EventOf } from '../log.js';

export type Finite = number | null;

/** A quantity over the steps. Each entry covers one step or several successive ones. Lists have the same length. */
export interface Curve {
  /** The last step of each entry. */
  step: readonly number[];
  /** Mean, smallest and largest value over the steps of the entry. */
  mean: readonly Finite[];
  low: readonly Finite[];
  high: readonly Finite[];
}

/** Mean times of a tower per step, ms. The three parts sum to `step`. */
export interface TowerTime {
  tower: number;
  device: string;
  step: number;
  compute: number;
  exchange: number;
  wait: number;
}

/** Where the time of a step goes. The first step of each process, which compiles, and traced steps are left out. */
export interface StepTime {
  /** Steps that were counted. */
  steps: number;
  /** ms. */
  mean: number;
  median: number;
  p95: number;
  /** Means of the parts of a step, ms, as `train_step` has them: they sum to `mean`. */
  parts: { data: number; compute: number; exchange: number; wait: number; other: number };
  towers: readonly TowerTime[];
  imagesPerSecond: number;
  /** What limits the step, in one sentence. */
  limit: string;
}

/** Bytes that the towers send at a cross-connection in one step. */
export interface SiteBytes {
  site: string;
  forward: number;
  backward: number;
}

export interface MemoryPoint {
  step: number;
  /** Resident memory of the process, bytes. */
  resident: number;
  /** Bytes of the tensors that each tower holds. */
  towers: readonly number[];
}

/** First-layer kernels of a tower, from the newest readable weights. */
export interface TowerKernels {
  tower: number;
  kernels: number;
  /** Share of the energy that is colour, 0 to 1, and the number of kernels that are mostly colour. */
  colourShare: number;
  colourKernels: number;
}

/** A line of the log that is not a valid event. Lines count from 1. */
export interface LogProblem {
  line: number;
  message: string;
}

export interface LogFacts {
  lines: number;
  bytes: number;
  problems: number;
  /** The first ones. */
  firstProblems: readonly LogProblem[];
  /** Of a newer version: events, and fields of events, that this version does not know. They are left out. */
  unknownEvents: number;
  unknownFields: number;
  /** Steps that a later line replaced, after a resume. */
  repeatedSteps: number;
  /** The most steps that one line is about (`logSteps`). Above 1, the median and `p95` of a step are estimates. */
  stepsPerLine: number;
  /** The version that wrote it, if this version is older. */
  newerVersion?: string;
}

export interface RunReport {
  /** Name of the run; of its folder if the log does not say. */
  run: string;
  /** Path of its folder, as the user gave it. */
  folder: string;
  /** `unfinished`: the log has no end; the run was killed, or it still runs. `empty`: the log has no event. */
  status: 'done' | 'failed' | 'stopped' | 'unfinished' | 'empty';
  error?: string;
  /** ms since 1970: of the first line, and the latest time of any line. */
  started: number | null;
  ended: number | null;
  log: LogFacts;
  /** The last `run_start`, if there is one: config, versions, towers, data set. */
  start?: EventOf<'run_start'>;
  check?: EventOf<'check'>;
  /** Steps that are done. */
  steps: number;
  images: number;
  /** Of the training steps. */
  loss: Curve;
  top1: Curve;
  learningRate: Curve;
  imagesPerSecond: Curve;
  evals: readonly Pick<EventOf<'eval'>, 'step' | 'epoch' | 'images' | 'loss' | 'top1' | 'top5'>[];
  time?: StepTime;
  exchange: readonly SiteBytes[];
  /** With devices of servers: what the steps sent over the network. */
  network?: EventOf<'network'>;
  memory: readonly MemoryPoint[];
  /** The first and the last measurement. */
  activations: { first?: EventOf<'activations'>; last?: EventOf<'activations'> };
  warnings: readonly { step: number | null; kind?: string; message: string }[];
  /** More warnings than the list has. */
  furtherWarnings: number;
  checkpoints: readonly { step: number; folder: string; bytes: number; exists: boolean }[];
  /** Traced steps, the newest last. */
  traces: readonly EventOf<'trace'>[];
  kernels: readonly TowerKernels[];
  /** Picture of the kernels, a PNG as base64. */
  kernelPicture?: string;
}

/** Two runs, side by side. */
export interface Comparison {
  faster: string;
  slower: string;
  /** Images per second of the faster one divided by those of the slower one. */
  ratio: number;
  /** Whether both have the same net, batch size, kind of devices and version of TensorFlow. If not, the sentence says so. */
  comparable: boolean;
  /** What limits the slower one, and by how much it is slower, in one sentence. */
  sentence: string;
}

/** Runs that differ only in their seed, or a single run. */
export interface Group {
  name: string;
  change?: string;
  runs: readonly string[];
  /** Accuracy of the last evaluation: its mean, and its 95 % interval. */
  top1: Finite;
  low: Finite;
  high: Finite;
  /** What the interval is: over seeds (t distribution), or over the test images of a single run (Wilson). */
  interval: 'seeds' | 'images' | 'none';
  testLoss: Finite;
  imagesPerSecond: Finite;
  /** Mean and interval of the test accuracy over the evaluations. */
  curve: Curve;
}

export interface Report {
  /** Version of the package that made it. */
  version: string;
  runs: readonly RunReport[];
  /** With exactly two runs. */
  comparison?: Comparison;
  /** With three runs or more, or the folder of an ablation. */
  groups?: readonly Group[];
}
