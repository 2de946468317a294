/** Reads the log of a run. */
import { closeSync, constants, createReadStream } from 'node:fs';
import { EVENTS, type EventName, type LogEvent } from '../log.js';
import { openNoFollow } from '../safe-write.js';

/** Longer than any line of a log; the rest of a longer one is not kept in memory. */
const MAX_LINE = 2 ** 20;

/**
 * Yields a log's events in their order; none if there is no log. Skips lines that are not valid events, such as those of
 * another version, or half a line from a full disk.
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
      for (const event of lines.map(parseEvent)) if (event) yield event;
    }
  } finally {
    closeSync(descriptor);
  }
}

function parseEvent(line: string): LogEvent | undefined {
  try {
    const {
      level: _level,
      time: _time,
      msg: _msg,
      event,
      ...fields
    } = JSON.parse(line, reviveNumber) as Record<string, unknown>;
    const isEvent = Object.hasOwn(EVENTS, String(event)) && EVENTS[event as EventName].safeParse(fields).success;
    return isEvent ? ({ event, ...fields } as LogEvent) : undefined;
  } catch {
    return undefined;
  }
}

/** The log has NaN and the infinities as strings. */
function reviveNumber(_: string, value: unknown): unknown {
  return ['NaN', 'Infinity', '-Infinity'].includes(value as string) ? Number(value) : value;
}
