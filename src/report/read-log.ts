/** Reads logs: bytes to lines, lines to events. Lines of other versions and lines that are no events are told apart. */
import { closeSync, constants, createReadStream, fstatSync } from 'node:fs';
import { SplitError } from '../errors.js';
import { EVENTS, type EventName, type LogEvent } from '../log.js';
import { parseJson } from '../read-json.js';
import { openNoFollow } from '../safe-write.js';
import { fieldProblem } from './field-problem.js';

/** Longer than any line of a log; a longer one is no event, and is not kept in memory. */
const MAX_LINE_BYTES = 2 ** 20;

const NEWLINE = 10;

/** What a `Date` can hold, ms. */
const MAX_TIME = 8.64e15;

/** One line of a log. Lines count from 1. */
export interface Line {
  number: number;
  /** Without its end; empty if it is too long. */
  text: string;
  isTooLong: boolean;
  /** Whether it ends with a newline. The last line of a killed run may not. */
  isWhole: boolean;
  /** Bytes of the log up to its end. */
  end: number;
}

/** Where reading continues: bytes and whole lines before it. */
export interface Position {
  bytes: number;
  lines: number;
}

export const LOG_START: Position = { bytes: 0, lines: 0 };

/** What a line says. */
export type Parsed =
  | { kind: 'blank' }
  /** `unknown`: paths of fields that this version does not know. */
  | { kind: 'event'; time: number; event: LogEvent; unknown: readonly string[] }
  /** An event that this version does not know. */
  | { kind: 'other'; time: number; name: string }
  | { kind: 'bad'; message: string };

/**
 * Yields the lines of a log from a position to its present end, some at a time. The memory does not grow with the file.
 * @param position is moved behind each whole line that was yielded.
 * @param end bytes; a file that grows is read up to there.
 * @throws SplitError that names the file, if it cannot be read.
 */
export async function* linesOf(file: string, position: Position, end = Number.POSITIVE_INFINITY) {
  const descriptor = forReading(file, () => openNoFollow(file, constants.O_RDONLY));
  let isOpen = true; // the stream closes it, also when the caller ends early
  try {
    const last = Math.min(fstatSync(descriptor).size, end) - 1;
    if (last < position.bytes) return;
    let pieces: Buffer[] = []; // of the line that has begun
    let length = 0;
    const finish = (isWhole: boolean): Line => {
      const isTooLong = length > MAX_LINE_BYTES;
      const bytes = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
      const text = isTooLong ? '' : bytes.toString('utf8').replace(/\r$/, '');
      const line = {
        number: position.lines + 1,
        text,
        isTooLong,
        isWhole,
        end: position.bytes + length + Number(isWhole),
      };
      if (isWhole) Object.assign(position, { bytes: line.end, lines: line.number });
      [pieces, length] = [[], 0];
      return line;
    };
    const options = { fd: descriptor, start: position.bytes, end: last, highWaterMark: 2 ** 18 };
    isOpen = false;
    for await (const chunk of createReadStream('', options) as AsyncIterable<Buffer>) {
      const lines: Line[] = [];
      for (let from = 0; from < chunk.length; ) {
        const newline = chunk.indexOf(NEWLINE, from);
        const piece = chunk.subarray(from, newline < 0 ? chunk.length : newline);
        if (length <= MAX_LINE_BYTES) pieces.push(piece);
        length += piece.length;
        if (newline < 0) break;
        lines.push(finish(true));
        from = newline + 1;
      }
      yield lines;
    }
    if (length > 0) yield [finish(false)];
  } catch (error) {
    throw unreadable(file, error);
  } finally {
    if (isOpen) closeSync(descriptor);
  }
}

/** Reads a line. */
export function parseLine({ text, isTooLong, isWhole }: Line): Parsed {
  if (isTooLong) return { kind: 'bad', message: `it is longer than ${MAX_LINE_BYTES} bytes` };
  if (text.trim() === '') return { kind: 'blank' };
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    if (!isWhole) return { kind: 'bad', message: 'it is cut off' };
    return { kind: 'bad', message: `it is not JSON (${(error as Error).message})` };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { kind: 'bad', message: 'expected an object' };
  }
  // In a log, NaN and the infinities are strings. A text of these letters, such as a run's name, stays one.
  const given = parseFields(value as Record<string, unknown>);
  if (!/"(NaN|-?Infinity)"/.test(text)) return given;
  const revived = parseFields(revive(value) as Record<string, unknown>);
  return revived.kind === 'event' ? revived : given;
}

function parseFields(value: Record<string, unknown>): Parsed {
  // What pino's readers expect: `level` and `msg`. Older logs have neither.
  const { level: _level, msg: _msg, time, event, ...fields } = value;
  if (typeof time !== 'number' || !(Math.abs(time) <= MAX_TIME)) {
    return { kind: 'bad', message: 'time: expected milliseconds since 1970' };
  }
  if (typeof event !== 'string') return { kind: 'bad', message: 'event: expected the name of an event' };
  if (!Object.hasOwn(EVENTS, event)) return { kind: 'other', time, name: event };
  const result = EVENTS[event as EventName].safeParse(fields);
  const unknown: string[] = [];
  for (const issue of result.error?.issues ?? []) {
    if (issue.code !== 'unrecognized_keys') {
      return { kind: 'bad', message: fieldProblem(event, issue, fields) };
    }
    unknown.push(...issue.keys.map((key) => [event, ...issue.path.map(String), key].join('.')));
  }
  return { kind: 'event', time, event: { event, ...fields } as LogEvent, unknown };
}

function revive(value: unknown): unknown {
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value);
  if (Array.isArray(value)) return value.map(revive);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, revive(each)]));
}

/** Yields what the lines of a log say, from its start. @param end bytes. @throws SplitError if it cannot be read. */
export async function* parsedLines(file: string, end?: number): AsyncGenerator<{ parsed: Parsed; line: number }> {
  for await (const lines of linesOf(file, { ...LOG_START }, end)) {
    for (const line of lines) yield { parsed: parseLine(line), line: line.number };
  }
}

/**
 * Yields a log's events in their order; none if there is no log. Skips lines that are not events.
 * @throws SplitError if the log cannot be read.
 */
export async function* eventsIn(file: string): AsyncGenerator<LogEvent> {
  try {
    closeSync(openNoFollow(file, constants.O_RDONLY));
  } catch {
    return;
  }
  for await (const { parsed } of parsedLines(file)) if (parsed.kind === 'event') yield parsed.event;
}

function forReading<T>(file: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw unreadable(file, error);
  }
}

const REASONS: Record<string, string> = {
  ENOENT: 'it is not there, expected the log.ndjson of a run',
  ENOTDIR: 'part of the path is a file, expected the log.ndjson of a run',
  EACCES: 'this user may not read it; change its permissions',
  ENXIO: 'it is not a plain file, expected the log.ndjson of a run',
  ELOOP: 'it is a link, expected a plain file; name the file that it leads to',
  EISDIR: 'it is a folder, expected the log.ndjson of a run',
};

function unreadable(file: string, error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === undefined || error instanceof SplitError) return error;
  return new SplitError(`Cannot read the log ${file}: ${REASONS[code] ?? message}`, { cause: error });
}
