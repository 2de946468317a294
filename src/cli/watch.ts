/** `watch`: what a training shows, in another terminal, from its log alone. */
import fs from 'node:fs';
import type { Config } from '../config/config.js';
import { signalExitCode } from '../end-signals.js';
import { SplitError } from '../errors.js';
import type { EventOf, LogEvent } from '../log.js';
import { duration } from '../numbers.js';
import { shellWord } from '../printable.js';
import { followLog, lastEventBefore } from '../report/follow-log.js';
import { parseLine } from '../report/read-log.js';
import { openDisplay } from './display.js';
import { type LogPlace, placeOfLog } from './find-log.js';
import { oneLine } from './format.js';
import { TAIL_BYTES } from './live-state.js';
import { trainerOf } from './run-lock.js';
import type { Input, Services } from './services.js';
import { breakSilence } from './silence.js';
import { stopOnSignal } from './stop.js';

const POLL_MS = 250;
/** The lock is tested this long after the last line, and then as often: testing it takes it for a moment. */
const LOCK_MS = 5_000;
/** After this time without a line a sentence says so. */
const QUIET_MS = 60_000;
/** Of the warnings from before the watching, so many are shown. */
const OLD_WARNINGS = 5;
const LOG_EVERY = 10;

interface Logged {
  event: LogEvent;
  /** ms since 1970. */
  at: number;
}

/**
 * Shows a training until it ends. Reads only the end of its log, and never writes.
 * @returns 0 at the end of the run, whatever its result; the signal's exit code if one ends the watching.
 * @throws ConfigError for an invalid name; SplitError if the log cannot be read, or the process that trains is gone.
 */
export async function run(
  { argument, options: { wait } }: Input<{ wait?: boolean }, string | undefined>,
  services: Services,
): Promise<number> {
  const place = placeOfLog(argument, 'watch', wait);
  if (argument === undefined) services.stderr.print(`the newest run: ${place.folder}`);
  const stop = stopOnSignal(() => {});
  const unread = new AbortController();
  // A reader that ended, such as `head`.
  const onError = () => unread.abort();
  const stream = services.stdout.stream as Partial<NodeJS.WriteStream>;
  stream.on?.('error', onError);
  const signal = AbortSignal.any([stop.signal, unread.signal]);
  const watching = openWatching(place, services, signal);
  const size = fs.statSync(place.file, { throwIfNoEntry: false })?.size ?? 0;
  const position = { bytes: Math.max(0, size - TAIL_BYTES), lines: 0 };
  try {
    watching.begin(position.bytes);
    for await (const found of followLog(place.file, { signal, position, pollMs: POLL_MS })) {
      if (found.kind === 'restart') watching.begin(0);
      else if (found.kind === 'lines') {
        for (const line of found.lines) {
          const parsed = parseLine(line);
          if (parsed.kind === 'event') watching.see({ event: parsed.event, at: parsed.time });
        }
      } else await watching.rest(found.kind === 'missing');
      if (watching.hasEnded()) return 0;
    }
    return stop.signal.aborted ? signalExitCode(String(stop.signal.reason)) : 0;
  } finally {
    stream.off?.('error', onError);
    stop.dispose();
    watching.close();
  }
}

function openWatching(place: LogPlace, services: Services, signal: AbortSignal) {
  let display: ReturnType<typeof openDisplay> | undefined;
  /** What the log has from before the watching; undefined once it is shown. */
  let old: Logged[] | undefined;
  let oldFrom = 0;
  let isRestart = false;
  let ended = false;
  const quiet = watchQuiet(place);
  const note = (text: string) => (display ? display.note(text) : services.stdout.print(text));

  function show({ event, at }: Logged): void {
    display!.show(event, at);
    ended = event.event === 'run_end';
    if (event.event === 'run_end' && event.error !== undefined) services.stderr.print(`error: ${oneLine(event.error)}`);
  }

  /** Shows where the training stands: its start, and the last of each that comes again and again. */
  async function showOld(logged: readonly Logged[]): Promise<void> {
    const index = logged.findLastIndex(({ event }) => event.event === 'run_start');
    const [start, evaluation] = [index < 0 ? await earlier('run_start') : logged[index], await earlier('eval')];
    display ??= openDisplay({}, shownBy(start?.event as EventOf<'run_start'> | undefined, place), services);
    if (start) show(start);
    if (evaluation) display.see(evaluation.event, evaluation.at);
    const present = logged.slice(index + 1);
    const shown = new Set([...lastOf(present, 'train_step'), ...lastOf(present, 'eval'), ...lastOf(present, 'check')]);
    for (const each of [...lastOf(present, 'warning', OLD_WARNINGS), ...lastOf(present, 'run_end')]) shown.add(each);
    for (const each of present) {
      if (shown.has(each)) show(each);
      else display.see(each.event, each.at);
    }
  }

  async function earlier(name: 'run_start' | 'eval'): Promise<Logged | undefined> {
    if (oldFrom === 0) return undefined;
    const { busy, end } = breakSilence(note);
    busy(`searching ${place.file} for its last ${name}`);
    const found = await lastEventBefore(place.file, name, oldFrom, signal).finally(end);
    return found && { event: found.event, at: found.time };
  }

  return {
    /** @param from the byte at which reading begins. */
    begin(from: number): void {
      if (isRestart) note(`another log is in the place of ${place.file} now`);
      isRestart = true;
      [old, oldFrom] = [[], from];
    },
    see(logged: Logged): void {
      quiet.end(logged.at);
      if (old) old.push(logged);
      else show(logged);
    },
    /** Everything is read for now. @throws SplitError if the process that trains is gone. */
    async rest(isMissing: boolean): Promise<void> {
      if (old && !isMissing && (old.length > 0 || display)) {
        const logged = old;
        old = undefined;
        await showOld(logged);
      }
      if (!ended) quiet.check(isMissing, note);
    },
    hasEnded: () => ended,
    close: () => display?.close(),
  };
}

/** What a display shows of a run that is known by its log. */
function shownBy(start: EventOf<'run_start'> | undefined, { folder }: LogPlace) {
  const { logEvery, net } = (start?.config ?? {}) as { logEvery?: unknown; net?: { table?: unknown } };
  return {
    logEvery: typeof logEvery === 'number' && logEvery >= 1 ? logEvery : LOG_EVERY,
    net: { table: String(net?.table ?? '?') as Config['net']['table'] },
    folderOf: () => folder,
    isResumable: true,
  };
}

function lastOf(logged: readonly Logged[], name: LogEvent['event'], count = 1): Logged[] {
  return logged.filter(({ event }) => event.event === name).slice(-count);
}

/** Says why nothing is added to the log. */
function watchQuiet({ folder, file }: LogPlace) {
  let since = performance.now();
  let testedAt = Number.NEGATIVE_INFINITY;
  let isGone = false;
  let isSaid = false;
  let hasBeen = false;

  return {
    /** There is a new line, written at that time. */
    end(at: number): void {
      since = performance.now() - Math.max(0, Date.now() - at);
      [isGone, isSaid, hasBeen] = [false, false, true];
    },
    /** @throws SplitError if the process that trains is gone. */
    check(isMissing: boolean, note: (text: string) => void): void {
      const now = performance.now();
      if (isMissing && !isSaid) {
        isSaid = true;
        note(`waiting for ${file}, which ${hasBeen ? 'is gone' : 'does not exist yet'}`);
      }
      if (now - since < LOCK_MS || (now - testedAt < LOCK_MS && !isGone)) return;
      testedAt = now;
      const { state, process } = trainerOf(folder);
      // Its last lines may have been written since the log was read, so the log is read once more.
      if (state === 'gone' && isGone) {
        throw new SplitError(
          `Cannot watch ${folder} any longer: ${process}, which trained there, is gone, expected the end of the run in ${file}; it was killed: continue the run with --resume ${shellWord(folder)}`,
        );
      }
      isGone = state === 'gone';
      if (isSaid || isGone || now - since < QUIET_MS) return;
      isSaid = true;
      const reason =
        state === 'runs'
          ? `${process} still trains there, and may be evaluating`
          : 'without a lock it is not known whether a process trains there';
      note(`no new line in ${file} for ${duration(now - since)}: ${reason}; Ctrl-C ends the watching`);
    },
  };
}
