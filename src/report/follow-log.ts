/** Reads a log while it grows. It asks the file system again and again, because network disks report no changes. */
import fs, { constants } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventName } from '../log.js';
import { openNoFollow } from '../safe-write.js';
import { type Line, LOG_START, linesOf, type Parsed, type Position, parseLine } from './read-log.js';

const POLL_MS = 500;
/** By its beginning, a log is told from another one in its place: the first line has a time and settings. */
const BEGINNING_BYTES = 256;
const CHUNK_BYTES = 2 ** 20;
/** Longer than the lines that are searched for. */
const MAX_FOUND_BYTES = 2 ** 16;

/** What is found. `idle`: all is read for now. `missing`: there is no file at present. `restart`: another log begins. */
export type Followed =
  | { kind: 'lines'; lines: readonly Line[] }
  | { kind: 'idle' }
  | { kind: 'missing' }
  | { kind: 'restart' };

export interface FollowOptions {
  /** Ends the reading. */
  signal: AbortSignal;
  /** Where reading begins; it is moved behind the lines that were read. */
  position?: Position;
  pollMs?: number;
}

/**
 * Yields the whole lines of a log from a position on, and goes on with those that are added, until the signal is given. If the
 * file is replaced, or truncated to less than what was read, it yields `restart` and begins with the first line again. After
 * each reading comes `idle` or `missing`, so that the caller can do something regularly. The memory does not grow with the log.
 * @throws SplitError if the file cannot be read.
 */
export async function* followLog(
  file: string,
  { signal, position = { ...LOG_START }, pollMs = POLL_MS }: FollowOptions,
): AsyncGenerator<Followed> {
  let beginning: Buffer = Buffer.alloc(0);
  while (!signal.aborted) {
    const now = beginningOf(file);
    if (!now) yield { kind: 'missing' };
    else {
      if (now.size < position.bytes || !now.bytes.subarray(0, beginning.length).equals(beginning)) {
        Object.assign(position, LOG_START);
        yield { kind: 'restart' };
      }
      for await (const lines of linesOf(file, position)) {
        if (signal.aborted) return;
        const whole = lines.filter(({ isWhole }) => isWhole);
        if (whole.length > 0) yield { kind: 'lines', lines: whole };
      }
      beginning = now.bytes.subarray(0, position.bytes); // half a line after it may still be cut off
      yield { kind: 'idle' };
    }
    await sleep(pollMs, undefined, { signal }).catch(() => {});
  }
}

/** Undefined if there is no file. Opening makes a network disk look for changes, `stat` alone does not. */
function beginningOf(file: string): { bytes: Buffer; size: number } | undefined {
  let descriptor: number;
  try {
    descriptor = openNoFollow(file, constants.O_RDONLY);
  } catch (error) {
    // Another host may have replaced the file, or its folder.
    if (['ENOENT', 'ENOTDIR', 'ESTALE'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    return { bytes: Buffer.alloc(0), size: Number.POSITIVE_INFINITY }; // reading says what is wrong
  }
  try {
    const { size } = fs.fstatSync(descriptor);
    const bytes = Buffer.alloc(Math.min(size, BEGINNING_BYTES));
    return { bytes: bytes.subarray(0, fs.readSync(descriptor, bytes, 0, bytes.length, 0)), size };
  } finally {
    fs.closeSync(descriptor);
  }
}

/**
 * Finds the last event of a kind before a byte, from the end to the beginning of the log.
 * @returns undefined if there is none.
 */
export async function lastEventBefore(
  file: string,
  name: EventName,
  before: number,
  signal: AbortSignal,
): Promise<Extract<Parsed, { kind: 'event' }> | undefined> {
  const mark = `"event":"${name}"`;
  const handle = await fs.promises.open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (let end = before; end > 0 && !signal.aborted; end -= CHUNK_BYTES - mark.length) {
      const start = Math.max(0, end - CHUNK_BYTES);
      const { bytesRead } = await handle.read(chunk, 0, end - start, start);
      const found = chunk.subarray(0, bytesRead).lastIndexOf(mark);
      if (found < 0) continue;
      const event = await eventAround(handle, start + found);
      return event.kind === 'event' ? event : undefined;
    }
    return undefined;
  } finally {
    await handle.close();
  }
}

/** The event of the line that has this byte. */
async function eventAround(handle: fs.promises.FileHandle, offset: number): Promise<Parsed> {
  const start = Math.max(0, offset - MAX_FOUND_BYTES);
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(2 * MAX_FOUND_BYTES), 0, 2 * MAX_FOUND_BYTES, start);
  const bytes = buffer.subarray(0, bytesRead);
  const from = bytes.lastIndexOf('\n', offset - start) + 1;
  const to = bytes.indexOf('\n', offset - start);
  const text = bytes.toString('utf8', from, to < 0 ? bytes.length : to);
  return parseLine({ number: 0, text, isTooLong: false, isWhole: to >= 0, end: 0 });
}
