/** Says what a command is doing if it prints nothing for a while. */
import type { Busy } from '../train/progress.js';
import type { Services } from './services.js';

/** People wonder about a command that is silent for longer. */
const SILENT_MS = 2_000;
const AGAIN_MS = 10_000;

/**
 * Prints a sentence on stderr if that is a terminal. Elsewhere stderr has warnings and errors alone, however slow the machine
 * is: cron sends a mail for any other line. What blocks this thread is announced as it begins, as no timer can do it later.
 */
export function announce({ stderr }: Pick<Services, 'stderr'>, what: string): void {
  if (stderr.isTTY) stderr.print(what);
}

/**
 * @param print receives the sentence: after two seconds, and progress every ten seconds after that.
 * @returns `busy` says what begins now; `end`, that something else was printed, or nothing is left to do.
 */
export function breakSilence(print: (line: string) => unknown): { busy: Busy; end(): void } {
  let timer: NodeJS.Timeout | undefined;
  const later = (what: string | (() => string), ms: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      print(typeof what === 'string' ? what : what());
      if (typeof what !== 'string') later(what, AGAIN_MS);
    }, ms).unref();
  };
  return {
    busy: (what) => later(what, SILENT_MS),
    end: () => clearTimeout(timer),
  };
}
