/** A run: set-up, check, the loop, the last evaluation, the weights. */
import type { Config } from '../config/config.js';
import { packageVersion } from '../config/version.js';
import type { BatchFeeder, Dataset } from '../data/index.js';
import { signalExitCode } from '../end-signals.js';
import { NonFiniteError, SplitError, VerifyError } from '../errors.js';
import type { EventOf, Report } from '../log.js';
import { buildNet, parametersOf, volume } from '../model/net.js';
import { learningRateIn } from '../optim/schedule.js';
import { measureActivations } from './activations.js';
import { type Checkpoints, openCheckpoints } from './checkpoints.js';
import { diagnose } from './diagnose.js';
import { openFeed } from './feed.js';
import { epochOfStep, type LoopResult, trainLoop } from './loop.js';
import {
  branchNote,
  type Change,
  configHash,
  dataOf,
  lengthNote,
  plateauNote,
  type Resume,
  refuseOlder,
  refuseOtherData,
  scheduleAfter,
  settingsChanged,
  staysInFolder,
} from './resume.js';
import { classesToContinue, keepRunData, statisticsToContinue, tryRunFolder } from './run-data.js';
import { saveWeights } from './save-weights.js';
import { openedUnlessStopped, orStopped, Stopped } from './stop.js';
import { openTeam, type Team } from './team.js';
import { checkTeam } from './verify.js';
import { openWatch, type Watch } from './watch.js';

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
  /**
   * Makes the run's place, just before `run_start`: all that can be checked has been.
   * @returns the config with the name that the run got.
   */
  begin?: (config: Config) => Config;
  /** Ends the run after the step it is in. Its reason may be the signal's name. */
  signal: AbortSignal;
  /** What to go on from, instead of the initial values. */
  resume?: Resume | undefined;
  /** Takes a sentence about what takes long before `run_start`. */
  note?: (text: string) => void;
}

/** A run's parts, all there. */
interface Run {
  config: Config;
  /** What a branch has otherwise than the run that it left. */
  changes: readonly Change[];
  dataset: Dataset;
  feeder: BatchFeeder;
  team: Team;
  /** The run's length. */
  steps: number;
}

/**
 * Trains, and reports what happens. A failure after `run_start` ends with `run_end` and its exit code.
 * @throws SplitError for whatever makes no run, before `run_start`.
 */
export async function train(config: Config, outer: TrainUi): Promise<TrainResult> {
  const ui = { ...outer, ...openWatch(config, outer.report, outer.resume?.checkpoint.state) };
  const { report, signal, note, resume } = ui;
  const changes = resume ? settingsChanged(resume, config) : [];
  if (resume) refuseOlder(resume, config);
  const warn = (message: string) => report({ event: 'warning', message });
  tryRunFolder(config); // the mean image may take an hour
  const opening = openFeed(config, {
    ...{ warn, note, signal, statistics: resume && statisticsToContinue(resume.checkpoint, config, warn) },
  });
  const feed = await openedUnlessStopped(opening, signal, (late) => late.feeder.close());
  if (!feed) return stoppedBefore(signal);
  const { dataset, feeder, statistics } = feed;
  let unfinished: Promise<unknown> | undefined;
  try {
    if (resume) refuseOtherData(resume, dataset);
    const open = openTeam(withoutStart(config, resume), feeder.slots, note);
    const team = await openedUnlessStopped(open, signal, (late) => late.close());
    if (!team) return stoppedBefore(signal);
    try {
      const steps = config.steps ?? config.epochs * feeder.batchesPerEpoch;
      const run: Run = { config: ui.begin?.(config) ?? config, changes, dataset, feeder, team, steps };
      report(startOf(run, resume));
      const classes = resume && classesToContinue(resume.checkpoint, dataset.classNames);
      keepRunData(run.config, classes ?? dataset.classNames, statistics);
      team.warnings.forEach(warn);
      const ended = await runAndEnd(run, ui);
      unfinished = ended.unfinished;
      return ended.result;
    } finally {
      await team.close();
    }
  } finally {
    await feeder.close();
    await unfinished?.catch(() => {}); // what was broken off ends with team and feeder, and closes what is its own
  }
}

/** A run that goes on has all of its weights: those that it began with may be gone. */
function withoutStart(config: Config, resume: Resume | undefined): Config {
  return resume ? { ...config, weights: null } : config;
}

/** Of a run that is told to stop before it has begun. */
function stoppedBefore(signal: AbortSignal): TrainResult {
  return { exitCode: stoppedCode(signal), top1: Number.NaN, steps: 0 };
}

/** Everything after `run_start`: ends with `run_end`, whatever happens. */
async function runAndEnd(
  run: Run,
  ui: TrainUi & Watch,
): Promise<{ result: TrainResult; unfinished?: Promise<unknown> }> {
  const { config, team } = run;
  const { report, signal } = ui;
  const result: LoopResult = { steps: 0, images: 0, trainMs: 0, stopped: false, busy: true, errors: [] };
  let checkpoints: Checkpoints | undefined;
  let weights: string | undefined;
  let failure: unknown;
  let unfinished: Promise<unknown> | undefined;
  try {
    checkpoints = open(run, ui);
    if (config.check && config.placement === 'split') await orStopped(check(run, ui), signal);
    if (ui.resume) await restore(ui.resume, run, result, ui);
    const activations = await measureActivations(team, run.feeder, result.steps, signal, 0);
    if (activations) report(activations);
    result.busy = false;
    await trainLoop(config, team, run.feeder, run.steps, { report, signal, checkpoints }, result);
  } catch (error) {
    if (error instanceof Stopped) {
      result.stopped = true;
      unfinished = error.unfinished;
    } else {
      failure = error instanceof NonFiniteError ? await diagnose(error, team, run.feeder, config, result) : error;
    }
  }
  try {
    // A step that was not waited for, or that failed, leaves the last checkpoint as it is.
    if (failure === undefined && !result.busy && result.steps > 0) {
      await checkpoints?.finish(result);
      weights = await saveWeights(config, team, result.steps);
    }
  } catch (error) {
    failure = error;
  }
  await checkpoints?.close().catch((error: unknown) => {
    failure ??= error;
  });
  const exitCode = exitCodeOf(failure, result.stopped, signal);
  report(endOf(result, run.feeder.unreadable.length, exitCode, failure, weights));
  if (failure !== undefined && !(failure instanceof SplitError)) throw failure;
  const ended = { exitCode, top1: result.top1 ?? Number.NaN, steps: result.steps };
  return { result: ended, ...(unfinished && { unfinished }) };
}

/** Takes the weights and the place in the run from the checkpoint. */
async function restore(
  { checkpoint, skipped }: Resume,
  { config, changes, team, feeder, steps }: Run,
  result: LoopResult,
  { report, note }: TrainUi,
): Promise<void> {
  const { folder, files, state } = checkpoint;
  await team.ask({ kind: 'restore', files });
  const { step, images, trainMs, top1 } = state;
  const schedule = scheduleAfter(checkpoint, config, feeder.batchesPerEpoch);
  Object.assign(result, { steps: step, images, trainMs, ...schedule, ...(top1 !== undefined && { top1 }) });
  const passed = skipped.map((each) => ({ checkpoint: each.folder, why: each.why }));
  report({ event: 'resume', step, checkpoint: folder, skipped: passed });
  const ended = lengthNote(checkpoint, steps);
  const rate = learningRateIn(epochOfStep(step + 1, feeder), config.optimizer, schedule);
  const notes = [
    changes.length > 0 ? branchNote(checkpoint, changes, ended ? undefined : rate) : plateauNote(checkpoint, config),
    ended,
  ];
  for (const text of notes) if (text !== undefined) note?.(text);
}

function open({ config, dataset, feeder, team }: Run, { report, resume, losses }: TrainUi & Watch): Checkpoints {
  const { placement, seed, optimizer, batchSize } = config;
  const fixed = {
    ...{ seed, placement, configHash: configHash(config), ...dataOf(dataset) },
    config: { ...config },
    versions: versionsOf(team),
  };
  const positionOf = ({ steps: step, errors, start }: LoopResult) => {
    const epoch = epochOfStep(step, feeder);
    const inEpoch = step - (epoch - 1) * feeder.batchesPerEpoch;
    const epochImages = Math.min(inEpoch * batchSize, dataset.train.count);
    const before = errors.filter((each) => each.epoch < epoch);
    const learningRate = learningRateIn(epoch, optimizer, { errors: before, start });
    return { epoch, epochImages, learningRate, losses: losses() };
  };
  const { state } = resume?.checkpoint ?? {};
  // The best checkpoint of the run that a branch left is not in the branch's folder.
  const best = resume && staysInFolder(resume, config) ? state?.best : undefined;
  return openCheckpoints(config, team, fixed, positionOf, report, state && { step: state.step, best });
}

function endOf(
  { steps, images, trainMs, stopped, top1 }: LoopResult,
  unreadable: number,
  exitCode: number,
  failure: unknown,
  weights: string | undefined,
): EventOf<'run_end'> {
  return {
    event: 'run_end',
    status: failure !== undefined ? 'failed' : stopped ? 'stopped' : 'done',
    exit_code: exitCode,
    steps,
    images,
    train_ms: trainMs,
    images_per_s: trainMs > 0 ? (images / trainMs) * 1000 : 0,
    ...(top1 !== undefined && { top1 }),
    ...(unreadable > 0 && { unreadable_images: unreadable }),
    ...(failure !== undefined && { error: failure instanceof Error ? failure.message : String(failure) }),
    ...(failure instanceof NonFiniteError && { batch_images: [...failure.images] }),
    ...(weights !== undefined && { weights }),
  };
}

function exitCodeOf(failure: unknown, stopped: boolean, signal: AbortSignal): number {
  if (failure !== undefined) return failure instanceof SplitError ? failure.exitCode : 1;
  return stopped ? stoppedCode(signal) : 0;
}

function stoppedCode({ reason }: AbortSignal): number {
  return signalExitCode(String(reason));
}

function startOf(
  { config, changes, dataset, feeder, team, steps }: Run,
  resume: Resume | undefined,
): EventOf<'run_start'> {
  const { opened, towers } = team;
  return {
    event: 'run_start',
    run: config.run,
    placement: config.placement,
    preset: config.preset,
    config,
    versions: versionsOf(team),
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
    ...(resume && changes.length > 0 && { branch: branchOf(resume, changes) }),
  };
}

function branchOf({ checkpoint }: Resume, changes: readonly Change[]): NonNullable<EventOf<'run_start'>['branch']> {
  return { checkpoint: checkpoint.folder, step: checkpoint.state.step, changes: [...changes] };
}

function versionsOf({ opened }: Team): EventOf<'run_start'>['versions'] {
  const { tensorflow, tfjs } = opened[0]!;
  return { alexnet_split: packageVersion(), node: process.versions.node, tensorflow, tfjs };
}

async function check({ team, feeder, config }: Run, { report, signal, resume }: TrainUi): Promise<void> {
  const { passed, worst, tensor, tolerance, ms } = await checkTeam(team, feeder, withoutStart(config, resume));
  if (signal.aborted) return; // nobody waits for it
  report({ event: 'check', steps: 1, worst_relative: worst, tensor, tolerance, passed, check_ms: ms });
  if (passed) return;
  throw new VerifyError(
    `Cannot train: the split differs from the reference, first in ${tensor}; \`verify\` prints every tensor, --no-check trains all the same`,
  );
}
