/** Which of a run's weights are used: a checkpoint's, or those that were saved at its end. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError, ConfigError, truncate } from '../errors.js';
import { readJson } from '../read-json.js';
import { isWeightsName, openTensors, weightsName } from './format.js';
import { MANIFEST_NAME } from './manifest.js';
import type { RunState } from './state.js';
import { checkpointFolder, checkpointsFolder, newestCheckpoint, readCheckpoint, stepsIn } from './store.js';

/** Weights that were chosen. */
export interface Weights {
  /** The towers' files, tower 0's first. */
  files: readonly string[];
  /** The step after which they were; undefined of weights that do not say, such as imported ones. */
  step: number | undefined;
  /** The checkpoint that they are of; undefined of those in the run's folder. */
  checkpoint: string | undefined;
  /** The checkpoint's. */
  state: RunState | undefined;
}

/** More than a run's settings have. */
const MAX_CONFIG_BYTES = 2 ** 20;

const CHOICES = 'best, last, a step, or the folder of a checkpoint';

/**
 * Chooses weights of a run.
 * @param folder the run's; with `last` also a checkpoint's.
 * @param which `last`: the newest whole checkpoint, or the weights in the run's folder where it has none; `best`: the
 * checkpoint of the best evaluation; a number: that of this step; else a checkpoint's folder, of any run.
 * @param told hears which checkpoints could not be used, and why.
 * @throws ConfigError when there is no such checkpoint, with those that there are; CheckpointError for one that is not
 * whole, and when there are no weights.
 */
export function chooseWeights(folder: string, which = 'last', told: (text: string) => void = () => {}): Weights {
  if (which === 'last') return last(folder, told);
  if (which === 'best') return best(folder, told);
  if (/^\d{1,10}$/.test(which)) return ofStep(folder, Number(which));
  if (/[/\\]/.test(which) || existsSync(which)) return ofCheckpoint(which);
  throw new ConfigError(`--checkpoint is ${truncate(JSON.stringify(which))}, expected ${CHOICES}`);
}

function last(folder: string, told: (text: string) => void): Weights {
  if (existsSync(join(folder, MANIFEST_NAME))) return ofCheckpoint(folder);
  const newest = newestStep(folder, told);
  return newest ? ofCheckpoint(newest.folder, newest) : savedIn(folder, told);
}

function newestStep(folder: string, told: (text: string) => void) {
  const { found, skipped } = newestCheckpoint(checkpointsFolder(folder));
  for (const each of skipped) told(`skipped the checkpoint ${each.folder}: ${each.why}`);
  return found;
}

function best(folder: string, told: (text: string) => void): Weights {
  const newest = newestStep(folder, told);
  const found = newest?.state.best;
  if (newest && found?.step === newest.state.step) return ofCheckpoint(newest.folder, newest);
  if (newest && found && stepsIn(checkpointsFolder(folder)).includes(found.step)) return ofStep(folder, found.step);
  const why = !newest
    ? 'it has no whole checkpoint, which would say which that is'
    : found
      ? `the checkpoint of its best evaluation, step ${found.step} with top-1 ${found.top1.toFixed(4)}, is not kept`
      : `it had no evaluation up to step ${newest.state.step}`;
  throw new ConfigError(`Cannot use the best checkpoint of ${folder}: ${why}; ${thereIs(folder)}`);
}

function ofStep(folder: string, step: number): Weights {
  const checkpoints = checkpointsFolder(folder);
  if (stepsIn(checkpoints).includes(step)) return ofCheckpoint(checkpointFolder(checkpoints, step));
  throw new ConfigError(`Cannot use the checkpoint of step ${step} of ${folder}: it is not there; ${thereIs(folder)}`);
}

function ofCheckpoint(folder: string, found = readCheckpoint(folder, '--checkpoint')): Weights {
  return { files: found.files, step: found.state.step, checkpoint: folder, state: found.state };
}

/** What to choose instead. */
function thereIs(folder: string): string {
  const steps = stepsIn(checkpointsFolder(folder));
  if (steps.length > 0)
    return `there are those of the steps ${steps.join(', ')}; choose one with --checkpoint, or last`;
  const saved = listed(folder).some(isWeightsName) ? 'the weights in its folder, which are last' : 'no weights at all';
  return `there are no checkpoints, and ${saved}; leave --checkpoint out`;
}

/** Files of one placement. */
interface Saved {
  names: string;
  files: string[];
  /** What each file says. */
  steps: (number | undefined)[];
}

/**
 * The weights in a run's folder. A run that went on with the other placement, and was ended before it was done, may have
 * left files of both, and one that was ended between its two files has those of two steps.
 */
function savedIn(folder: string, told: (text: string) => void): Weights {
  const found = listed(folder).filter(isWeightsName).sort();
  if (found.length === 0) {
    throw new CheckpointError(
      `Cannot use ${folder}: it has no weights, expected a whole checkpoint or tower-*.safetensors; a run saves them when it ends`,
      folder,
    );
  }
  const all = [1, 2].flatMap((towers): Saved[] => {
    const names = Array.from({ length: towers }, (_, tower) => weightsName(tower, towers));
    if (!names.every((name) => found.includes(name))) return [];
    const files = names.map((name) => join(folder, name));
    return [{ names: names.join(' and '), files, steps: files.map(stepOf) }];
  });
  // What lacks a file is told of when it is read.
  if (all.length === 0) return saved({ names: '', files: found.map((name) => join(folder, name)), steps: [] });
  const whole = all.filter(({ steps }) => new Set(steps).size === 1);
  const [first, second] = whole;
  if (!first) {
    const { names, steps } = all[0]!;
    throw new CheckpointError(
      `Cannot use the weights of ${folder}: ${names} are of the steps ${steps.map((step) => step ?? 'nobody knows').join(' and ')}, expected one; go on from a checkpoint with --resume, or train again`,
      folder,
    );
  }
  if (!second) return saved(first);
  const [a, b] = [first.steps[0], second.steps[0]];
  if (a !== undefined && b !== undefined) {
    const [later, earlier] = a > b ? [first, second] : [second, first];
    told(`left ${earlier.names} aside, of step ${earlier.steps[0]}: ${later.names} are of step ${later.steps[0]}`);
    return saved(later);
  }
  const placement = lastPlacement(folder);
  const mine = whole.find(({ files }) => files.length === TOWERS_OF[placement as keyof typeof TOWERS_OF]);
  if (!mine) {
    throw new CheckpointError(
      `Cannot use the weights of ${folder}: it has ${first.names}, and ${second.names}, not all say of which step they are, and its config.json does not say which placement was the last; take those of the earlier training away`,
      folder,
    );
  }
  const other = mine === first ? second : first;
  told(
    `left ${other.names} aside, which may be of another step: by its config.json the run was last ${placement}, and ${mine.names} are of that`,
  );
  return saved(mine);
}

const TOWERS_OF = { single: 1, split: 2 };

/** The placement with which a run was last trained, by its settings; undefined of settings that cannot be read. */
function lastPlacement(folder: string): unknown {
  try {
    const settings: unknown = readJson(join(folder, 'config.json'), { limit: MAX_CONFIG_BYTES });
    return (settings as { placement?: unknown } | null)?.placement;
  } catch {
    return undefined;
  }
}

function saved({ files, steps }: Saved): Weights {
  return { files, step: steps[0], checkpoint: undefined, state: undefined };
}

/** What a weights file says of its step; nothing of one that says nothing, or cannot be read. */
function stepOf(file: string): number | undefined {
  try {
    const { metadata, close } = openTensors(file);
    close();
    return /^\d{1,10}$/.test(metadata.step ?? '') ? Number(metadata.step) : undefined;
  } catch (error) {
    if (error instanceof CheckpointError) return undefined; // whoever reads it says why
    throw error;
  }
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const found = code === 'ENOENT' ? 'there is no such folder' : message;
    throw new CheckpointError(`Cannot use the weights of ${folder}: ${found}; choose another run`, folder);
  }
}
