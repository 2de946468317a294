/** `--resume`: which checkpoint a run goes on from, and the settings that come with it. */
import { existsSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { isWeightsName } from '../checkpoint/format.js';
import { MANIFEST_NAME, STATE_NAME } from '../checkpoint/manifest.js';
import {
  type Checkpoint,
  checkpointsFolder,
  newestCheckpoint,
  readCheckpoint,
  type Skipped,
} from '../checkpoint/store.js';
import { checkRunName } from '../config/config.js';
import { type Layer, sets } from '../config/layers.js';
import { PRESETS } from '../config/presets.js';
import { CheckpointError, ConfigError } from '../errors.js';
import type { Resume } from '../train/index.js';
import { filesIn, runFolder } from './run-folder.js';

export interface Continuation {
  /** The checkpoint's settings, and over them what was asked for. */
  layers: readonly Layer[];
  /** Absent where there is nothing to go on from. */
  resume?: Resume;
  /** The run is in its folder already, and its log goes on there. */
  inPlace: boolean;
  notes: readonly string[];
}

/**
 * Finds what `--resume` names. `auto` is the newest checkpoint of the run that `--run` names, or a new run where there is
 * none; a path is a checkpoint, or a run's folder.
 * @throws ConfigError when it names nothing; CheckpointError when there are checkpoints and none is whole.
 */
export function findContinuation(layers: readonly Layer[], asked: string | undefined): Continuation {
  if (asked === undefined) return { layers, inPlace: false, notes: [] };
  return asked === 'auto' ? automatic(layers) : fromPath(layers, asked);
}

function automatic(layers: readonly Layer[]): Continuation {
  const run = given(layers, 'run');
  if (run === undefined) {
    throw new ConfigError('Cannot resume: --resume auto is without a run, expected --run NAME, or --resume FOLDER');
  }
  checkRunName(run);
  const out = given(layers, 'out') ?? PRESETS.mini.out;
  const folder = runFolder({ run, out });
  const resume = newest(folder);
  if (resume) return continued(layers, resume, { run, out }, true);
  const files = filesIn(folder);
  if (files.some(isWeightsName)) {
    throw new CheckpointError(
      `Cannot resume ${folder}: it has weights and no checkpoint, expected ${checkpointsFolder(folder)}; choose another --run`,
      folder,
    );
  }
  const note = `nothing to resume in ${folder}: the run begins with step 1`;
  return { layers, inPlace: files.length > 0, notes: [note] };
}

function fromPath(layers: readonly Layer[], path: string): Continuation {
  const isOne = existsSync(join(path, MANIFEST_NAME));
  const owner = isOne ? dirname(dirname(resolve(path))) : resolve(path);
  const resume = isOne ? { checkpoint: readCheckpoint(path), skipped: [] } : newest(path);
  if (!resume) {
    throw new ConfigError(
      `Cannot resume from ${path}: there is no ${MANIFEST_NAME} and no folder checkpoints with one, expected a checkpoint or a run's folder; choose another --resume`,
    );
  }
  const parent = dirname(owner);
  const isOwn = existsSync(join(owner, 'config.json'));
  const [run, out] = [given(layers, 'run'), given(layers, 'out')];
  if (isOwn && run === undefined && out === undefined) {
    return continued(
      layers,
      resume,
      { run: basename(owner), out: isAbsolute(path) ? parent : relative('', parent) || '.' },
      true,
    );
  }
  const place = { run: run ?? String(resume.checkpoint.state.config.run), out: out ?? PRESETS.mini.out };
  checkRunName(place.run);
  return continued(layers, resume, place, isOwn && resolve(runFolder(place)) === owner);
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

function continued(layers: readonly Layer[], resume: Resume, place: { run: string; out: string }, inPlace: boolean) {
  const { checkpoint } = resume;
  const values: Record<string, unknown> = { ...checkpoint.state.config, fault: null };
  const asksFor = (key: string) => layers.some((layer) => sets(layer, key));
  // Another placement needs another number of devices.
  if (asksFor('placement') && !asksFor('devices') && given(layers, 'placement') !== values.placement) {
    delete values.devices;
  }
  const base = { file: join(checkpoint.folder, STATE_NAME), values };
  return { layers: [base, ...layers, { values: place }], resume, inPlace, notes: [noteOf(checkpoint)] };
}

function noteOf({ folder, state }: Checkpoint): string {
  return `resuming after step ${state.step} from ${folder}`;
}

function reason({ folder, why }: Skipped): string {
  return `${folder}: ${why}`;
}

function given(layers: readonly Layer[], key: 'run' | 'out' | 'placement'): string | undefined {
  const value = layers.findLast((layer) => sets(layer, key))?.values[key];
  return value === undefined ? undefined : String(value);
}
