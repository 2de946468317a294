/**
 * Locks of files between processes that use the same clone. A lock of the system (`flock`) ends with its process, however
 * that process ends, and works between hosts and containers. Node.js has no call for it, and koffi is not installed yet, so
 * another program locks the file that is open here: the lock belongs to the open file. The text of the file names the
 * owner, only for messages.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';

const RETRY_MS = 200;

const UNKNOWN_OWNER = 'another process';

/** Each locks descriptor 3 without waiting. If another process has the lock, it ends with 1 and prints nothing. */
const PROGRAMS = [
  ['flock', '-n', '3'],
  ['perl', '-e', 'open(F, "+<&=3") or die "$!\\n"; flock(F, 6) or ($!{EWOULDBLOCK} ? exit 1 : die "$!\\n")'],
  [
    'python3',
    '-c',
    `import fcntl, sys
try: fcntl.flock(3, 6)
except BlockingIOError: sys.exit(1)
except OSError as error: sys.exit(error.strerror)`,
  ],
];

/**
 * Waits until no other process has the lock, and calls `action` with the lock held.
 * @param onWaiting called once with the owner, if another process has the lock.
 * @param onUnlockable called with the reason if files cannot be locked here. `action` is called nevertheless.
 * @param action gets the descriptor of the lock. A program that inherits the descriptor keeps the lock until it ends, even if
 * this process is killed earlier.
 */
export async function holdingLock(file, { onWaiting, onUnlockable }, action) {
  fs.mkdirSync(dirname(file), { recursive: true });
  for (let attempt = 1, isWaiting = false; ; attempt++) {
    const descriptor = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT);
    try {
      const { isLocked, reason } = tryLock(descriptor);
      if (reason !== undefined) onUnlockable(reason);
      // If dist/ was removed after this process opened the file, other processes lock another file.
      if (reason !== undefined || (isLocked && isSameFile(descriptor, file))) {
        writeOwner(descriptor);
        return await action(descriptor);
      }
      if (!isLocked && !isWaiting) {
        const owner = ownerIn(file);
        // A process that has just taken the lock writes its name a moment later. Another program never does.
        if (owner !== undefined || attempt > 1) {
          onWaiting(owner ?? UNKNOWN_OWNER);
          isWaiting = true;
        }
      }
    } finally {
      fs.closeSync(descriptor);
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** Returns who has the lock of a file. Returns undefined if nobody has it, or if files cannot be locked here. */
export function ownerIfLocked(file) {
  let descriptor;
  try {
    descriptor = fs.openSync(file, 'r+');
    const { isLocked, reason } = tryLock(descriptor);
    return isLocked || reason !== undefined ? undefined : (ownerIn(file) ?? UNKNOWN_OWNER);
  } catch {
    return undefined; // it has been removed
  } finally {
    if (descriptor !== undefined) fs.closeSync(descriptor);
  }
}

/** @returns whether this process has the lock now, or the reason why files cannot be locked. */
function tryLock(descriptor) {
  let reason;
  for (const [program, ...args] of PROGRAMS) {
    const stdio = ['ignore', 'ignore', 'pipe', descriptor];
    const { status, error, stderr } = spawnSync(program, args, { stdio, encoding: 'utf8' });
    if (error?.code === 'ENOENT') continue; // it is not installed
    if (error) {
      reason ??= `${program} cannot be run (${error.code})`;
      continue;
    }
    if (status === 0) return { isLocked: true };
    const said = stderr.trim().split('\n').at(-1);
    if ((status === 1 && said === '') || status === null) return { isLocked: false };
    return { reason: `${program} says "${said}"` };
  }
  return { reason: reason ?? `there is none of ${PROGRAMS.map(([program]) => program).join(', ')} on the PATH` };
}

function isSameFile(descriptor, file) {
  const [own, named] = [fs.fstatSync(descriptor), fs.statSync(file, { throwIfNoEntry: false })];
  return named !== undefined && own.ino === named.ino && own.dev === named.dev;
}

function writeOwner(descriptor) {
  fs.ftruncateSync(descriptor);
  fs.writeSync(descriptor, `${JSON.stringify({ pid: process.pid, host: hostname() })}\n`, 0);
}

/** Returns the owner that the file names. Returns undefined if it names none. */
function ownerIn(file) {
  try {
    const { pid, host } = JSON.parse(fs.readFileSync(file, 'utf8'));
    return `process ${Number(pid)} on ${String(host).replace(/[^\w.-]/g, '')}`;
  } catch {
    return undefined;
  }
}
