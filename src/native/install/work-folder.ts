/**
 * A folder of one process's own in the cache, in which a library is put together before one rename puts it in its place.
 * Its name tells whose it is, and a file in it that is touched every few seconds that its owner lives: so what a killed
 * process left is removed by the next one, and a process that fetches what another one is fetching can wait for it.
 */
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface WorkFolder {
  path: string;
  /** Ends the signs of life and removes the folder. */
  close(): void;
}

const PREFIX = '.partial';
const ALIVE = 'alive';
const TOUCH_MS = 5_000;
/** A cache can be shared by machines, whose processes cannot be asked: one that is silent for so long is dead. */
const SILENT_MS = 60_000;

/** Makes a work folder for `name` in the cache, and the cache. @throws Error of the disk. */
export function openWorkFolder(cache: string, name: string): WorkFolder {
  const path = join(cache, [PREFIX, name, Date.now(), hostname(), process.pid].join('~'));
  mkdirSync(path, { recursive: true });
  const touch = () => {
    try {
      writeFileSync(join(path, ALIVE), '');
    } catch {
      // A full disk, or the folder is gone: whoever writes to it next says so.
    }
  };
  touch();
  const timer = setInterval(touch, TOUCH_MS).unref();
  return {
    path,
    close: () => {
      clearInterval(timer);
      remove(path);
    },
  };
}

/**
 * Removes the work folders of dead processes, and waits as long as another process, which began earlier, works on the
 * same name. Two that began in the same moment may both go on: the rename of one of them will find the other's.
 * @param waiting is told, once, which process is waited for.
 */
export async function waitForOthers(
  cache: string,
  name: string,
  mine: WorkFolder,
  waiting: (owner: string) => void,
): Promise<void> {
  for (let told = false; ; told = true) {
    const alive = others(cache, mine).filter((each) => !isDead(each, mine) || remove(each.path));
    const first = alive.find((each) => each.name === name && each.began < began(mine.path));
    if (!first) return;
    if (!told) waiting(`process ${first.pid} on ${first.host}`);
    await sleep(200);
  }
}

interface Other {
  path: string;
  name: string;
  began: number;
  host: string;
  pid: number;
}

function others(cache: string, mine: WorkFolder): Other[] {
  return readdirSync(cache)
    .filter((each) => each.startsWith(`${PREFIX}~`) && join(cache, each) !== mine.path)
    .map((each) => {
      const [, name = '', time, host = '', pid] = each.split('~');
      return { path: join(cache, each), name, began: Number(time), host, pid: Number(pid) };
    });
}

function began(path: string): number {
  return Number(path.split('~').at(-3));
}

function isDead(other: Other, mine: WorkFolder): boolean {
  if (other.host === hostname() && !isRunning(other.pid)) return true;
  // Both times are the disk's, so it does not matter whether the machines' clocks agree.
  return lastSign(mine.path) - lastSign(other.path) > SILENT_MS;
}

function lastSign(path: string): number {
  for (const file of [join(path, ALIVE), path]) {
    const stats = statSync(file, { throwIfNoEntry: false });
    if (stats) return stats.mtimeMs;
  }
  return 0; // it was removed just now
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** @returns false, for nothing is left. */
function remove(path: string): boolean {
  try {
    rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  } catch {
    // A program that was killed a moment ago still wrote there: the next process removes the rest.
  }
  return false;
}
