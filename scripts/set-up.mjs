/** Sets up a clone. Only one process at a time installs packages and compiles, and none while a long command runs. */
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, isBuilt } from './build.mjs';
import { holdingLock, ownerIfLocked } from './clone-lock.mjs';
import { install, isInstalled } from './packages.mjs';
import { SetupFailure, say } from './processes.mjs';

/**
 * Installs packages and compiles, if needed.
 * @param root the clone.
 * @param isLong whether this process may run for long. Then no other process changes the packages or `dist` until it ends.
 * @throws SetupFailure if something has to be changed while a long command runs.
 */
export async function setUp(root, { isLong }) {
  for (;;) {
    if (!isReady(root)) await changeClone(root);
    if (!isLong) return;
    const release = await announce(root);
    // Another process may have begun to compile before it could see the announcement.
    if (isReady(root)) {
      process.once('exit', release);
      return;
    }
    release();
  }
}

function isReady(root) {
  return isInstalled(root) && isBuilt(root);
}

async function changeClone(root) {
  try {
    await holdingSetUpLock(root, async (lock) => {
      refuseNoexec(root);
      const options = { title: 'packages', npmFolder: npmFolder(root), lock };
      const beforeChange = () => refuseIfInUse(root, 'install packages');
      // Another process may have done it in the meantime.
      if (!isInstalled(root)) await install(root, { ...options, beforeChange });
      if (!isBuilt(root)) await build(root, lock, () => refuseIfInUse(root, 'compile the changed sources'));
    });
  } catch (error) {
    if (!error?.syscall) throw error;
    throw new SetupFailure(
      `Cannot set up this clone: ${error.message}; free some disk space, or make ${root} writable for you`,
    );
  }
}

/** Calls `action` with the descriptor of the lock while no other process sets up the clone. */
export function holdingSetUpLock(root, action) {
  const hooks = {
    onWaiting: (owner) => say(`waiting for ${owner}, which sets up this clone`),
    onUnlockable: (reason) =>
      say(`this clone cannot be locked: ${reason}; make sure that no other process sets it up at the same time`),
  };
  return holdingLock(join(root, 'dist', '.alexnet-split-setup'), hooks, action);
}

/** A folder for npm only, under the set-up's lock. */
export const npmFolder = (root) => join(root, 'dist', '.alexnet-split-npm');

/** The compiler is a program, and sharp and koffi are machine code. */
function refuseNoexec(root) {
  const probe = join(root, 'dist', '.alexnet-split-probe');
  fs.writeFileSync(probe, '', { mode: 0o755 });
  try {
    fs.accessSync(probe, fs.constants.X_OK);
  } catch {
    throw new SetupFailure(
      `Cannot set up this clone: the system runs no programs from the disk of ${root}, which is probably mounted noexec; move the clone to another disk, or have that one mounted with exec`,
    );
  } finally {
    fs.rmSync(probe);
  }
}

/** Each long command that runs from the clone keeps a file here locked. */
const usersFolder = (root) => join(root, 'dist', '.alexnet-split-running');

/** Keeps other processes from changing the clone. @returns a function that ends this. */
async function announce(root) {
  const folder = usersFolder(root);
  try {
    fs.mkdirSync(folder, { recursive: true });
    const { lockFile } = await import(pathToFileURL(join(root, 'dist/src/native/install/file-lock.js')).href);
    for (;;) {
      const lock = lockFile(join(folder, randomUUID()));
      if (lock) return lock.release;
      // Another process, which is about to compile, has just tested this lock. Try again.
    }
  } catch {
    // `dist` is read-only, or koffi does not load. A command that needs these prints what is wrong.
    return () => {};
  }
}

/**
 * Throws if a long command runs from the clone, this one included.
 * The caller has removed its stamp before. So a command that is announced later finds that the clone is not ready.
 */
export function refuseIfInUse(root, action) {
  const folder = usersFolder(root);
  for (const name of fs.existsSync(folder) ? fs.readdirSync(folder) : []) {
    const owner = ownerIfLocked(join(folder, name));
    if (owner === undefined) fs.rmSync(join(folder, name), { force: true });
    else
      throw new SetupFailure(
        `Cannot ${action}: ${owner} runs from this clone; wait for its end, stop it, or work in a second clone (git worktree add ../second)`,
      );
  }
}
