/** Events made of what a run knows: `run_start`, `train_step`, `exchange`, `memory` and `run_end`. */
import type { FoundCluster } from '../cluster/cluster.js';
import type { Config } from '../config/config.js';
import { packageVersion } from '../config/version.js';
import type { Batch, BatchFeeder, Dataset } from '../data/index.js';
import { signalExitCode } from '../end-signals.js';
import { NonFiniteError, SplitError } from '../errors.js';
import type { EventOf } from '../log.js';
import { buildNet, type Parameter, parametersOf, volume } from '../model/net.js';
import { sumOf } from '../numbers.js';
import type { MeasureReply, StepReply } from '../tower/protocol.js';
import { COORDINATOR, processOf } from './network.js';
import type { Progress } from './progress.js';
import type { Change, Resume } from './resume.js';
import type { Team } from './team.js';

/** The parts of a run, all open. */
export interface Run {
  config: Config;
  dataset: Dataset;
  feeder: BatchFeeder;
  team: Team;
  /** Absent where the caller opened the feeder. */
  dataWorkers?: NonNullable<EventOf<'run_start'>['data_workers']>;
  /** The run's length in steps. */
  steps: number;
}

export function versionsOf({ opened }: Team): EventOf<'run_start'>['versions'] {
  const { tensorflow, tfjs } = opened[0]!;
  return { alexnet_split: packageVersion(), node: process.versions.node, tensorflow, tfjs };
}

function branchedFrom({ checkpoint: { folder, state } }: Resume) {
  return { checkpoint: folder, step: state.step };
}

/** Which process has which of the towers' devices. */
function processesOf({ towers, opened }: Team, { coordinator, statuses }: FoundCluster) {
  const devices = [...new Set(towers.map(({ setup }) => setup.device))];
  const devicesIn = (process: string) => devices.filter((device) => processOf(device) === process);
  const { tensorflow } = opened[0]!;
  return [
    { role: 'coordinator' as const, address: coordinator, tensorflow, devices: devicesIn(COORDINATOR) },
    ...statuses.map((each) => {
      const { address } = each;
      return { role: 'server' as const, address, tensorflow: each.tensorflow, devices: devicesIn(address) };
    }),
  ];
}

/** The share of the labels that are the most frequent one. */
function majorityOf(labels: ArrayLike<number>): number {
  const counts = new Map<number, number>();
  for (let i = 0; i < labels.length; i++) counts.set(labels[i]!, (counts.get(labels[i]!) ?? 0) + 1);
  return Math.max(0, ...counts.values()) / Math.max(1, labels.length);
}

/** The number of values in parameters. */
function valuesIn(parameters: readonly Parameter[]): number {
  return sumOf(parameters, ({ shape }) => volume(shape));
}

/** @param changes of a branch. */
export function runStart(
  { config, dataset, feeder, team, steps, dataWorkers }: Run,
  resume: Resume | undefined,
  changes: readonly Change[],
): EventOf<'run_start'> {
  const { run, placement, preset } = config;
  const { name, source, train, test, valShare, unlimited } = dataset;
  const parameters = parametersOf(buildNet(config.net));
  const layers = config.optimizer.freeze ?? [];
  return {
    event: 'run_start',
    ...{ run, placement, preset, config },
    versions: versionsOf(team),
    parameters: valuesIn(parameters),
    ...(layers.length > 0 && {
      frozen: { layers: [...layers], parameters: valuesIn(parameters.filter((each) => layers.includes(each.layer))) },
    }),
    towers: team.towers.map(({ setup }, tower) => {
      const { backingDevice, parameters } = team.opened[tower]!;
      return { tower, device: setup.device, backing_device: backingDevice, parameters };
    }),
    ...(team.cluster && { processes: processesOf(team, team.cluster) }),
    dataset: {
      ...{ name, source, train_images: train.count, test_images: test.count, test_majority: majorityOf(test.labels) },
      ...(valShare !== undefined && { val_share: valShare }),
      ...(unlimited !== undefined && { all_train_images: unlimited }),
    },
    ...{ steps, steps_per_epoch: feeder.batchesPerEpoch },
    ...(dataWorkers && { data_workers: dataWorkers }),
    ...(resume && changes.length > 0 && { branch: { ...branchedFrom(resume), changes: [...changes] } }),
  };
}

/** The step's milliseconds are those of the slower tower, which the step had to wait for. They add up to `step_ms`. */
export function trainStep(
  { step, epoch, count, decodeMs, readBytes, readyImages }: Batch,
  learningRate: number,
  replies: readonly StepReply[],
  stepMs: number,
  dataMs: number,
): EventOf<'train_step'> {
  const slowest = replies.reduce((a, b) => (b.stepMs > a.stepMs ? b : a));
  const { loss, top1, replicas } = answersOf(replies);
  const timesOf = ({ computeMs, exchangeMs, waitMs }: StepReply) => {
    return { compute_ms: computeMs, exchange_ms: exchangeMs, wait_ms: waitMs };
  };
  return {
    event: 'train_step',
    ...{ step, epoch: epoch + 1, images: count, loss, top1: top1 / count, learning_rate: learningRate },
    ...{ step_ms: stepMs, data_ms: dataMs, ...timesOf(slowest), other_ms: stepMs - dataMs - slowest.stepMs },
    exchange_bytes: replies.reduce((total, { exchangeBytes }) => total + exchangeBytes, 0),
    images_per_s: (count / stepMs) * 1000,
    ...{ decode_ms: rounded(decodeMs), ready_images: readyImages, read_bytes: readBytes },
    device_bytes: sumOf(replies, (each) => each.inputBytes),
    gradient_norm: Number(gradientNorm(replies.slice(0, replies.length / replicas)).toPrecision(7)), // of a float32
    resident_bytes: process.memoryUsage.rss(),
    ...(replicas > 1 && { replicas, average_bytes: sumOf(replies, (each) => each.averageBytes) }),
    towers: replies.map((each, tower) => ({
      ...{ tower, step_ms: each.stepMs, ...timesOf(each), exchange_bytes: each.exchangeBytes },
    })),
  };
}

/** The norm of all gradients of a replica. Replicas have the same ones, those of all images. @param replies of its towers. */
function gradientNorm(replies: readonly StepReply[]): number {
  return Math.sqrt(2 * sumOf(replies, (each) => each.halfSquares));
}

/** To microseconds, so that lines stay short. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/** The mean loss of a step, and the right answers, over the images of all replicas. */
export function answersOf(replies: readonly StepReply[]): { loss: number; top1: number; replicas: number } {
  const own = replies.filter((each) => each.loss !== undefined);
  const counted = own.filter(({ images }) => images > 0);
  const images = sumOf(counted, (each) => each.images);
  const [only] = counted;
  if (!only) return { loss: Number.NaN, top1: Number.NaN, replicas: own.length };
  return {
    // Of one replica without rounding.
    loss: counted.length === 1 ? only.loss! : sumOf(counted, (each) => each.loss! * each.images) / images,
    top1: sumOf(counted, (each) => each.top1!),
    replicas: own.length,
  };
}

/** What a step sent, from replies that have it by cross-connection. */
export function exchange(step: number, replies: readonly StepReply[]): EventOf<'exchange'> {
  const sites = replies.flatMap(({ sent = [] }, tower) =>
    sent.map(({ site, direction, bytes }) => ({ site, direction, tower, bytes })),
  );
  return { event: 'exchange', step, sites };
}

/** The memory of the process now, and of the towers when they replied. */
export function memory(step: number, replies: readonly MeasureReply[]): EventOf<'memory'> {
  const { rss, heapUsed } = process.memoryUsage();
  const towers = replies.map(({ tensors, tensorBytes }, tower) => ({ tower, tensors, tensor_bytes: tensorBytes }));
  return { event: 'memory', step, resident_bytes: rss, heap_bytes: heapUsed, towers };
}

/** @param weights the folder they were saved to. @param serversLost how often the run lost a server and continued. */
export function runEnd(
  { steps, images, trainMs, stopped, top1 }: Progress,
  { unreadable }: BatchFeeder,
  exitCode: number,
  failure: unknown,
  weights: string | undefined,
  serversLost = 0,
): EventOf<'run_end'> {
  return {
    event: 'run_end',
    status: failure !== undefined ? 'failed' : stopped ? 'stopped' : 'done',
    ...{ exit_code: exitCode, steps, images, train_ms: trainMs },
    images_per_s: trainMs > 0 ? (images / trainMs) * 1000 : 0,
    ...(top1 !== undefined && { top1 }),
    ...(unreadable.length > 0 && { unreadable_images: unreadable.length }),
    ...(serversLost > 0 && { servers_lost: serversLost }),
    ...(failure !== undefined && { error: failure instanceof Error ? failure.message : String(failure) }),
    ...(failure instanceof NonFiniteError && { batch_images: [...failure.images] }),
    ...(weights !== undefined && { weights }),
  };
}

/** The exit code of a run that failed, was stopped by a signal, or is done. */
export function exitCodeOf(failure: unknown, { stopped }: Progress, { reason }: AbortSignal): number {
  if (failure !== undefined) return failure instanceof SplitError ? failure.exitCode : 1;
  return stopped ? signalExitCode(String(reason)) : 0;
}
