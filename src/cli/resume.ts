/** `--resume`: which checkpoint a run goes on from, and the settings that come with it. */
import { existsSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { MANIFEST_NAME, STATE_NAME } from '../checkpoint/contents.js';
import {
  type Checkpoint,
  checkpointsFolder,
  newestCheckpoint,
  readCheckpoint,
  runFolderOf,
  type Skipped,
} from '../checkpoint/store.js';
import { isWeightsName } from '../checkpoint/weights-files.js';
import { checkRunName } from '../config/config.js';
import { withoutRetired } from '../config/file.js';
import { type ConfigLayer, sets } from '../config/layers.js';
import { PRESETS } from '../config/presets.js';
import { CheckpointError, ConfigError } from '../errors.js';
import type { Resume } from '../train/index.js';
import { filesIn, runFolder } from './run-folder.js';

export interface Continuation {
  /** The checkpoint's settings, and over them what was asked for. */
  layers: readonly ConfigLayer[];
  /** Absent where there is nothing to go on from. */
  resume?: Resume;
  notes: readonly string[];
}

/**
 * The run's folder that `--resume` goes on in: to be locked before its checkpoints are read, for a process that trains
 * there makes others. Undefined where the run gets a folder of its own.
 * @throws ConfigError for a name that is none, and for `auto` without one.
 */
export function folderToContinue(layers: readonly ConfigLayer[], asked: string | undefined): string | undefined {
  if (asked === undefined) return undefined;
  if (asked === 'auto') {
    const folder = runFolder(automaticPlace(layers));
    return filesIn(folder).length > 0 ? folder : undefined;
  }
  const { owner, isOwn, place } = pathPlace(layers, asked);
  return isOwn && place && resolve(runFolder(place)) === owner ? runFolder(place) : undefined;
}

/**
 * Finds what `--resume` names. `auto` is the newest checkpoint of the run that `--run` names, or a new run where there is
 * none; a path is a checkpoint, or a run's folder.
 * @param inPlace whether there is a {@link folderToContinue}; it was asked for once, so what came about since is another's.
 * @throws ConfigError when it names nothing; CheckpointError when there are checkpoints and none is whole.
 */
export function findContinuation(
  layers: readonly ConfigLayer[],
  asked: string | undefined,
  inPlace: boolean,
): Continuation {
  if (asked === undefined) return { layers, notes: [] };
  return asked === 'auto' ? automatic(layers, inPlace) : fromPath(layers, asked);
}

function automaticPlace(layers: readonly ConfigLayer[]): { run: string; out: string } {
  const run = given(layers, 'run');
  if (run === undefined) {
    throw new ConfigError('Cannot resume: --resume auto is without a run, expected --run NAME, or --resume FOLDER');
  }
  checkRunName(run);
  return { run, out: given(layers, 'out') ?? PRESETS.mini.out };
}

function automatic(layers: readonly ConfigLayer[], inPlace: boolean): Continuation {
  const place = automaticPlace(layers);
  const folder = runFolder(place);
  const resume = inPlace ? newest(folder) : undefined;
  if (resume) return continued(layers, resume, place);
  const files = filesIn(folder);
  if (files.some(isWeightsName)) {
    throw new CheckpointError(
      `Cannot resume ${folder}: it has weights and no checkpoint, expected ${checkpointsFolder(folder)}; choose another --run`,
      folder,
    );
  }
  const note = `nothing to resume in ${folder}: the run begins with step 1`;
  return { layers, notes: [note] };
}

/** Whose checkpoint a path is, and where the run that goes on from it has its place; nowhere yet, when nothing says so. */
function pathPlace(layers: readonly ConfigLayer[], path: string) {
  const isOne = existsSync(join(path, MANIFEST_NAME));
  const owner = isOne ? runFolderOf({ folder: path }) : resolve(path);
  const [run, out] = [given(layers, 'run'), given(layers, 'out')];
  const isOwn = owner !== undefined && existsSync(join(owner, 'config.json'));
  if (run !== undefined) checkRunName(run);
  if (!isOwn) {
    const place = run === undefined ? undefined : { run, out: out ?? PRESETS.mini.out };
    return { isOne, owner, isOwn, place };
  }
  const parent = isAbsolute(path) ? dirname(owner) : relative('', dirname(owner)) || '.';
  const isMoved = run !== undefined || out !== undefined;
  const place = { run: run ?? basename(owner), out: out ?? (isMoved ? PRESETS.mini.out : parent) };
  return { isOne, owner, isOwn, place };
}

function fromPath(layers: readonly ConfigLayer[], path: string): Continuation {
  const { isOne, place } = pathPlace(layers, path);
  const resume = isOne ? { checkpoint: readCheckpoint(path), skipped: [] } : newest(path);
  if (!resume) {
    throw new ConfigError(
      `Cannot resume from ${path}: there is no ${MANIFEST_NAME} and no folder checkpoints with one, expected a checkpoint or a run's folder; choose another --resume`,
    );
  }
  if (place) return continued(layers, resume, place);
  const run = String(resume.checkpoint.state.config.run);
  checkRunName(run);
  return continued(layers, resume, { run, out: given(layers, 'out') ?? PRESETS.mini.out });
}

/** The newest whole checkpoint of a run. @throws CheckpointError when there are some, and none is whole. */
function newest(folder: string): Resume | undefined {
  const { found, skipped } = newestCheckpoint(checkpointsFolder(folder));
  if (found) return { checkpoint: found, skipped };
  if (skipped.length === 0) return undefined;
  throw new CheckpointError(
    `Cannot resume ${folder}: none of its checkpoints is whole (${skipped.map(reason).join('; ')}); start a new run with another --run`,
    folder,
  );
}

function continued(layers: readonly ConfigLayer[], resume: Resume, place: { run: string; out: string }) {
  const { checkpoint } = resume;
  const values = withoutRetired(checkpoint.state.config);
  const asksFor = (key: string) => layers.some((layer) => sets(layer, key));
  // Another placement needs another number of devices.
  if (asksFor('placement') && !asksFor('devices') && given(layers, 'placement') !== values.placement) {
    delete values.devices;
  }
  const base = { file: join(checkpoint.folder, STATE_NAME), values };
  // What the run began with is in its checkpoint by now, and another beginning would be none.
  const weights = given(layers, 'weights');
  const isOther = weights !== undefined && weights !== String(values.weights ?? null);
  const own = { ...place, ...(weights !== undefined && { weights: values.weights ?? null }) };
  const notes = isOther ? [`--weights ${weights} is left aside: the run goes on with those of its checkpoint`] : [];
  return { layers: [base, ...layers, { values: own }], resume, notes: [noteOf(checkpoint), ...notes] };
}

/** The sentence that says so. */
export function noteOf({ folder, state }: Checkpoint): string {
  return `resuming after step ${state.step} from ${folder}`;
}

function reason({ folder, why }: Skipped): string {
  return `${folder}: ${why}`;
}

function given(layers: readonly ConfigLayer[], key: 'run' | 'out' | 'placement' | 'weights'): string | undefined {
  const value = layers.findLast((layer) => sets(layer, key))?.values[key];
  return value === undefined ? undefined : String(value);
}
