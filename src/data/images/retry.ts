/**
 * Retries reads that the system refuses: too many open files, a disk or a file server that does not respond. Such an
 * error says nothing about the image, so no image counts as unreadable because of it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { DataError, systemMessage } from '../../errors.js';

/** The system refuses reads. The image is not at fault. */
export class SystemError extends DataError {
  override name = 'SystemError';
}

/** Codes that describe the file itself. Every other code is a fault of the system. */
const FILE_CODES: ReadonlySet<string> = new Set([
  ...['ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES', 'EPERM', 'ELOOP', 'ENAMETOOLONG', 'EILSEQ', 'EINVAL'],
  ...['EFBIG', 'EOVERFLOW', 'ENXIO', 'ENODEV', 'ENOTSUP', 'EOPNOTSUPP'],
]);

/** Our own code: a file whose folder is gone, or a shard that is gone or has become shorter. */
export const GONE = 'EGONE';

/** Ten attempts within 26 seconds. They are counted, so that a suspended process gets as many. */
const WAITS_MS = [50, 100, 200, 400, 800, 1600, 3200, 6400, 12_800];

const ADVICE: readonly [codes: RegExp, advice: string][] = [
  [/^EMFILE$/, 'let the process have more open files with ulimit -n'],
  [/^ENFILE$/, 'the whole machine has too many open files: end what holds them, or raise fs.file-max'],
  [/^ENOMEM$|^ENOBUFS$/, 'free some memory, or use fewer --workers'],
  [/^EGONE$/, 'mount its disk again, or restore the files'],
  [
    /^(ESTALE|ETIMEDOUT|ENOTCONN|EHOSTDOWN|EHOSTUNREACH|ENETDOWN|ENETUNREACH|ECONNRESET)$/,
    'check the file server and the network, and mount the folder again',
  ],
  [/^/, 'check the disk (the end of `dmesg` may say more)'],
];

const adviceFor = (code = '') => ADVICE.find(([codes]) => codes.test(code))![1];

/** Whether an error is a fault of the system and not of the file. */
export function isSystemFault(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) && !FILE_CODES.has(code);
}

export function errorWithCode(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** A system fault while a folder is listed. It keeps the code, so that {@link retryRead} retries it. */
export function listingFault(path: string, error: NodeJS.ErrnoException): SystemError {
  const { code } = error;
  const message = `Cannot look at ${path}: the system refused it (${systemMessage(error)}), expected files and folders that can be read; ${adviceFor(code)}, then run it again`;
  return Object.assign(new SystemError(message, { cause: error }), { code });
}

/**
 * Calls `read`, and again after a pause while the system refuses it.
 * @throws SystemError after the last attempt; every other error of `read` at once; AbortError once the signal is aborted.
 */
export async function retryRead<T>(
  path: string,
  read: () => T | Promise<T>,
  { signal, waitsMs = WAITS_MS }: { signal?: AbortSignal | undefined; waitsMs?: readonly number[] } = {},
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await read();
    } catch (error) {
      const waitMs = waitsMs[attempt - 1];
      if (!isSystemFault(error) || (waitMs === undefined && error instanceof SystemError)) throw error;
      if (waitMs === undefined) {
        const { code } = error as NodeJS.ErrnoException;
        throw new SystemError(
          `Cannot read ${path}: the system refused it ${attempt} times (${systemMessage(error as Error)}), the image is not the cause, expected files that can be read; ${adviceFor(code)}, then run it again: a training continues with --resume`,
          { cause: error },
        );
      }
      await sleep(waitMs, undefined, signal ? { signal } : undefined);
    }
  }
}
