/** A run: set-up, check, the loop, the last evaluation, the weights. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { weightsName } from '../checkpoint/format.js';
import type { Config } from '../config/config.js';
import { packageVersion } from '../config/version.js';
import type { BatchFeeder, Dataset } from '../data/index.js';
import { CheckpointError, SplitError, VerifyError } from '../errors.js';
import type { Report } from '../log.js';
import { buildNet, parametersOf, volume } from '../model/net.js';
import { openFeed, skipped } from './feed.js';
import { type LoopResult, trainLoop } from './loop.js';
import { keepRunData } from './run-data.js';
import { openTeam, type Team } from './team.js';
import { checkTeam } from './verify.js';

export interface TrainResult {
  exitCode: number;
  /** Test accuracy at the end; NaN when the run did not get there. */
  top1: number;
  steps: number;
}

/** What a run is given from outside. */
export interface TrainUi {
  /** Takes the events, `run_start` first. */
  report: Report;
  /** Ends the run after the step it is in. Its reason may be the signal's name. */
  signal: AbortSignal;
  /** Takes a sentence about what takes long before `run_start`. */
  note?: (text: string) => void;
}

const EXIT_CODES: Record<string, number> = { SIGINT: 130, SIGTERM: 143 };

/**
 * Trains, and reports what happens. A failure after `run_start` ends with `run_end` and its exit code.
 * @throws SplitError for whatever makes no run, before `run_start`.
 */
export async function train(config: Config, { report, signal, note }: TrainUi): Promise<TrainResult> {
  const { dataset, feeder, statistics } = await openFeed(config, {
    onUnreadable: (image) => report({ event: 'warning', message: skipped(image) }),
    ...{ note, signal },
  });
  try {
    const team = await openTeam(config, feeder.slots);
    try {
      const steps = config.steps ?? config.epochs * feeder.batchesPerEpoch;
      reportStart(config, dataset, feeder, team, steps, report);
      keepRunData(config, dataset.classNames, statistics);
      for (const message of team.warnings) report({ event: 'warning', message });
      return await runAndEnd(config, team, feeder, steps, { report, signal });
    } finally {
      await team.close();
    }
  } finally {
    await feeder.close();
  }
}

/** Everything after `run_start`: ends with `run_end`, whatever happens. */
async function runAndEnd(
  config: Config,
  team: Team,
  feeder: BatchFeeder,
  steps: number,
  { report, signal }: TrainUi,
): Promise<TrainResult> {
  const result: LoopResult = { steps: 0, images: 0, trainMs: 0, stopped: false, errors: [] };
  let weights: string | undefined;
  let failure: unknown;
  try {
    if (config.check && config.placement === 'split') await check(team, feeder, config, report);
    await trainLoop(config, team, feeder, steps, { report, signal }, result);
    if (result.steps > 0) weights = await saveWeights(config, team);
  } catch (error) {
    failure = error;
  }
  const exitCode = exitCodeOf(failure, result.stopped, signal);
  report({
    event: 'run_end',
    status: failure !== undefined ? 'failed' : result.stopped ? 'stopped' : 'done',
    exit_code: exitCode,
    steps: result.steps,
    images: result.images,
    train_ms: result.trainMs,
    images_per_s: result.trainMs > 0 ? (result.images / result.trainMs) * 1000 : 0,
    ...(result.top1 !== undefined && { top1: result.top1 }),
    ...(feeder.unreadable.length > 0 && { unreadable_images: feeder.unreadable.length }),
    ...(failure !== undefined && { error: failure instanceof Error ? failure.message : String(failure) }),
    ...(weights !== undefined && { weights }),
  });
  if (failure !== undefined && !(failure instanceof SplitError)) throw failure;
  return { exitCode, top1: result.top1 ?? Number.NaN, steps: result.steps };
}

function exitCodeOf(failure: unknown, stopped: boolean, signal: AbortSignal): number {
  if (failure !== undefined) return failure instanceof SplitError ? failure.exitCode : 1;
  return stopped ? (EXIT_CODES[String(signal.reason)] ?? 130) : 0;
}

function reportStart(
  config: Config,
  dataset: Dataset,
  feeder: BatchFeeder,
  team: Team,
  steps: number,
  report: Report,
): void {
  const { opened, towers } = team;
  report({
    event: 'run_start',
    run: config.run,
    placement: config.placement,
    preset: config.preset,
    config,
    versions: {
      alexnet_split: packageVersion(),
      node: process.versions.node,
      tensorflow: opened[0]!.tensorflow,
      tfjs: opened[0]!.tfjs,
    },
    parameters: parametersOf(buildNet(config.net)).reduce((total, { shape }) => total + volume(shape), 0),
    towers: towers.map(({ setup }, i) => ({
      tower: i,
      device: setup.device,
      backing_device: opened[i]!.backingDevice,
      parameters: opened[i]!.parameters,
    })),
    dataset: {
      name: dataset.name,
      source: dataset.source,
      train_images: dataset.train.count,
      test_images: dataset.test.count,
    },
    steps,
    steps_per_epoch: feeder.batchesPerEpoch,
  });
}

async function check(team: Team, feeder: BatchFeeder, config: Config, report: Report): Promise<void> {
  const { passed, worst, tensor, tolerance, ms } = await checkTeam(team, feeder, config);
  report({ event: 'check', steps: 1, worst_relative: worst, tensor, tolerance, passed, check_ms: ms });
  if (passed) return;
  throw new VerifyError(
    `Cannot train: the split differs from the reference, first in ${tensor}; \`verify\` prints every tensor, --no-check trains all the same`,
  );
}

/** Each tower writes its own file into the run's folder, once the run is over. @returns the folder. */
async function saveWeights(config: Config, team: Team): Promise<string> {
  const folder = join(config.out, config.run);
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw new CheckpointError(
      `Cannot write the weights to ${folder}: ${(error as Error).message}; choose another folder with --out`,
      folder,
    );
  }
  const { towers } = team;
  await Promise.all(
    towers.map((tower, i) => tower.ask({ kind: 'save', file: join(folder, weightsName(i, towers.length)) })),
  );
  return folder;
}
