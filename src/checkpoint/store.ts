/**
 * The checkpoints of a run: `checkpoints/0000001000/` is the run after step 1000. A checkpoint is written atomically: into
 * a temporary folder, flushed to the disk, read back, and then the folder is renamed.
 */
import fs from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { CheckpointError } from '../errors.js';
import { describePlaceholder, readFileStart } from '../file-kind.js';
import { jsonText } from '../printable.js';
import {
  Damage,
  describeIssue,
  MANIFEST_NAME,
  MAX_MANIFEST_BYTES,
  MAX_STATE_BYTES,
  type Manifest,
  manifestText,
  parseManifest,
  parseState,
  RUN_STATE,
  type RunState,
  STATE_NAME,
} from './contents.js';
import { digestOf, flushFolder, removeQuietly, writeFlushed } from './disk.js';
import { type Entry, encodeHeader } from './safetensors.js';
import { weightsName } from './weights-files.js';

export interface Checkpoint {
  folder: string;
  state: RunState;
  /** The towers' files, tower 0's first. */
  files: readonly string[];
  /** The size of all its files. */
  bytes: number;
}

/** A checkpoint that cannot be used, and the reason. */
export interface Skipped {
  folder: string;
  why: string;
}

/** A checkpoint to write. */
export interface Draft {
  state: RunState;
  towers: readonly {
    entries: readonly Entry[];
    metadata: Readonly<Record<string, string>>;
    /** The tensors' bytes, in the entries' order. */
    values: Uint8Array;
  }[];
}

const PARTIAL = '.partial';
const REMOVING = '.removing';

export function checkpointsFolder(runFolder: string): string {
  return join(runFolder, 'checkpoints');
}

export function checkpointFolder(checkpoints: string, step: number): string {
  return join(checkpoints, String(step).padStart(10, '0'));
}

/**
 * The folder of the run that made a checkpoint: two levels up, if the checkpoint is in a folder `checkpoints` or the run's
 * settings are there. Otherwise somebody has moved the checkpoint, and the result is undefined.
 */
export function runFolderOf({ folder }: Pick<Checkpoint, 'folder'>): string | undefined {
  const parent = dirname(resolve(folder));
  const run = dirname(parent);
  return parent === checkpointsFolder(run) || fs.existsSync(join(run, 'config.json')) ? run : undefined;
}

/**
 * Writes a checkpoint into an existing folder, reads it back, and removes older ones.
 * @param keep how many of the newest stay, this one included.
 * @param best the step of another one that stays.
 * @returns its bytes, and the folders that were removed.
 * @throws CheckpointError if the write fails; the checkpoints before stay as they were.
 */
export function writeCheckpoint(
  checkpoints: string,
  { state, towers }: Draft,
  { keep, best }: { keep: number; best?: number | undefined },
): { folder: string; bytes: number; removed: string[] } {
  const folder = checkpointFolder(checkpoints, state.step);
  const fail = (why: string): never => {
    throw new CheckpointError(
      `Cannot write the checkpoint ${folder}: ${why}; the previous checkpoint is unchanged, and --resume continues from it`,
      folder,
    );
  };
  const { error: invalid } = RUN_STATE.safeParse(state);
  if (invalid) fail(`in its state ${describeIssue(invalid)}, which is a bug of alexnet-split, please report it`);
  const partial = folder + PARTIAL;
  let bytes: number;
  try {
    fs.rmSync(partial, { recursive: true, force: true });
    fs.mkdirSync(partial);
    const files: Manifest['files'] = [];
    const add = (name: string, parts: readonly Uint8Array[]) =>
      files.push({ name, ...writeFlushed(join(partial, name), parts) });
    add(STATE_NAME, [Buffer.from(`${jsonText(state, 2)}\n`)]);
    for (const [tower, { entries, metadata, values }] of towers.entries()) {
      const name = weightsName(tower, towers.length);
      add(name, [encodeHeader(join(folder, name), entries, metadata), values]);
    }
    const manifest = manifestText({ format: 1, step: state.step, files });
    writeFlushed(join(partial, MANIFEST_NAME), [Buffer.from(manifest)]);
    flushFolder(partial);
    const written = inspect(partial);
    if (typeof written === 'string') throw new Error(`after it was written, ${written}`);
    bytes = written.bytes;
    replaceFolder(partial, folder);
  } catch (error) {
    removeQuietly(partial);
    return fail(`${(error as Error).message}; free some space, or choose another folder with --out`);
  }
  return { folder, bytes, removed: prune(checkpoints, state.step, keep, best) };
}

/** The steps of all checkpoints, complete or not, in ascending order. */
export function stepsIn(checkpoints: string): number[] {
  return namesIn(checkpoints)
    .filter((name) => /^\d{10}$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** The complete checkpoint with the highest step, if there is one, and the later ones that cannot be used. */
export function newestCheckpoint(checkpoints: string): { found?: Checkpoint; skipped: Skipped[] } {
  const skipped: Skipped[] = [];
  for (const step of stepsIn(checkpoints).reverse()) {
    const folder = checkpointFolder(checkpoints, step);
    const found = inspect(folder);
    if (typeof found !== 'string') return { found, skipped };
    skipped.push({ folder, why: found });
  }
  return { skipped };
}

/**
 * Reads a checkpoint and checks every byte against its manifest.
 * @param flag the flag that chooses another checkpoint, for the message.
 * @throws CheckpointError if it is not complete.
 */
export function readCheckpoint(folder: string, flag = '--resume'): Checkpoint {
  const found = inspect(folder);
  if (typeof found !== 'string') return found;
  throw new CheckpointError(`Cannot use the checkpoint ${folder}: ${found}; choose another one with ${flag}`, folder);
}

/** The checkpoint, or what is wrong with it. */
function inspect(folder: string): Checkpoint | string {
  try {
    const manifest = parseManifest(readSmall(folder, MANIFEST_NAME, MAX_MANIFEST_BYTES));
    const number = /^\d{10}/.exec(basename(folder))?.[0];
    if (number !== undefined && Number(number) !== manifest.step) {
      throw new Damage(`it is of step ${manifest.step}, not of the step in its name`);
    }
    for (const file of manifest.files) checkFile(folder, file);
    const state = parseState(readSmall(folder, STATE_NAME, MAX_STATE_BYTES));
    if (state.step !== manifest.step) throw new Damage(`${STATE_NAME} is of step ${state.step}`);
    const towers = manifest.files.filter(({ name }) => name !== STATE_NAME);
    if (towers.length !== (state.placement === 'split' ? 2 : 1)) {
      throw new Damage(`it has ${towers.length} towers, and ${STATE_NAME} is of a ${state.placement} run`);
    }
    const bytes = manifest.files.reduce((total, each) => total + each.bytes, 0);
    return { folder, state, files: towers.map(({ name }) => join(folder, name)), bytes };
  } catch (error) {
    const isExpected = error instanceof Damage || (error as NodeJS.ErrnoException).syscall !== undefined;
    if (isExpected) return (error as Error).message;
    throw error;
  }
}

/** Compares a file with its line in the manifest; the size first, before it reads the file. @throws Damage */
function checkFile(folder: string, { name, bytes, sha256 }: Manifest['files'][number]): void {
  withFile(folder, name, (descriptor, size) => {
    if (size !== bytes) {
      const placeholder = describePlaceholder(readFileStart(join(folder, name)), name);
      if (placeholder !== undefined) throw new Damage(`${name}: ${placeholder}`);
      throw new Damage(`${name} has ${size} bytes, and its manifest says ${bytes}`);
    }
    const found = digestOf(descriptor);
    if (found.bytes !== bytes || found.sha256 !== sha256) throw new Damage(`${name} was changed (SHA-256)`);
  });
}

function readSmall(folder: string, name: string, limit: number): string {
  return withFile(folder, name, (descriptor, size) => {
    if (size > limit) throw new Damage(`${name} has ${size} bytes, expected at most ${limit}`);
    return fs.readFileSync(descriptor, 'utf8');
  });
}

/** Opens a plain file of the folder: not a link to another place, and not a pipe, which would block. @throws Damage */
function withFile<T>(folder: string, name: string, use: (descriptor: number, size: number) => T): T {
  let descriptor: number;
  try {
    descriptor = fs.openSync(
      join(folder, name),
      fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK,
    );
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reasons: Record<string, string> = { ENOENT: 'is not there', ELOOP: 'is a link' };
    throw new Damage(`${name} ${reasons[code ?? ''] ?? `cannot be opened: ${message}`}`);
  }
  try {
    const stats = fs.fstatSync(descriptor);
    if (!stats.isFile()) throw new Damage(`${name} is not a file`);
    return use(descriptor, stats.size);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Renames a folder. Replaces an older checkpoint of that step: a damaged one, or one of before a resume. */
function replaceFolder(partial: string, folder: string): void {
  fs.rmSync(folder + REMOVING, { recursive: true, force: true });
  if (fs.lstatSync(folder, { throwIfNoEntry: false })) fs.renameSync(folder, folder + REMOVING);
  fs.renameSync(partial, folder);
  flushFolder(dirname(folder));
  removeQuietly(folder + REMOVING);
}

/** Removes what a killed process left, and the checkpoints that do not stay. */
function prune(checkpoints: string, written: number, keep: number, best: number | undefined): string[] {
  for (const name of namesIn(checkpoints)) {
    if (/^\d{10}\.(partial|removing)$/.test(name)) removeQuietly(join(checkpoints, name));
  }
  const steps = stepsIn(checkpoints);
  const kept = new Set([...steps.slice(-keep), written, best]);
  const old = steps.filter((step) => !kept.has(step)).map((step) => checkpointFolder(checkpoints, step));
  return old.filter((folder) => {
    try {
      fs.renameSync(folder, folder + REMOVING); // so that a half-removed checkpoint does not have its name
    } catch {
      return false; // another user's: it does no harm
    }
    removeQuietly(folder + REMOVING);
    return true;
  });
}

function namesIn(folder: string): string[] {
  try {
    return fs.readdirSync(folder);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}
