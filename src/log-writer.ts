/**
 * Writes the log of a run. One line is one event, as pino writes it:
 * `{"level":30,"time":<epoch ms>,"event":"train_step",…,"msg":"step 12/100 …"}`. Writes are synchronous, so a run that is
 * killed keeps every line it wrote.
 */
import { closeSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { pino } from 'pino';
import { SplitError } from './errors.js';
import { eventLine } from './event-lines.js';
import { type LogEvent, nonFiniteAsStrings, type Report } from './log.js';
import { printable } from './printable.js';
import { makeFolders, openNoFollow } from './safe-write.js';

/** An open log file. */
export interface RunLog {
  /** Appends a line. @throws SplitError that names the file, if the write fails. */
  write: Report;
  close(): void;
}

/**
 * Opens a log file to append to. Creates the file and its folders if they do not exist.
 * @throws SplitError that names the file, if it cannot be created, or is a link.
 */
export function openLog(file: string): RunLog {
  const descriptor = withFile(file, () => {
    makeFolders(dirname(file));
    return openNoFollow(file, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT);
  });
  const write = eventWriter(pino.destination({ dest: descriptor, sync: true }));
  return {
    write: (event) => withFile(file, () => write(event)),
    // Every line is on the disk already. pino's `end()` would retry what a full disk refused.
    close: () => closeSync(descriptor),
  };
}

/** Writes events as log lines, each with its newline in one `write` to the destination. */
export function eventWriter(destination: { write(line: string): unknown }): Report {
  const log = pino(
    { base: null }, // no pid, no hostname
    // People read the log with `cat`, so a terminal must not obey what is in it.
    { write: (line: string) => void destination.write(`${printable(line.trimEnd())}\n`) },
  );
  let steps: number | undefined;
  return (event) => {
    if (event.event === 'run_start') steps = event.steps;
    // As the terminal shows it: what prints a log nicely prints this text as it is.
    log[levelOf(event)](nonFiniteAsStrings(event), printable(eventLine(event, steps)));
  };
}

/** `error`: the run has failed, or will because of this. `warn`: it goes on, but a person should look. */
function levelOf(event: LogEvent): 'info' | 'warn' | 'error' {
  if (event.event === 'warning') return 'warn';
  const failed = (event.event === 'check' && !event.passed) || (event.event === 'run_end' && event.status === 'failed');
  return failed ? 'error' : 'info';
}

const REASONS: Record<string, string> = {
  ENOSPC: 'the disk is full; free some space, or choose another folder with --out',
  EACCES: 'this user may not write there; choose another folder with --out',
  EROFS: 'the file system is read-only; choose another folder with --out',
  EDQUOT: 'the quota is used up; free some space, or choose another folder with --out',
  ELOOP: 'it is a link, expected a plain file; remove it, or choose another --run',
  ENXIO: 'it is not a plain file; remove it, or choose another --run',
  EISDIR: 'it is a folder; move it away, or choose another --run',
  EEXIST: 'part of the path is a file; choose another folder with --out',
  ENOTDIR: 'part of the path is a file; choose another folder with --out',
};

/** Runs `action` and converts a system error to a SplitError. */
function withFile<T>(file: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new SplitError(`Cannot write the log ${file}: ${REASONS[code] ?? message}`, { cause: error });
  }
}
