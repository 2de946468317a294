/**
 * One process trains in a run's folder: it holds the lock of the file `lock.json` there, whose text says who it is. The
 * system gives the lock up when the process ends, also by SIGKILL, so that no pid and no age of a file has to be judged.
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError, SetupError, SplitError } from '../errors.js';
import { describeHolder, holderIn, isLocked, lockFile } from '../native/install/file-lock.js';
import { runningTimeMs } from '../running-time.js';

const LOCK_FILE = 'lock.json';
/** A lock that is held. */
export interface RunLock {
  /** Why there is none, on a file system without locks: a sentence for the user. */
  readonly warning?: string;
  release(): void;
}

/** How long a process that was killed may take to be gone: it has gigabytes to give back. */
const GONE_MS = 2_000;
const AGAIN_MS = 50;

/**
 * Locks a run's folder, in which a process that was just killed may be ending yet.
 * @throws ConfigError that names the process that trains there; SplitError when the disk does not take the file.
 */
export async function lockRun(folder: string): Promise<RunLock> {
  for (const started = runningTimeMs(); ; ) {
    try {
      return lockNow(folder);
    } catch (error) {
      if (!(error instanceof ConfigError) || runningTimeMs() - started > GONE_MS) throw error;
      await sleep(AGAIN_MS);
    }
  }
}

/** The same without waiting. */
export function lockNow(folder: string): RunLock {
  const lock = guarded(folder, () => lockFile(join(folder, LOCK_FILE)));
  if (!lock) throw heldBy(folder);
  if (lock.reason === undefined) return lock;
  const warning = `${folder} cannot be locked: ${lock.reason}; see to it that no other process trains there`;
  return { ...lock, warning };
}

/** Of a folder: the process that trains there, as far as it can be told. What it says of itself counts while it is locked. */
export function whoTrains(folder: string): string | undefined {
  const file = join(folder, LOCK_FILE);
  const holder = holderIn(file);
  // A file without a text may be about to be locked, which this must not get in the way of.
  return holder.pid !== undefined && isLocked(file) ? describeHolder(holder) : undefined;
}

function heldBy(folder: string): ConfigError {
  const holder = holderIn(join(folder, LOCK_FILE));
  const { pid, host, since } = holder;
  const stop = pid === undefined ? 'stop it' : `stop it with kill -INT ${pid}${host === hostname() ? '' : ' there'}`;
  return new ConfigError(
    `Cannot train in ${folder}: ${describeHolder(holder)} trains there${since ? ` since ${since}` : ''}, expected one process a run; wait for its end, ${stop}, or choose another --run`,
  );
}

function guarded<T>(folder: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof SetupError) throw error;
    throw new SplitError(
      `Cannot lock the run's folder ${folder}: ${(error as Error).message}; make room, or let it be written to`,
      { cause: error },
    );
  }
}
