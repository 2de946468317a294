/** Whether a run may go on from a checkpoint: what makes its numbers must be the same, and where it runs need not. */
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
import type { Config } from '../config/config.js';
import { CONFIG_SCHEMA } from '../config/schema.js';
import { type Dataset, sameNames } from '../data/index.js';
import { CheckpointError, ConfigError, DataError, truncate } from '../errors.js';
import type { EventOf } from '../log.js';
import { learningRateIn, type OptimizerOptions } from '../optim/schedule.js';
import { shellWord } from '../printable.js';
import { epochOfStep, type LoopResult } from './loop.js';

/** What a run goes on from. */
export interface Resume {
  checkpoint: Checkpoint;
  /** Newer ones that could not be used. */
  skipped: readonly Skipped[];
}

/** The settings that a run's numbers depend on. Placement, devices, length and whatever only watches are not among them. */
function fixedOf(config: Record<string, unknown>): Record<string, unknown> {
  const { preset, net, optimizer, batchSize, seed } = config;
  const { source: _, workers: __, ...data } = (config.data ?? {}) as Record<string, unknown>;
  const { dtype } = (config.exchange ?? {}) as Record<string, unknown>;
  return { preset, net, optimizer, data, batchSize, seed, exchange: { dtype } };
}

/** The hash of those settings. */
export function configHash(config: Config): string {
  return hashOf(fixedOf({ ...config }));
}

/** A setting that a branch has otherwise, both values as JSON. */
export type Change = NonNullable<EventOf<'run_start'>['branch']>['changes'][number];

/** Whether a run goes on in the folder in which its checkpoint is. */
export function staysInFolder({ checkpoint }: Resume, { out, run }: Pick<Config, 'out' | 'run'>): boolean {
  return resolve(join(out, run)) === runFolderOf(checkpoint);
}

/**
 * Makes sure that a run goes on in its folder from the newest checkpoint alone. A newer one would stay, and be what others
 * take in place of the weights that are trained now; one that is not whole is passed over by all.
 * @throws ConfigError that names the newer one, and the branch as the way.
 */
export function refuseOlder(resume: Resume, config: Pick<Config, 'out' | 'run'>): void {
  if (!staysInFolder(resume, config)) return;
  const { folder, state } = resume.checkpoint;
  const checkpoints = checkpointsFolder(join(config.out, config.run));
  if (!stepsIn(checkpoints).some((step) => step > state.step)) return;
  const { found } = newestCheckpoint(checkpoints);
  if (!found || found.state.step <= state.step) return;
  throw new ConfigError(
    `Cannot resume from ${folder} in its own folder: step ${found.state.step} is there too, expected the newest checkpoint, which eval, predict, export and the next --resume take; branch with --run: --resume ${shellWord(folder)} --run NAME, or take the newer ones away`,
  );
}

/**
 * What a run that goes on has otherwise. With another name it is a branch, and may have another optimizer; a run that was
 * only moved or renamed may not.
 * @throws ConfigError that names the first setting that has to be the same, with both values.
 */
export function settingsChanged(resume: Resume, config: Config): Change[] {
  const { folder, state } = resume.checkpoint;
  if (state.configHash === configHash(config)) return [];
  const [there, now] = [leavesOf(fixedOf(state.config)), leavesOf(fixedOf({ ...config }))];
  const others = [...new Set([...there.keys(), ...now.keys()])].filter((path) => there.get(path) !== now.get(path));
  const changes = others.map((setting): Change => {
    const [was, is] = [there, now].map((leaves) => truncate(leaves.get(setting) ?? 'not set'));
    return { setting: truncate(setting, 120), was: was!, now: is! };
  });
  const isBranch = config.run !== state.config.run && !staysInFolder(resume, config);
  const mayBranch = ({ setting }: Change) => setting.startsWith('optimizer.');
  const wrong = changes.find((each) => !isBranch || !mayBranch(each));
  if (!wrong) return changes;
  const next = mayBranch(wrong)
    ? `branch off, which may change it: --resume ${shellWord(folder)} --run NAME`
    : 'start a new run with another --run';
  throw new ConfigError(
    `Cannot resume from ${folder}: ${wrong.setting} is ${wrong.was} there, and ${wrong.now} now; leave that setting out, or ${next}`,
  );
}

/** The sentence about a branch's changes; `rate` is that of its first step, undefined where there is none. */
export function branchNote(
  { folder, state }: Pick<Checkpoint, 'folder' | 'state'>,
  changes: readonly Change[],
  rate: number | undefined,
): string {
  const list = changes.map(({ setting, was, now }) => `${setting} ${was} becomes ${now}`).join(', ');
  const next = rate === undefined ? '' : `, and step ${state.step + 1} has the learning rate ${rate}`;
  return `a branch of ${folder}: ${list}; velocities stay${next}`;
}

/** The sentence about a run that goes on from its end: it trains nothing. Undefined of one that has steps before it. */
export function lengthNote({ state }: Pick<Checkpoint, 'state'>, steps: number): string | undefined {
  if (state.step < steps) return undefined;
  return `no step is left to train: the checkpoint is of step ${state.step}, and the run's length is ${steps} steps; a larger --steps, or --epochs, makes it longer`;
}

/**
 * Where a run that goes on stands with its schedule. Another rate counts from the next step on, and the schedule begins
 * anew with it: falls of epochs before, and evaluations before, are of the old one. Another schedule alone begins with the
 * rate as it is, and so does a plateau whose errors an earlier version kept without epochs.
 * @throws CheckpointError when the settings of a checkpoint that others are laid over are none.
 */
export function scheduleAfter(
  { folder, state }: Pick<Checkpoint, 'folder' | 'state'>,
  { optimizer }: Pick<Config, 'optimizer'>,
  batchesPerEpoch: number,
): Required<Pick<LoopResult, 'errors'>> & Pick<LoopResult, 'start'> {
  const parsed = CONFIG_SCHEMA.shape.optimizer.safeParse(state.config.optimizer);
  if (!parsed.success) {
    throw new CheckpointError(
      `Cannot use the checkpoint ${folder}: its settings have no optimizer; take another`,
      folder,
    );
  }
  const was: OptimizerOptions = parsed.data;
  const epoch = epochOfStep(state.step + 1, { batchesPerEpoch });
  const errors = state.errors.filter((each) => typeof each === 'object');
  const start = isWithoutEpochs(state, was)
    ? { epoch, factor: state.learningRate / was.learningRate }
    : state.scheduleStart;
  const isOtherRate = was.learningRate !== optimizer.learningRate;
  if (!isOtherRate && hashOf(was.schedule) === hashOf(optimizer.schedule)) return { errors, start };
  const factor = isOtherRate ? 1 : learningRateIn(epoch, was, { errors, start }) / was.learningRate;
  return { errors: [], start: { epoch, factor } };
}

/**
 * Earlier versions had a plateau count evaluations, and kept their errors without epochs: what those come to by epochs is
 * another rate than the run had.
 */
function isWithoutEpochs({ errors }: RunState, { schedule }: OptimizerOptions): boolean {
  return schedule.kind === 'plateau' && errors.some((each) => typeof each === 'number');
}

/** The sentence about a plateau that begins anew, of a run that an earlier version trained and that goes on as it was. */
export function plateauNote({ state }: Pick<Checkpoint, 'state'>, { optimizer }: Pick<Config, 'optimizer'>) {
  if (!isWithoutEpochs(state, optimizer)) return undefined;
  return `an earlier version trained this run, with a plateau that counted evaluations: it goes on with the learning rate ${state.learningRate} that it had, and counts epochs from here on`;
}

/** @throws DataError when the images are not those that the run has learnt from. */
export function refuseOtherData({ checkpoint: { folder, state } }: Resume, dataset: Dataset): void {
  const now = dataOf(dataset);
  const [theirs, mine] = [state.data, now.data].map(
    ({ trainImages, testImages }) => `${trainImages} training and ${testImages} test images`,
  );
  const why =
    theirs !== mine
      ? `it has learnt from ${theirs}, and here are ${mine}`
      : sameNames(state.classes, now.classes)
        ? undefined
        : `its classes are ${short(state.classes)}, and here they are ${short(now.classes)}`;
  if (why === undefined) return;
  throw new DataError(`Cannot resume from ${folder}: ${why}; name the same images with --data`);
}

/** What a checkpoint says of the images. */
export function dataOf({ name, train, test, classNames }: Dataset): Pick<RunState, 'data' | 'classes'> {
  return {
    data: { name, trainImages: train.count, testImages: test.count },
    classes: [...classNames],
  };
}

/** Each setting by its path, as JSON. */
export function leavesOf(value: unknown, path = ''): Map<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return value === undefined ? new Map() : new Map([[path, JSON.stringify(value)]]);
  }
  return new Map(
    Object.entries(value).flatMap(([key, each]) => [...leavesOf(each, path === '' ? key : `${path}.${key}`)]),
  );
}

function short(names: readonly string[]): string {
  const some = names.slice(0, 4).map((name) => truncate(name));
  return names.length > 4 ? `${some.join(', ')}, … (${names.length})` : some.join(', ');
}
