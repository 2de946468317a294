/**
 * The checkpoints of a run: `checkpoints/0000001000/` is what it was after step 1000. A checkpoint is there whole or not
 * at all: its files go to a folder of another name and to the disk, are read again, and then the folder is renamed.
 */
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { CheckpointError, truncate } from '../errors.js';
import { describePlaceholder, readFileStart } from '../file-kind.js';
import { jsonText } from '../printable.js';
import { parseJson } from '../read-json.js';
import { type Digest, digestOf, flushFolder, writeFlushed } from './disk.js';
import { bytesOf, type Entry, headerOf, weightsName } from './format.js';
import {
  MANIFEST_NAME,
  MAX_MANIFEST_BYTES,
  MAX_STATE_BYTES,
  type Manifest,
  manifestText,
  parseManifest,
  STATE_NAME,
} from './manifest.js';
import { RUN_STATE, type RunState } from './state.js';

/** A checkpoint that was found whole. */
export interface Checkpoint {
  folder: string;
  state: RunState;
  /** The towers' files, tower 0's first. */
  files: readonly string[];
  /** Of all its files. */
  bytes: number;
}

/** A checkpoint that cannot be used, and the reason. */
export interface Skipped {
  folder: string;
  why: string;
}

/** What a checkpoint is made of. */
export interface Draft {
  state: RunState;
  towers: readonly {
    entries: readonly Entry[];
    metadata: Readonly<Record<string, string>>;
    /** The tensors' bytes, in the entries' order. */
    values: Uint8Array;
  }[];
}

const DIGITS = 10;
const PARTIAL = '.partial';
const REMOVING = '.removing';

/** The folder of a run's checkpoints. */
export function checkpointsFolder(runFolder: string): string {
  return join(runFolder, 'checkpoints');
}

/** The folder of one checkpoint. */
export function checkpointFolder(checkpoints: string, step: number): string {
  return join(checkpoints, String(step).padStart(DIGITS, '0'));
}

/**
 * Writes a checkpoint into a folder that is there, reads it again, and removes older ones.
 * @param keep how many of the newest stay, this one among them.
 * @param best step of another one that stays.
 * @returns its bytes, and the folders that were removed.
 * @throws CheckpointError when the disk does not take it; what was there before is as it was.
 */
export function writeCheckpoint(
  checkpoints: string,
  { state, towers }: Draft,
  { keep, best }: { keep: number; best?: number | undefined },
): { folder: string; bytes: number; removed: string[] } {
  const folder = checkpointFolder(checkpoints, state.step);
  const { error: wrong } = RUN_STATE.safeParse(state);
  if (wrong) throw noState(folder, wrong.issues[0]);
  const partial = folder + PARTIAL;
  let bytes: number;
  try {
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial);
    const files: Manifest['files'] = [];
    const add = (name: string, parts: readonly Uint8Array[]) =>
      files.push({ name, ...writeFlushed(join(partial, name), parts) });
    add(STATE_NAME, [Buffer.from(`${jsonText(state, 2)}\n`)]);
    for (const [tower, { entries, metadata, values }] of towers.entries()) {
      add(weightsName(tower, towers.length), [headerOf(entries, metadata), values]);
    }
    const manifest = manifestText({ format: 1, step: state.step, files });
    writeFlushed(join(partial, MANIFEST_NAME), [Buffer.from(manifest)]);
    flushFolder(partial);
    const again = look(partial);
    if (typeof again === 'string') throw new Damage(`when it was read again, ${again}`);
    bytes = again.bytes;
    putInPlace(partial, folder);
  } catch (error) {
    removeQuietly(partial);
    throw new CheckpointError(
      `Cannot write the checkpoint ${folder}: ${(error as Error).message}; make room, or choose another folder with --out; the one before is as it was, and --resume goes on from it`,
      folder,
    );
  }
  return { folder, bytes, removed: prune(checkpoints, state.step, keep, best) };
}

/** Of a state that no reader would take: the disk has no part in it. */
function noState(folder: string, issue: { path: PropertyKey[]; message: string } | undefined): CheckpointError {
  return new CheckpointError(
    `Cannot write the checkpoint ${folder}: its state is none that could be read (${issue?.path.join('.')}: ${truncate(issue?.message ?? '')}), which is a fault of alexnet-split, please report it; the one before is as it was, and --resume goes on from it`,
    folder,
  );
}

/** Steps of the checkpoints that are there, whole or not, in order. */
export function stepsIn(checkpoints: string): number[] {
  return namesIn(checkpoints)
    .filter((name) => /^\d{10}$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** The whole checkpoint with the highest number, if there is one, and those after it that are not whole. */
export function newestCheckpoint(checkpoints: string): { found?: Checkpoint; skipped: Skipped[] } {
  const skipped: Skipped[] = [];
  for (const step of stepsIn(checkpoints).reverse()) {
    const folder = checkpointFolder(checkpoints, step);
    const found = look(folder);
    if (typeof found !== 'string') return { found, skipped };
    skipped.push({ folder, why: found });
  }
  return { skipped };
}

/**
 * Reads a checkpoint and compares every byte with its manifest.
 * @param flag by which another one is chosen, for the message.
 * @throws CheckpointError when it is not whole.
 */
export function readCheckpoint(folder: string, flag = '--resume'): Checkpoint {
  const found = look(folder);
  if (typeof found !== 'string') return found;
  throw new CheckpointError(`Cannot use the checkpoint ${folder}: ${found}; choose another one with ${flag}`, folder);
}

/** What is found wrong with a checkpoint. */
class Damage extends Error {}

/** The checkpoint, or what is wrong with it. */
function look(folder: string): Checkpoint | string {
  try {
    const manifest = parseManifest(readSmall(folder, MANIFEST_NAME, MAX_MANIFEST_BYTES));
    if (typeof manifest === 'string') throw new Damage(`${MANIFEST_NAME}: ${manifest}`);
    const number = /^\d{10}/.exec(basename(folder))?.[0];
    if (number !== undefined && Number(number) !== manifest.step) {
      throw new Damage(`it is of step ${manifest.step}, not of the step in its name`);
    }
    for (const { name, ...expected } of manifest.files)
      compare(folder, name, open(folder, name, digest(expected)), expected);
    const state = readState(folder);
    if (state.step !== manifest.step) throw new Damage(`${STATE_NAME} is of step ${state.step}`);
    const towers = manifest.files.filter(({ name }) => name !== STATE_NAME);
    if (towers.length !== (state.placement === 'split' ? 2 : 1)) {
      throw new Damage(`it has ${towers.length} towers, and ${STATE_NAME} is of a ${state.placement} run`);
    }
    const bytes = manifest.files.reduce((total, each) => total + each.bytes, 0);
    return { folder, state, files: towers.map(({ name }) => join(folder, name)), bytes };
  } catch (error) {
    if (error instanceof Damage || (error as NodeJS.ErrnoException).syscall !== undefined) {
      return (error as Error).message;
    }
    throw error;
  }
}

/** Looks at the size before it reads. */
function digest({ bytes }: Digest): (descriptor: number, size: number) => Digest {
  return (descriptor, size) => (size === bytes ? digestOf(descriptor) : { bytes: size, sha256: '' });
}

function compare(folder: string, name: string, found: Digest, expected: Digest): void {
  if (found.bytes !== expected.bytes) {
    const held = describePlaceholder(readFileStart(join(folder, name)), name);
    if (held !== undefined) throw new Damage(`${name}: ${held}`);
    throw new Damage(`${name} has ${found.bytes} bytes, and its manifest says ${expected.bytes}`);
  }
  if (found.sha256 !== expected.sha256) throw new Damage(`${name} is not what was written (SHA-256)`);
}

function readState(folder: string): RunState {
  let json: unknown;
  try {
    json = parseJson(readSmall(folder, STATE_NAME, MAX_STATE_BYTES));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Damage(`${STATE_NAME} is not JSON`);
  }
  const parsed = RUN_STATE.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const where = truncate(issue.path.join('.'), 120) || 'the whole';
  throw new Damage(`${STATE_NAME}: ${where} is wrong (${truncate(issue.message, 200)})`);
}

function readSmall(folder: string, name: string, limit: number): string {
  return open(folder, name, (descriptor, size) => {
    if (size > limit) throw new Damage(`${name} has ${size} bytes, expected at most ${limit}`);
    return readFileSync(descriptor, 'utf8');
  });
}

/** A plain file of the folder: not a link to somewhere else, and not a pipe that never ends. */
function open<T>(folder: string, name: string, use: (descriptor: number, size: number) => T): T {
  let descriptor: number;
  try {
    descriptor = openSync(join(folder, name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reasons: Record<string, string> = { ENOENT: 'is not there', ELOOP: 'is a link' };
    throw new Damage(`${name} ${reasons[code ?? ''] ?? `cannot be opened: ${message}`}`);
  }
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw new Damage(`${name} is no file`);
    return use(descriptor, stats.size);
  } finally {
    closeSync(descriptor);
  }
}

/** One of that step may be there already: a damaged one, or of a run that was resumed from before it. */
function putInPlace(partial: string, folder: string): void {
  rmSync(folder + REMOVING, { recursive: true, force: true });
  if (namesIn(dirname(folder)).includes(basename(folder))) renameSync(folder, folder + REMOVING);
  renameSync(partial, folder);
  flushFolder(dirname(folder));
  removeQuietly(folder + REMOVING);
}

/** Removes what a killed process left half done, and what is not to be kept. */
function prune(checkpoints: string, written: number, keep: number, best: number | undefined): string[] {
  for (const name of namesIn(checkpoints)) {
    if (/^\d{10}\.(partial|removing)$/.test(name)) removeQuietly(join(checkpoints, name));
  }
  const steps = stepsIn(checkpoints);
  const kept = new Set([...steps.slice(-keep), written, best]);
  const old = steps.filter((step) => !kept.has(step)).map((step) => checkpointFolder(checkpoints, step));
  return old.filter((folder) => {
    try {
      renameSync(folder, folder + REMOVING); // a folder that is half removed is no checkpoint
    } catch {
      return false; // somebody else's: it costs room, and nothing else
    }
    removeQuietly(folder + REMOVING);
    return true;
  });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}

/** What cannot be removed does no harm where it is. */
function removeQuietly(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // A disk that fails, or somebody else's file.
  }
}

/** Bytes of a tower's values. */
export function valuesBytes(entries: readonly Entry[]): number {
  return entries.reduce((total, { shape }) => total + bytesOf(shape), 0);
}
