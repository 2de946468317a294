/** `--resume`: finds the checkpoint to resume from, and the settings that come with it. */
import { existsSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { MANIFEST_NAME, STATE_NAME } from '../checkpoint/contents.js';
import {
  type Checkpoint,
  checkpointsFolder,
  newestCheckpoint,
  readCheckpoint,
  runFolderOf,
} from '../checkpoint/store.js';
import { isWeightsName } from '../checkpoint/weights-files.js';
import { type Config, checkRunName } from '../config/config.js';
import { readConfigFile, withoutRetired } from '../config/file.js';
import { type ConfigLayer, lastValue, needsOtherDevices } from '../config/layers.js';
import { nearRun } from '../config/near-run.js';
import { PRESETS } from '../config/presets.js';
import { CheckpointError, ConfigError } from '../errors.js';
import { shellWord } from '../printable.js';
import type { Resume } from '../train/index.js';
import { filesIn, runFolder } from './run-folder.js';

interface Continuation {
  /** The checkpoint's settings, overridden by what was requested. */
  layers: readonly ConfigLayer[];
  /** Absent if there is nothing to resume from. */
  resume?: Resume;
  /** The settings with which a run that has no checkpoint begins again. */
  again?: ConfigLayer;
  notes: readonly string[];
}

export interface ResumePlan {
  /** The run's folder if the run continues in it. Lock it before `find`, because a process that trains there writes others. */
  folder?: string | undefined;
  /**
   * Reads the checkpoint.
   * @throws ConfigError if there is none at the path; CheckpointError if all checkpoints are damaged.
   */
  find(): Continuation;
}

type Place = Pick<Config, 'run' | 'out'>;

/**
 * Finds what `--resume` names. `auto` is the newest checkpoint of the run that `--run` names. A run without checkpoints begins
 * again with its own settings, and one that does not exist begins.
 * A path is a checkpoint or a run's folder.
 * @throws ConfigError for an invalid name, and for `auto` without a name.
 */
export function planResume(layers: readonly ConfigLayer[], asked: string | undefined): ResumePlan {
  const run = given(layers, 'run');
  if (asked === undefined) return { find: () => ({ layers, notes: [] }) };
  if (asked === 'auto' && run === undefined) {
    throw new ConfigError(
      'Cannot resume: --resume auto needs the name of a run; add --run NAME, or use --resume FOLDER',
    );
  }
  if (run !== undefined) checkRunName(run);
  const named = run === undefined ? undefined : { run, out: given(layers, 'out') ?? PRESETS.mini.out };
  return asked === 'auto' ? planAuto(layers, named!) : planPath(layers, asked, named);
}

function planAuto(layers: readonly ConfigLayer[], place: Place): ResumePlan {
  const folder = runFolder(place);
  // A folder that appears later belongs to another process.
  const exists = filesIn(folder).length > 0;
  return {
    folder: exists ? folder : undefined,
    find() {
      const resume = exists ? newest(folder) : undefined;
      if (resume) return continueFrom(layers, resume, place);
      if (filesIn(folder).some(isWeightsName)) {
        throw new CheckpointError(
          `Cannot resume ${folder}: it has weights and no checkpoint, expected ${checkpointsFolder(folder)}; choose another --run`,
          folder,
        );
      }
      if (exists && existsSync(join(folder, 'config.json'))) return beginAgain(layers, place);
      return { layers, notes: [`nothing to resume in ${folder}: the run begins with step 1`] };
    },
  };
}

/** @param named the run that `--run` names; else the run continues in its own folder, or in one of its name below `--out`. */
function planPath(layers: readonly ConfigLayer[], asked: string, named: Place | undefined): ResumePlan {
  const path = pathOf(asked, given(layers, 'out') ?? PRESETS.mini.out);
  const isCheckpoint = existsSync(join(path, MANIFEST_NAME));
  const owner = isCheckpoint ? runFolderOf({ folder: path }) : resolve(path);
  const isRun = owner !== undefined && existsSync(join(owner, 'config.json'));
  const out = given(layers, 'out');
  const parent = isAbsolute(path) ? dirname(owner ?? '') : relative('', dirname(owner ?? '')) || '.';
  const place = named ?? (isRun ? { run: basename(owner), out: out ?? parent } : undefined);
  const isInPlace = isRun && place !== undefined && resolve(runFolder(place)) === owner;
  return {
    folder: isInPlace ? runFolder(place) : undefined,
    find() {
      const resume = isCheckpoint ? { checkpoint: readCheckpoint(path), skipped: [] } : newest(path);
      if (!resume) {
        throw new ConfigError(
          existsSync(path)
            ? isRun
              ? `Cannot resume from ${path}: the run has no checkpoint yet; begin it again with --resume auto ${flagsOf(place!)}, or choose another --resume`
              : `Cannot resume from ${path}: it is neither a checkpoint nor the folder of a run with one; choose another --resume`
            : `Cannot resume from ${path}: it does not exist${nearRun(path, '.') || nearRun(path, given(layers, 'out'))}, expected a checkpoint or a run's folder; choose another --resume`,
        );
      }
      if (place) return continueFrom(layers, resume, place);
      const run = String(resume.checkpoint.state.config.run);
      checkRunName(run);
      return continueFrom(layers, resume, { run, out: out ?? PRESETS.mini.out });
    },
  };
}

/** The flags that name a run. */
function flagsOf({ run, out }: Place): string {
  return `--run ${shellWord(run)}${out === PRESETS.mini.out ? '' : ` --out ${shellWord(out)}`}`;
}

/** The path of a checkpoint or a run: a name without a slash is also that of a run in the folder of the runs. */
function pathOf(asked: string, out: string): string {
  const isThere = existsSync(join(asked, MANIFEST_NAME)) || existsSync(checkpointsFolder(asked));
  return !isThere && !/[/\\]/.test(asked) && existsSync(join(out, asked)) ? join(out, asked) : asked;
}

/** The newest whole checkpoint of a run. @throws CheckpointError if all are damaged. */
function newest(folder: string): Resume | undefined {
  const { found, skipped } = newestCheckpoint(checkpointsFolder(folder));
  if (found) return { checkpoint: found, skipped };
  if (skipped.length === 0) return undefined;
  const reasons = skipped.map((each) => `${each.folder}: ${each.why}`).join('; ');
  throw new CheckpointError(
    `Cannot resume ${folder}: none of its checkpoints is complete (${reasons}); start a new run with another --run`,
    folder,
  );
}

function continueFrom(layers: readonly ConfigLayer[], resume: Resume, place: Place): Continuation {
  const { checkpoint } = resume;
  const values = withoutRetired(checkpoint.state.config);
  if (needsOtherDevices(values, layers)) delete values.devices;
  const saved = { file: join(checkpoint.folder, STATE_NAME), values };
  // `--weights` has no effect: the checkpoint has the weights that came of the run's first ones.
  const weights = given(layers, 'weights');
  const isOther = weights !== undefined && weights !== String(values.weights ?? null);
  const isNew = given(layers, 'newHead') === 'true' && values.newHead !== true;
  const start = { weights: values.weights ?? null, newHead: values.newHead ?? false };
  const own = { ...place, ...((weights !== undefined || isNew) && start) };
  const idle = [...(isOther ? [`--weights ${weights}`] : []), ...(isNew ? ['--new-head'] : [])];
  const notes = idle.map((each) => `${each} has no effect: the run resumes with the weights of its checkpoint`);
  return { layers: [saved, ...layers, { values: own }], resume, notes: [resumeNote(checkpoint), ...notes] };
}

/** A run that ended before its first checkpoint begins again with the settings of its `config.json`, under those asked now. */
function beginAgain(layers: readonly ConfigLayer[], place: Place): Continuation {
  const folder = runFolder(place);
  const again = readConfigFile(join(folder, 'config.json'));
  const values = { ...again.values };
  if (needsOtherDevices(values, layers)) delete values.devices;
  const notes = [`${folder} has no checkpoint yet: the run begins again with step 1 and the settings of ${again.file}`];
  return { layers: [{ ...again, values }, ...layers, { values: { ...place } }], again, notes };
}

export function resumeNote({ folder, state }: Checkpoint): string {
  return `resuming after step ${state.step} from ${folder}`;
}

function given(layers: readonly ConfigLayer[], key: string): string | undefined {
  const value = lastValue(layers, key);
  return value === undefined ? undefined : String(value);
}
