/** The log of a run, read again. */
import { closeSync, constants, createReadStream } from 'node:fs';
import { EVENTS, type EventName, type LogEvent } from '../log.js';
import { openNoFollow } from '../safe-write.js';

/** More than a line has: of a longer one the rest is not kept in memory. */
const MAX_LINE = 2 ** 20;

/** What JSON has no word for. */
const NUMBERS = ['NaN', 'Infinity', '-Infinity'];

/**
 * The events of a log, in their order. Lines that are none of ours are passed over: a disk that was full, another version.
 * A log that is not there has none.
 */
export async function* eventsIn(file: string): AsyncGenerator<LogEvent> {
  let descriptor: number;
  try {
    descriptor = openNoFollow(file, constants.O_RDONLY);
  } catch {
    return;
  }
  try {
    let line = '';
    for await (const text of createReadStream('', { fd: descriptor, autoClose: false, encoding: 'utf8' })) {
      const lines = (line + text).split('\n');
      line = lines.pop()!.slice(0, MAX_LINE);
      for (const event of lines.map(eventOf)) if (event) yield event;
    }
  } finally {
    closeSync(descriptor);
  }
}

function eventOf(line: string): LogEvent | undefined {
  try {
    const { time: _, event, ...fields } = JSON.parse(line, numbers) as Record<string, unknown>;
    const isOurs = Object.hasOwn(EVENTS, String(event)) && EVENTS[event as EventName].safeParse(fields).success;
    return isOurs ? ({ event, ...fields } as LogEvent) : undefined;
  } catch {
    return undefined;
  }
}

function numbers(_: string, value: unknown): unknown {
  return NUMBERS.includes(value as string) ? Number(value) : value;
}
