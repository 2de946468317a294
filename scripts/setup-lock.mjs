/**
 * A lock between processes that set up the same clone. The system holds it (`flock`): it ends with the process that has
 * it, however that ends, on whatever host or in whatever container. Node.js cannot ask for it, and koffi is not there
 * yet: a program that every system has locks the open file for us, and the lock is that of the file, which stays open
 * here. The file's text says who has the lock, for a message alone.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';

const AGAIN_MS = 200;

/** Each locks descriptor 3 without waiting, and ends with 1 and without a word where another has it. */
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
 * Does `action` while no other process does; waits for one that does.
 * @param action gets the descriptor of the lock. A program that is started with it open keeps the lock until it ends, also
 * when this process is killed meanwhile.
 * @param told.waiting hears, once, who is waited for.
 * @param told.without hears why there is no lock, where there is none: the action is done all the same.
 */
export async function holdingLock(file, { waiting, without }, action) {
  fs.mkdirSync(dirname(file), { recursive: true });
  for (let isTold = false; ; ) {
    const descriptor = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT);
    try {
      const { isLocked, reason } = tryLock(descriptor);
      if (reason !== undefined) without(reason);
      // Somebody may have removed dist/ after the file was opened here: then a lock of it keeps nobody out.
      if (reason !== undefined || (isLocked && isSameFile(descriptor, file))) {
        sign(descriptor);
        return await action(descriptor);
      }
      if (!isLocked && !isTold) {
        waiting(ownerIn(file));
        isTold = true;
      }
    } finally {
      fs.closeSync(descriptor);
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

function tryLock(descriptor) {
  let reason;
  for (const [program, ...args] of PROGRAMS) {
    const stdio = ['ignore', 'ignore', 'pipe', descriptor];
    const { status, error, stderr } = spawnSync(program, args, { stdio, encoding: 'utf8' });
    if (error?.code === 'ENOENT') continue; // it is not here
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

function sign(descriptor) {
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
