/** Says what a command is doing if it prints nothing for a while. */
import type { Busy } from '../train/progress.js';
import type { Services } from './services.js';

/** People wonder about a command that is silent for longer. */
const SILENT_MS = 2_000;
const AGAIN_MS = 10_000;

/**
 * Says on a terminal what begins now and blocks this thread for up to some seconds, so that no timer can say it later.
 * Programs that read stderr do not wonder.
 */
export function announce({ stderr }: Pick<Services, 'stderr'>, what: string): void {
  if (stderr.isTTY) stderr.print(what);
}

/**
 * @param print receives the sentence: after two seconds, and progress every ten seconds after that.
 * @returns `busy` says what begins now; `end`, that something else was printed, or nothing is left to do.
 */
export function breakSilence(print: (line: string) => void): { busy: Busy; end(): void } {
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
