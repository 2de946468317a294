/** Chooses which weights of a run to use: those of a checkpoint, or those that the run saved at its end. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError, ConfigError, truncate } from '../errors.js';
import { readJson } from '../read-json.js';
import { MANIFEST_NAME, type RunState } from './contents.js';
import { openTensors } from './safetensors.js';
import { checkpointFolder, checkpointsFolder, newestCheckpoint, readCheckpoint, stepsIn } from './store.js';
import { isWeightsName, weightsNames } from './weights-files.js';

export interface Weights {
  /** The towers' files, tower 0's first. */
  files: readonly string[];
  /** The step after which they were saved; undefined if the files do not say, as after an import. */
  step?: number | undefined;
  /** The checkpoint's folder and state; undefined for the weights in the run's own folder. */
  checkpoint?: string;
  state?: RunState;
}

/** More than a run's settings have. */
const MAX_CONFIG_BYTES = 2 ** 20;

/**
 * Chooses weights of a run.
 * @param folder the run's; for `last` it may also be a checkpoint's.
 * @param which `last`: the newest complete checkpoint, or the weights in the run's folder if there is none; `best`: the
 * checkpoint of the best evaluation; a number: the checkpoint of that step; otherwise a checkpoint's folder, of any run.
 * @param warn gets a line for each checkpoint or file that was left out, with the reason.
 * @throws ConfigError if there is no such checkpoint, with a list of those that exist; CheckpointError if it is not
 * complete, or there are no weights.
 */
export function chooseWeights(folder: string, which = 'last', warn: (text: string) => void = () => {}): Weights {
  const checkpoints = checkpointsFolder(folder);
  if (which === 'last') {
    if (existsSync(join(folder, MANIFEST_NAME))) return ofCheckpoint(folder);
    const newest = newestStep(checkpoints, warn);
    return newest ? ofCheckpoint(newest.folder, newest) : savedIn(folder, warn);
  }
  if (which === 'best') return best(folder, warn);
  if (/^\d{1,10}$/.test(which)) {
    const step = Number(which);
    if (stepsIn(checkpoints).includes(step)) return ofCheckpoint(checkpointFolder(checkpoints, step));
    throw new ConfigError(
      `Cannot use the checkpoint of step ${step} of ${folder}: it is not there; ${describeChoices(folder)}`,
    );
  }
  if (/[/\\]/.test(which) || existsSync(which)) return ofCheckpoint(which);
  throw new ConfigError(
    `--checkpoint is ${truncate(JSON.stringify(which))}, expected best, last, a step, or the folder of a checkpoint`,
  );
}

function newestStep(checkpoints: string, warn: (text: string) => void) {
  const { found, skipped } = newestCheckpoint(checkpoints);
  for (const each of skipped) warn(`skipped the checkpoint ${each.folder}: ${each.why}`);
  return found;
}

function best(folder: string, warn: (text: string) => void): Weights {
  const checkpoints = checkpointsFolder(folder);
  const newest = newestStep(checkpoints, warn);
  const found = newest?.state.best;
  if (newest && found?.step === newest.state.step) return ofCheckpoint(newest.folder, newest);
  if (found && stepsIn(checkpoints).includes(found.step))
    return ofCheckpoint(checkpointFolder(checkpoints, found.step));
  const why = !newest
    ? 'it has no complete checkpoint, which would say which one is the best'
    : found
      ? `the checkpoint of its best evaluation, step ${found.step} with top-1 ${found.top1.toFixed(4)}, is not kept`
      : `it had no evaluation up to step ${newest.state.step}`;
  throw new ConfigError(`Cannot use the best checkpoint of ${folder}: ${why}; ${describeChoices(folder)}`);
}

function ofCheckpoint(folder: string, found = readCheckpoint(folder, '--checkpoint')): Weights {
  return { files: found.files, step: found.state.step, checkpoint: folder, state: found.state };
}

function describeChoices(folder: string): string {
  const steps = stepsIn(checkpointsFolder(folder));
  if (steps.length > 0) {
    return `there are checkpoints of steps ${steps.join(', ')}; choose one with --checkpoint, or last`;
  }
  const found = listFolder(folder).some(isWeightsName)
    ? 'only the weights in its folder, which are last'
    : 'no weights';
  return `there are no checkpoints, and ${found}; leave --checkpoint out`;
}

/**
 * The weights in a run's folder. A process that was killed may have left files of two placements, after a resume with the
 * other one, or two files of different steps.
 */
function savedIn(folder: string, warn: (text: string) => void): Weights {
  const fail = (what: string): never => {
    throw new CheckpointError(`Cannot use ${what}`, folder);
  };
  const found = listFolder(folder).filter(isWeightsName).sort();
  if (found.length === 0) {
    fail(
      `${folder}: it has no weights, expected a complete checkpoint or tower-*.safetensors; a run saves them when it ends`,
    );
  }
  const sets = Object.entries({ single: weightsNames(1), split: weightsNames(2) })
    .filter(([, names]) => names.every((name) => found.includes(name)))
    .map(([placement, names]) => {
      const files = names.map((name) => join(folder, name));
      const steps = files.map(stepOf);
      return { placement, names: names.join(' and '), files, steps, step: steps[0] };
    });
  // The tensors of a missing file are reported when they are read.
  if (!sets[0]) return { files: found.map((name) => join(folder, name)) };
  const [first, second] = sets.filter(({ steps }) => new Set(steps).size === 1);
  if (!first) {
    const steps = sets[0].steps.map((step) => step ?? 'unknown').join(' and ');
    return fail(
      `the weights of ${folder}: ${sets[0].names} are of the steps ${steps}, expected one step; continue from a checkpoint with --resume, or train again`,
    );
  }
  if (!second) return { files: first.files, step: first.step };
  const [a, b] = [first.step, second.step];
  const isKnown = a !== undefined && b !== undefined;
  const last = isKnown ? undefined : lastPlacement(folder);
  const used = isKnown ? (a > b ? first : second) : [first, second].find(({ placement }) => placement === last);
  if (!used) {
    return fail(
      `the weights of ${folder}: it has ${first.names}, and ${second.names}, some do not say their step, and its config.json does not say the last placement; remove the files of the earlier training`,
    );
  }
  const ignored = used === first ? second : first;
  warn(
    isKnown
      ? `ignored ${ignored.names} of step ${ignored.step}: ${used.names} are of step ${used.step}`
      : `ignored ${ignored.names}: the last placement in config.json is ${last}, and ${used.names} are of that`,
  );
  return { files: used.files, step: used.step };
}

/** The placement in the run's settings; undefined if they cannot be read. */
function lastPlacement(folder: string): unknown {
  try {
    const settings: unknown = readJson(join(folder, 'config.json'), { limit: MAX_CONFIG_BYTES });
    return (settings as { placement?: unknown } | null)?.placement;
  } catch {
    return undefined;
  }
}

/** The step in a file's metadata; undefined if there is none, or the file cannot be read: whoever reads it says why. */
function stepOf(file: string): number | undefined {
  try {
    const { metadata, close } = openTensors(file);
    close();
    return /^\d{1,10}$/.test(metadata.step ?? '') ? Number(metadata.step) : undefined;
  } catch (error) {
    if (error instanceof CheckpointError) return undefined;
    throw error;
  }
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const found = code === 'ENOENT' ? 'there is no such folder' : message;
    throw new CheckpointError(`Cannot use the weights of ${folder}: ${found}; choose another run`, folder);
  }
}
