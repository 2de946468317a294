/** Temporary folders for what is fetched, and their removal when a signal ends the process. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { END_SIGNALS, type EndSignal, isIgnored, signalExitCode } from '../../end-signals.js';
import { makeFolders } from '../../safe-write.js';
import { describeHolder, holderIn, lockFile } from './file-lock.js';

/**
 * A temporary folder, whose content a rename later moves into place beside it. Its owner holds a file lock, so only one
 * process at a time fetches the same thing, and the next one removes what a killed process left.
 */
export interface WorkFolder {
  path: string;
  /** The lock's descriptor, for programs that write into the folder; undefined without a lock. */
  lock: number | undefined;
  close(): void;
}

const POLL_MS = 200;

/**
 * Makes a work folder for `name` in a folder, and that folder itself. Waits while another process has one for that name.
 * @param what is fetched, for messages.
 */
export async function openWorkFolder(
  parent: string,
  name: string,
  what: string,
  say: (line: string) => void,
): Promise<WorkFolder> {
  makeFolders(parent);
  const file = join(parent, `.${name}.lock`);
  let lock = lockFile(file);
  if (!lock) say(`waiting for ${describeHolder(holderIn(file))}, which fetches ${what}`);
  for (; !lock; lock = lockFile(file)) await sleep(POLL_MS);
  const { reason, descriptor, release } = lock;
  const prefix = `.partial~${name}~`;
  if (reason !== undefined)
    say(
      `${parent} cannot be locked: ${reason}; make sure that no other process fetches ${what} into it in the meantime`,
    );
  else for (const left of readdirSync(parent).filter((each) => each.startsWith(prefix))) remove(join(parent, left));
  try {
    const path = mkdtempSync(join(parent, prefix));
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

/** Runs `action` before a signal ends the process. @returns a function that removes the signal handlers. */
export function onEndSignal(action: () => void): () => void {
  const signals = END_SIGNALS.filter((signal) => !isIgnored(signal));
  const onSignal = (signal: EndSignal) => {
    action(); // before the handlers go: Ctrl-C comes twice through npm, and must not interrupt this
    stop();
    // For SIGUSR1 Node.js would open a port for a debugger.
    if (signal === 'SIGUSR1') process.exit(signalExitCode(signal));
    process.kill(process.pid, signal);
  };
  const stop = () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  return stop;
}
