/**
 * One process trains in a run's folder: it locks the file `lock.json` there, whose text says which process it is. The system
 * releases the lock when the process ends, even by SIGKILL, so that neither pids nor file ages matter.
 */
import { accessSync, constants } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError } from '../errors.js';
import { describeHolder, holderIn, isLocked, lockFile } from '../native/install/file-lock.js';
import { runningTimeMs } from '../running-time.js';
import { explained } from './explain.js';

const LOCK_FILE = 'lock.json';

export interface RunLock {
  /** A sentence for the user if the file system has no locks. */
  readonly warning?: string;
  release(): void;
}

/** A process that was just killed has gigabytes to free before it is gone. */
const KILLED_MS = 2_000;
const RETRY_MS = 50;

/**
 * Locks a run's folder; waits a little for a process that may be ending.
 * @throws ConfigError that names the process that trains there; SplitError if the file cannot be written.
 */
export async function lockRun(folder: string): Promise<RunLock> {
  for (const started = runningTimeMs(); ; ) {
    try {
      return lockNow(folder);
    } catch (error) {
      if (!(error instanceof ConfigError) || runningTimeMs() - started > KILLED_MS) throw error;
      await sleep(RETRY_MS);
    }
  }
}

/** The same without waiting. */
export function lockNow(folder: string): RunLock {
  const lock = explained(`lock the run's folder ${folder}`, 'free space, or make it writable', () =>
    lockFile(join(folder, LOCK_FILE)),
  );
  if (!lock) throw lockedBy(folder);
  if (lock.reason === undefined) return lock;
  return {
    ...lock,
    warning: `${folder} cannot be locked: ${lock.reason}; make sure that no other process trains there`,
  };
}

/** The process that trains in the folder; undefined if none does. The file's text counts only while the file is locked. */
export function trainingProcess(folder: string): string | undefined {
  const file = join(folder, LOCK_FILE);
  const holder = holderIn(file);
  // Without a text, a process may be about to lock the file, and testing the lock would get in its way.
  return holder.pid !== undefined && isLocked(file) ? describeHolder(holder) : undefined;
}

/**
 * The process that trains in a folder, for those who only read there. `gone`: it was killed. `unknown`: no process trains there
 * by its lock, or the lock cannot be tested.
 */
export function trainerOf(folder: string): { state: 'runs' | 'gone' | 'unknown'; process: string } {
  const file = join(folder, LOCK_FILE);
  const holder = holderIn(file);
  const process = describeHolder(holder);
  // A process that ends removes the file. Another user's lock cannot be tested.
  if (holder.pid === undefined || !isWritable(file)) return { state: 'unknown', process };
  return { state: isLocked(file) ? 'runs' : 'gone', process };
}

function isWritable(file: string): boolean {
  try {
    accessSync(file, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function lockedBy(folder: string): ConfigError {
  const holder = holderIn(join(folder, LOCK_FILE));
  const { pid, host, since } = holder;
  const stop = pid === undefined ? 'stop it' : `stop it with kill -INT ${pid}${host === hostname() ? '' : ' there'}`;
  return new ConfigError(
    `Cannot train in ${folder}: ${describeHolder(holder)} trains there${since ? ` since ${since}` : ''}, expected one process per run; wait for its end, ${stop}, or choose another --run`,
  );
}
