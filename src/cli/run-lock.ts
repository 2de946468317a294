/**
 * One process trains in a run's folder: it holds the lock of the file `lock.json` there, whose text says who it is. The
 * system gives the lock up when the process ends, also by SIGKILL, so that no pid and no age of a file has to be judged.
 */
import { closeSync, constants, fstatSync, ftruncateSync, lstatSync, unlinkSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError, cut, SplitError } from '../errors.js';
import { tryLock } from '../native/c/file-lock.js';
import { openOwn } from '../own-file.js';
import { readJson } from '../read-json.js';
import { runningNow } from '../running-time.js';

const LOCK_FILE = 'lock.json';
/** Far more than a {@link Holder} has. */
const MAX_BYTES = 4096;
/** `HOST_NAME_MAX`, where it is largest. */
const MAX_NAME = 255;

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
  for (const started = runningNow(); ; ) {
    try {
      return lockNow(folder);
    } catch (error) {
      if (!(error instanceof ConfigError) || runningNow() - started > GONE_MS) throw error;
      await sleep(AGAIN_MS);
    }
  }
}

/** The same without waiting. */
export function lockNow(folder: string): RunLock {
  const file = join(folder, LOCK_FILE);
  for (;;) {
    const descriptor = guarded(folder, () => openOwn(file, constants.O_RDWR | constants.O_CREAT));
    try {
      if (!tryLock(descriptor)) throw heldBy(folder);
    } catch (error) {
      closeSync(descriptor);
      if (error instanceof ConfigError) throw error;
      const { message } = error as Error;
      return {
        warning: `${folder} cannot be locked: ${message}; see to it that no other process trains there`,
        release() {},
      };
    }
    // Whoever had it may have removed the file after it was opened here: then a lock of it keeps nobody out.
    if (isSameFile(descriptor, file)) return held(folder, file, descriptor);
    closeSync(descriptor);
  }
}

/** Of a folder: the process that trains there, as far as it can be told. What it says of itself counts while it is locked. */
export function whoTrains(folder: string): string | undefined {
  const { pid, host } = holderIn(folder);
  // A file without a text may be about to be locked, which this must not get in the way of.
  return pid !== undefined && isLocked(join(folder, LOCK_FILE)) ? `process ${pid} on ${host}` : undefined;
}

/** Whether somebody holds a file's lock; not where that cannot be found out. */
function isLocked(file: string): boolean {
  let descriptor: number | undefined;
  try {
    descriptor = openOwn(file, constants.O_RDWR); // NFS locks no file that is open to be read alone
    return !tryLock(descriptor);
  } catch {
    return false;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function held(folder: string, file: string, descriptor: number): RunLock {
  const holder = { pid: process.pid, host: hostname(), since: new Date().toISOString() };
  try {
    guarded(folder, () => {
      ftruncateSync(descriptor, 0);
      writeSync(descriptor, `${JSON.stringify(holder)}\n`, 0);
    });
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  return {
    release() {
      // The lock goes last: who has opened the file by then finds that it is removed.
      try {
        if (isSameFile(descriptor, file)) unlinkSync(file);
      } catch {
        // A file that stays keeps nobody out.
      }
      closeSync(descriptor);
    },
  };
}

function isSameFile(descriptor: number, file: string): boolean {
  const [own, named] = [fstatSync(descriptor), lstatSync(file, { throwIfNoEntry: false })];
  return named !== undefined && own.ino === named.ino && own.dev === named.dev;
}

interface Holder {
  pid?: number;
  host?: string;
  since?: string;
}

/** What the file says; nothing where there is none, or its text is still on its way. */
function holderIn(folder: string): Holder {
  try {
    const said = readJson(join(folder, LOCK_FILE), { limit: MAX_BYTES });
    const { pid, host, since } = said as Record<string, unknown>;
    if (!Number.isSafeInteger(pid) || (pid as number) < 1 || typeof host !== 'string' || typeof since !== 'string')
      return {};
    return { pid: pid as number, host: cut(host, MAX_NAME), since: cut(since) };
  } catch {
    return {};
  }
}

function heldBy(folder: string): ConfigError {
  const { pid, host, since } = holderIn(folder);
  const who = pid === undefined ? 'another process' : `process ${pid} on ${host}`;
  const stop = pid === undefined ? 'stop it' : `stop it with kill -INT ${pid}${host === hostname() ? '' : ' there'}`;
  return new ConfigError(
    `Cannot train in ${folder}: ${who} trains there${since ? ` since ${since}` : ''}, expected one process a run; wait for its end, ${stop}, or choose another --run`,
  );
}

function guarded<T>(folder: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw new SplitError(
      `Cannot lock the run's folder ${folder}: ${(error as Error).message}; make room, or let it be written to`,
      { cause: error },
    );
  }
}
