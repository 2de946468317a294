/**
 * A folder in the cache in which a library is put together before one rename puts it in its place. Whoever has it holds
 * the lock of a file beside it: one process fetches a library at a time, and what a killed one left is removed by the next.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { holderIn, lockFile, nameOf } from './file-lock.js';

export interface WorkFolder {
  path: string;
  /** The lock's descriptor, for programs that write into the folder; undefined where there is no lock. */
  lock: number | undefined;
  /** Removes the folder and lets the next one in. */
  close(): void;
}

const AGAIN_MS = 200;

/**
 * Makes a work folder for `name` in the cache, and the cache, as soon as no other process has one for that name.
 * @param say takes a line: who is waited for, or that the cache cannot be locked.
 * @throws Error of the disk.
 */
export async function openWorkFolder(cache: string, name: string, say: (line: string) => void): Promise<WorkFolder> {
  mkdirSync(cache, { recursive: true });
  const file = join(cache, `.${name}.lock`);
  let lock = lockFile(file);
  if (!lock) say(`waiting for ${nameOf(holderIn(file))}, which fetches TensorFlow`);
  for (; !lock; lock = lockFile(file)) await sleep(AGAIN_MS);
  const { reason, descriptor, release } = lock;
  const prefix = `.partial~${name}~`;
  if (reason !== undefined)
    say(`${cache} cannot be locked: ${reason}; see to it that no other process fetches TensorFlow into it meanwhile`);
  else for (const left of readdirSync(cache).filter((each) => each.startsWith(prefix))) remove(join(cache, left));
  try {
    const path = mkdtempSync(join(cache, prefix));
    return {
      path,
      lock: descriptor,
      close: () => {
        remove(path);
        release();
      },
    };
  } catch (error) {
    release();
    throw error;
  }
}

function remove(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  } catch {
    // A program that was killed a moment ago still wrote there: the next process removes the rest.
  }
}
