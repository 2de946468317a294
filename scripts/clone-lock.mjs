/**
 * Locks of files between processes that use the same clone. The system holds a lock (`flock`): it ends with the process that
 * has it, however that process ends, and also between hosts and containers. Node.js has no call for it, and koffi is not
 * installed yet, so a program that every system has locks the open file for us. The lock belongs to the open file, which
 * stays open here. The file's text says who has the lock; it is only for messages.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';

const RETRY_MS = 200;

/** Each locks descriptor 3 without waiting. Where another process has the lock, it prints nothing and ends with 1. */
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
 * @param onWaiting called once with the lock's owner, where it has one.
 * @param onUnlockable called with the reason where files cannot be locked here; `action` is called all the same.
 * @param action gets the descriptor of the lock. A program that is started with it open keeps the lock until it ends,
 * also when this process is killed before.
 */
export async function holdingLock(file, { onWaiting, onUnlockable }, action) {
  fs.mkdirSync(dirname(file), { recursive: true });
  for (let isWaiting = false; ; ) {
    const descriptor = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT);
    try {
      const { isLocked, reason } = tryLock(descriptor);
      if (reason !== undefined) onUnlockable(reason);
      // Somebody may have removed dist/ after this process opened the file: then the lock keeps nobody out.
      if (reason !== undefined || (isLocked && isSameFile(descriptor, file))) {
        writeOwner(descriptor);
        return await action(descriptor);
      }
      if (!isLocked && !isWaiting) {
        onWaiting(ownerIn(file));
        isWaiting = true;
      }
    } finally {
      fs.closeSync(descriptor);
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** Who has a file's lock; undefined where nobody has it, or where that cannot be found out. */
export function ownerIfLocked(file) {
  let descriptor;
  try {
    descriptor = fs.openSync(file, 'r+');
    const { isLocked, reason } = tryLock(descriptor);
    return isLocked || reason !== undefined ? undefined : ownerIn(file);
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

function ownerIn(file) {
  try {
    const { pid, host } = JSON.parse(fs.readFileSync(file, 'utf8'));
    return `process ${Number(pid)} on ${String(host).replace(/[^\w.-]/g, '')}`;
  } catch {
    return 'another process';
  }
}
