/**
 * Trouble of the system while images are read: too many open files, a disk or a server that does not answer. It says
 * nothing of the image, so no image counts as unreadable for it. It is waited for, and then the work ends.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { DataError, systemMessage } from '../../errors.js';

/** The system did not let an image be read, for no fault of the image. */
export class SystemError extends DataError {
  override name = 'SystemError';
}

/** What the system says of a file itself; whatever else it says is trouble of its own. */
const OF_FILES: ReadonlySet<string> = new Set([
  ...['ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES', 'EPERM', 'ELOOP', 'ENAMETOOLONG', 'EILSEQ', 'EINVAL'],
  ...['EFBIG', 'EOVERFLOW', 'ENXIO', 'ENODEV', 'ENOTSUP', 'EOPNOTSUPP'],
]);

/** Of a file whose folder is gone, and of a shard that does not hold what it held: no code of the system's. */
export const GONE = 'EGONE';

/** Counted, not timed: a process that is suspended meanwhile has as many tries. */
const WAITS_MS = [50, 100, 200, 400, 800, 1600, 3200, 6400, 12_800];

const SERVER = 'check the file server and the network, and mount the folder again';
const ADVICE: Readonly<Record<string, string>> = {
  EMFILE: 'let the process have more open files with ulimit -n',
  ENFILE: 'the whole machine has too many open files: end what holds them, or raise fs.file-max',
  ENOMEM: 'make memory free, or take fewer --workers',
  ENOBUFS: 'make memory free, or take fewer --workers',
  [GONE]: 'mount its disk again, or bring the files back',
  ...Object.fromEntries(
    ['ESTALE', 'ETIMEDOUT', 'ENOTCONN', 'EHOSTDOWN', 'EHOSTUNREACH', 'ENETDOWN', 'ENETUNREACH', 'ECONNRESET'].map(
      (code) => [code, SERVER],
    ),
  ),
};

/** Whether an error is the system's, and no word on the file. */
export function isOfSystem(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) && !OF_FILES.has(code);
}

/** An error as the system's are. */
export function systemError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/**
 * Does `attempt`, and again while the system has trouble: ten times within 26 seconds.
 * @param path the file, as far as people know it.
 * @param signal ends the waiting; what is thrown then is nobody's.
 * @throws SystemError when it lasts; what else `attempt` throws.
 */
export async function patiently<T>(
  path: () => string,
  attempt: () => T | Promise<T>,
  { signal, waitsMs = WAITS_MS }: { signal?: AbortSignal | undefined; waitsMs?: readonly number[] } = {},
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (!isOfSystem(error)) throw error;
      const waitMs = waitsMs[tries - 1];
      if (waitMs === undefined && error instanceof SystemError) throw error;
      if (waitMs === undefined) throw lasting(path(), error as NodeJS.ErrnoException, tries);
      await sleep(waitMs, undefined, signal ? { signal } : undefined);
    }
  }
}

/** The system's trouble with a place that is looked at. It has the system's code, so that it can be waited for. */
export function troubleAt(path: string, error: NodeJS.ErrnoException): SystemError {
  const { code } = error;
  const message = `Cannot look at ${path}: the system refused it (${systemMessage(error)}), expected files and folders that can be read; ${adviceOn(code)}, then run it again`;
  return Object.assign(new SystemError(message, { cause: error }), { code });
}

function adviceOn(code: string | undefined): string {
  return ADVICE[code ?? ''] ?? 'check the disk (the end of `dmesg` may say more)';
}

function lasting(path: string, error: NodeJS.ErrnoException, tries: number): SystemError {
  const advice = adviceOn(error.code);
  return new SystemError(
    `Cannot read ${path}: the system refused it ${tries} times (${systemMessage(error)}), which is no fault of the image, expected files that can be read; ${advice}, then run it again: a training goes on with --resume`,
    { cause: error },
  );
}
