/**
 * A temporary folder in the cache, for a library that one rename later puts in its place. Its owner holds a file lock, so
 * that only one process at a time fetches a library, and the next one removes what a killed process left.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeHolder, holderIn, lockFile } from './file-lock.js';

export interface WorkFolder {
  path: string;
  /** The lock's descriptor, for programs that write into the folder; undefined without a lock. */
  lock: number | undefined;
  /** Removes the folder and releases the lock. */
  close(): void;
}

const POLL_MS = 200;

/**
 * Makes a work folder for `name` in the cache, and the cache itself. Waits while another process has one for that name.
 * @param say takes a line that says which process is waited for, or that the cache cannot be locked.
 * @throws Error of the disk.
 */
export async function openWorkFolder(cache: string, name: string, say: (line: string) => void): Promise<WorkFolder> {
  mkdirSync(cache, { recursive: true });
  const file = join(cache, `.${name}.lock`);
  let lock = lockFile(file);
  if (!lock) say(`waiting for ${describeHolder(holderIn(file))}, which fetches TensorFlow`);
  for (; !lock; lock = lockFile(file)) await sleep(POLL_MS);
  const { reason, descriptor, release } = lock;
  const prefix = `.partial~${name}~`;
  if (reason !== undefined)
    say(
      `${cache} cannot be locked: ${reason}; make sure that no other process fetches TensorFlow into it in the meantime`,
    );
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
    // A program that was just killed was still writing there: the next process removes the rest.
  }
}
