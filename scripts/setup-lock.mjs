/** A lock between processes that set up the same clone: a file with its owner's process number, touched while it lives. */
import fs from 'node:fs';
import { dirname } from 'node:path';

const TOUCH_MS = 5_000;
/** A process number may have gone to another program: an owner that is silent for so long is dead. */
const SILENT_MS = 60_000;

/**
 * Does `action` while no other process does; waits for one that does, but not for one that was killed.
 * @param waiting is told, once, the number of the process that is waited for.
 */
export async function holdingLock(file, waiting, action) {
  fs.mkdirSync(dirname(file), { recursive: true });
  for (let told = false; !tryLock(file); ) {
    const owner = readOwner(file);
    if (owner === undefined) continue; // let go just now
    if (isStale(file, owner)) {
      breakLock(file, owner);
      continue;
    }
    if (!told) waiting(owner);
    told = true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const timer = setInterval(() => touch(file), TOUCH_MS);
  try {
    return await action();
  } finally {
    clearInterval(timer);
    if (readOwner(file) === String(process.pid)) fs.rmSync(file);
  }
}

function tryLock(file) {
  // A link appears with its content, where a new file would be empty for a moment.
  const draft = `${file}.${process.pid}`;
  fs.writeFileSync(draft, String(process.pid));
  try {
    fs.linkSync(draft, file);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  } finally {
    fs.rmSync(draft);
  }
}

function isStale(file, owner) {
  const touched = fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  if (touched !== undefined && Date.now() - touched > SILENT_MS) return true;
  try {
    process.kill(Number(owner), 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

/** Renames the lock before it removes it: of two processes that find it stale, one does. */
function breakLock(file, owner) {
  const aside = `${file}.${process.pid}.stale`;
  try {
    fs.renameSync(file, aside);
  } catch {
    return; // the other one did
  }
  // A new owner may have come between the look and the rename: it gets its lock back.
  if (readOwner(aside) === owner) fs.rmSync(aside);
  else fs.renameSync(aside, file);
}

function touch(file) {
  try {
    fs.utimesSync(file, new Date(), new Date());
  } catch {
    // Somebody removed dist/: nothing to hold any more.
  }
}

function readOwner(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
