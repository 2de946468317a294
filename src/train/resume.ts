/** Resuming a run from a checkpoint: which settings and data have to be the same, and where the schedule stands. */
import { join, resolve } from 'node:path';
import { hashOf, type RunState } from '../checkpoint/contents.js';
import {
  type Checkpoint,
  checkpointsFolder,
  newestCheckpoint,
  runFolderOf,
  type Skipped,
  stepsIn,
} from '../checkpoint/store.js';
import { batchText, type Config } from '../config/config.js';
import { CONFIG_SCHEMA } from '../config/schema.js';
import { type Dataset, sameNames } from '../data/index.js';
import { CheckpointError, ConfigError, DataError, truncate } from '../errors.js';
import type { EventOf } from '../log.js';
import { count, plural } from '../numbers.js';
import {
  isSmooth,
  learningRateAt,
  type Moment,
  type OptimizerOptions,
  rateText,
  type ScheduleState,
  scalingOf,
  scheduledRate,
} from '../optim/schedule.js';
import { shellWord } from '../printable.js';
import { branchFlags } from './branch.js';
import { epochOfStep, type Progress, stepsOf } from './progress.js';

export interface Resume {
  checkpoint: Checkpoint;
  /** Newer checkpoints that could not be used. */
  skipped: readonly Skipped[];
}

/** A setting that a branch changes, with both values as JSON. */
export type Change = NonNullable<EventOf<'run_start'>['branch']>['changes'][number];

/** The settings that a run's numbers depend on. Placement, devices, length and logging are not among them. */
function numericSettings(config: Record<string, unknown>): Record<string, unknown> {
  const { preset, net, optimizer, seed } = config;
  const { source: _, workers: __, ...data } = (config.data ?? {}) as Record<string, unknown>;
  const { dtype } = (config.exchange ?? {}) as Record<string, unknown>;
  // How many replicas share the images of a step is no matter of numbers.
  const batchSize = imagesOfStep(config);
  return { preset, net, optimizer, data, batchSize, seed, exchange: { dtype } };
}

/** The images of a step in settings that may be of an earlier version. */
function imagesOfStep({ batchSize, replicas = 1 }: Record<string, unknown>): unknown {
  return typeof batchSize === 'number' && typeof replicas === 'number' ? batchSize * replicas : batchSize;
}

export function configHash(config: Config): string {
  return hashOf(numericSettings({ ...config }));
}

/** The settings whose values differ, by path, with both values as JSON; undefined where a side lacks the setting. */
export function differingSettings(was: unknown, now: unknown) {
  const [before, after] = [leavesOf(was), leavesOf(now)];
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((path) => before.get(path) !== after.get(path))
    .map((setting) => ({ setting, was: before.get(setting), now: after.get(setting) }));
}

/** Every leaf of a value as JSON, by its path. */
function leavesOf(value: unknown, path = ''): Map<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return value === undefined ? new Map() : new Map([[path, JSON.stringify(value)]]);
  }
  return new Map(
    Object.entries(value).flatMap(([key, each]) => [...leavesOf(each, path === '' ? key : `${path}.${key}`)]),
  );
}

/** A resumed run has all its weights in the checkpoint. Those that it started from may be gone. */
export function withoutStart(config: Config, resume: Resume | undefined): Config {
  return resume ? { ...config, weights: null } : config;
}

/** Whether a run stays in the folder of its checkpoint; otherwise it is a branch, or was moved. */
export function staysInFolder({ checkpoint }: Resume, { out, run }: Pick<Config, 'out' | 'run'>): boolean {
  return resolve(join(out, run)) === runFolderOf(checkpoint);
}

/**
 * Refuses to resume a run in its own folder from any checkpoint but the newest whole one: other commands would take that in
 * place of the weights trained now. @throws ConfigError that names the newer checkpoint.
 */
export function refuseOlder(resume: Resume, config: Pick<Config, 'out' | 'run'>): void {
  if (!staysInFolder(resume, config)) return;
  const { folder, state } = resume.checkpoint;
  const checkpoints = checkpointsFolder(join(config.out, config.run));
  if (!stepsIn(checkpoints).some((step) => step > state.step)) return;
  const { found } = newestCheckpoint(checkpoints);
  if (!found || found.state.step <= state.step) return;
  throw new ConfigError(
    `Cannot resume from ${folder} in its own folder: step ${found.state.step} is there too, expected the newest checkpoint, which eval, predict, export and the next --resume take; branch with --run: --resume ${shellWord(folder)} --run NAME, or remove the newer ones`,
  );
}

/**
 * The settings that a resumed run changes. Only a branch, a run with another name, may change some: those of the optimizer.
 * @param command the command that trains, for the message.
 * @throws ConfigError that names the first setting that may not change, with both values.
 */
export function settingsChanged(resume: Resume, config: Config, command = 'alexnet-split train'): Change[] {
  const { folder, state } = resume.checkpoint;
  if (state.configHash === configHash(config)) return [];
  const changes = changesBetween(numericSettings(state.config), numericSettings({ ...config }));
  const isBranch = config.run !== state.config.run && !staysInFolder(resume, config);
  const mayBranch = ({ setting }: Change) => setting.startsWith('optimizer.');
  const wrong = changes.find((each) => !isBranch || !mayBranch(each));
  if (!wrong) return changes;
  if (wrong.setting === 'batchSize') throw otherBatch(folder, state.config, config);
  const next = mayBranch(wrong)
    ? `continue in a new run, which may change it and keeps weights and velocities: ${command} ${branchFlags(
        folder,
        config,
        changes.map(({ setting }) => setting),
        state.config,
      )}`
    : 'start a new run with another --run';
  throw new ConfigError(
    `Cannot resume from ${folder}: ${wrong.setting} is ${wrong.was} there, and ${wrong.now} now; leave that setting out, or ${next}`,
  );
}

function changesBetween(before: unknown, after: unknown): Change[] {
  return differingSettings(before, after).map(({ setting, was = 'not set', now = 'not set' }): Change => {
    return { setting: truncate(setting, 120), was: truncate(was), now: truncate(now) };
  });
}

/**
 * Refuses to begin a run again under its name with settings that give other numbers.
 * @param file the run's `config.json`. @param saved what is in it.
 * @throws ConfigError that names the first such setting, with both values.
 */
export function refuseOtherSettings(file: string, saved: Readonly<Record<string, unknown>>, config: Config): void {
  const settings = ({ weights = null, newHead = false, ...each }: Readonly<Record<string, unknown>>) => {
    return { ...numericSettings(each), weights, newHead };
  };
  const [wrong] = changesBetween(settings(saved), settings({ ...config }));
  if (!wrong) return;
  const { run } = config;
  throw new ConfigError(
    `Cannot begin the run ${run} again: ${wrong.setting} is ${wrong.was} in ${file}, and ${wrong.now} now; leave that setting out, or start a new run with another --run`,
  );
}

function otherBatch(folder: string, saved: Record<string, unknown>, config: Config): ConfigError {
  const was = imagesOfStep(saved);
  const now = batchText(config);
  const fitting = Number(was) / config.replicas;
  const own = config.replicas > 1 ? ` with --replicas ${config.replicas}` : '';
  const hint = Number.isInteger(fitting)
    ? `--batch-size ${fitting}${own} has as many images in a step`
    : `${config.replicas} replicas cannot share them equally`;
  return new ConfigError(
    `Cannot resume from ${folder}: a step has ${truncate(String(was))} images there, and ${now} now; ${hint}, or start a new run with another --run`,
  );
}

/** What a checkpoint records of the images. */
export function dataOf({ name, train, test, classNames }: Dataset): Pick<RunState, 'data' | 'classes'> {
  return { data: { name, trainImages: train.count, testImages: test.count }, classes: [...classNames] };
}

/** @throws DataError if the images are not those that the run was trained on. */
export function refuseOtherData({ checkpoint: { folder, state } }: Resume, dataset: Dataset): void {
  const { data, classes } = dataOf(dataset);
  const [before, now] = [state.data, data].map(
    ({ trainImages, testImages }) => `${trainImages} training and ${testImages} test images`,
  );
  let why: string;
  if (before !== now) why = `the run was trained with ${before}, and the data has ${now}`;
  else if (!sameNames(state.classes, classes))
    why = `the run's classes are ${briefly(state.classes)}, and the data's are ${briefly(classes)}`;
  else return;
  throw new DataError(`Cannot resume from ${folder}: ${why}; name the same images with --data`);
}

function briefly(names: readonly string[]): string {
  const some = names.slice(0, 4).map((name) => truncate(name));
  return names.length > 4 ? `${some.join(', ')}, … (${names.length})` : some.join(', ');
}

/**
 * Where a resumed run stands with its schedule. A new learning rate holds from the next step on, and the schedule starts
 * again with it: earlier falls and evaluations no longer count. The warm-up starts again only for a higher rate, or if it is
 * another one. A new schedule alone starts with the present rate, which is that of the last step if it changes at every step.
 * So does a plateau whose errors an earlier version saved without epochs.
 * @throws CheckpointError if the checkpoint's settings have no optimizer.
 */
export function scheduleAfter(
  { folder, state }: Pick<Checkpoint, 'folder' | 'state'>,
  { optimizer }: Pick<Config, 'optimizer'>,
  batchesPerEpoch: number,
): Pick<Progress, 'errors' | 'start'> {
  const parsed = CONFIG_SCHEMA.shape.optimizer.safeParse(state.config.optimizer);
  if (!parsed.success) {
    throw new CheckpointError(
      `Cannot use the checkpoint ${folder}: its settings have no optimizer; choose another`,
      folder,
    );
  }
  const was: OptimizerOptions = parsed.data;
  const epoch = epochOfStep(state.step + 1, { batchesPerEpoch });
  const errors = state.errors.filter((each) => typeof each === 'object');
  const rateOf = (each: OptimizerOptions) => each.learningRate * scalingOf(each);
  const start = isWithoutEpochs(state, was) ? { epoch, factor: state.learningRate / rateOf(was) } : state.scheduleStart;
  const isOtherRate = rateOf(was) !== rateOf(optimizer);
  if (!isOtherRate && hashOf(was.schedule) === hashOf(optimizer.schedule)) return { errors, start };
  const isByStep = isSmooth(optimizer.schedule) || optimizer.warmupFrom !== undefined;
  const first = { epoch, ...(isByStep && { step: state.step }) };
  const last = {
    step: isSmooth(was.schedule) ? state.step : state.step + 1,
    steps: lengthBefore(state, batchesPerEpoch),
  };
  const present = scheduledRate({ ...last, batchesPerEpoch }, was, { errors, start });
  if (!isOtherRate) return { errors: [], start: { ...first, factor: present / rateOf(was) } };
  const isOtherWarmup = was.warmupEpochs !== optimizer.warmupEpochs || was.warmupFrom !== optimizer.warmupFrom;
  const warmup = Boolean(optimizer.warmupEpochs) && (isOtherWarmup || rateOf(optimizer) > present);
  return { errors: [], start: { ...first, factor: 1, ...(warmup && { warmup }) } };
}

/** The length in steps that a run had when its checkpoint was written. */
function lengthBefore({ config, step }: RunState, batchesPerEpoch: number): number {
  const [steps, epochs] = [
    CONFIG_SCHEMA.shape.steps.safeParse(config.steps),
    CONFIG_SCHEMA.shape.epochs.safeParse(config.epochs),
  ];
  return steps.success && epochs.success ? stepsOf({ steps: steps.data, epochs: epochs.data }, batchesPerEpoch) : step;
}

/** Earlier versions counted evaluations in a plateau, and saved errors without epochs, from which no rate follows. */
function isWithoutEpochs({ errors }: RunState, { schedule }: OptimizerOptions): boolean {
  return schedule.kind === 'plateau' && errors.some((each) => typeof each === 'number');
}

/**
 * Sentences for the user about a resumed run.
 * @param schedule where it stands: {@link scheduleAfter}.
 */
export function resumeNotes(
  { folder, state }: Pick<Checkpoint, 'folder' | 'state'>,
  { optimizer }: Pick<Config, 'optimizer'>,
  changes: readonly Change[],
  { steps, batchesPerEpoch }: Omit<Moment, 'step'>,
  schedule: ScheduleState = {},
): string[] {
  const before = lengthBefore(state, batchesPerEpoch);
  const next = { step: state.step + 1, steps, batchesPerEpoch };
  const rate = learningRateAt(next, optimizer, schedule);
  const notes: string[] = [];
  const isOver = state.step >= steps;
  if (changes.length > 0) {
    const list = changes.map(({ setting, was, now }) => `${setting} changes from ${was} to ${now}`).join(', ');
    const next = isOver ? '' : `, and step ${state.step + 1} uses the learning rate ${rateText(rate)}`;
    notes.push(`branch of ${folder}: ${list}; velocities are kept${next}`);
  } else if (isWithoutEpochs(state, optimizer)) {
    notes.push(
      `an earlier version trained this run with a plateau schedule that counted evaluations: the run continues with the learning rate ${rateText(state.learningRate)}, and the schedule counts epochs from now on`,
    );
  }
  if (changes.length === 0 && !isOver && before !== steps && isSmooth(optimizer.schedule)) {
    notes.push(
      `the run had ${plural(before, 'step')} before, and has ${count(steps)} now: the schedule ${optimizer.schedule.kind} goes over the new length, so step ${state.step + 1} uses the learning rate ${rateText(rate)}, after ${rateText(state.learningRate)} in step ${state.step}`,
    );
  }
  if (isOver) {
    notes.push(
      `no step is left to train: the checkpoint is of step ${state.step}, and the run has ${plural(steps, 'step')}; make it longer with a larger --steps or --epochs`,
    );
  }
  return notes;
}
