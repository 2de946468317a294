/** Signals: how a run is told to stop. */
import { END_SIGNALS, type EndSignal, earlySignal, isIgnored, isStandaloneProgram } from '../end-signals.js';
import { exitAtOnce } from '../native/c/exit.js';
import { setRunningTimeout } from '../running-time.js';

/**
 * A signal again within this time is the same one: a terminal's Ctrl-C comes to the whole group, and npm, which is in it,
 * passes it on.
 */
const SAME_MS = 1_000;

/** How long threads may take to end once the run has said its last word, or before it has begun: longer than towers get. */
const LEAVE_MS = 4_000;

export interface Stop {
  /** Aborted by the first signal, whose name is the reason. */
  readonly signal: AbortSignal;
  /** Ends the process with that exit code, if it has not ended by itself soon. */
  leaveSoon(exitCode: number): void;
  /** Leaves the signals alone again; in a process that ends then, not before all that is to come of the first one came. */
  forget(): void;
}

/**
 * The first signal asks the run to end after its step. One that comes later than {@link SAME_MS} after it does what it does
 * without this; but SIGUSR1 nothing. Those that were ignored when the process was started are not listened to.
 * @param told hears of the first.
 */
export function stopOnSignal(told: () => void): Stop {
  const controller = new AbortController();
  const names = END_SIGNALS.filter((name) => !isIgnored(name));
  let firstAt: number | undefined;
  let isForgotten = false;

  const hear = (name: EndSignal) => {
    if (firstAt === undefined) {
      firstAt = performance.now();
      // Then it is the system's again, which ends a process also when this thread is busy.
      setTimeout(() => leaveAlone(isForgotten ? names : names.filter(endsProcess)), SAME_MS).unref();
      controller.abort(name);
      told();
      return;
    }
    // This thread may have been busy when the time was over.
    if (!endsProcess(name) || performance.now() - firstAt < SAME_MS) return;
    leaveAlone(names);
    process.kill(process.pid, name);
  };
  const leaveAlone = (which: readonly EndSignal[]) => {
    for (const name of which) process.off(name, hear);
  };

  for (const name of names) process.on(name, hear);
  const before = earlySignal();
  if (before) setImmediate(() => !isForgotten && firstAt === undefined && hear(before));
  return {
    signal: controller.signal,
    leaveSoon,
    forget() {
      isForgotten = true;
      const isToCome = firstAt !== undefined && performance.now() - firstAt < SAME_MS;
      if (!isToCome || !isStandaloneProgram()) leaveAlone(names);
    },
  };
}

/** Schedulers may send several of these. */
function endsProcess(name: EndSignal): boolean {
  return name !== 'SIGUSR1';
}

/** Ends the process with that exit code, if it has not ended by itself soon. */
export function leaveSoon(exitCode: number): void {
  // Not a reason to stay: a process with nothing else to do ends before.
  setRunningTimeout(LEAVE_MS, () => exitAtOnce(exitCode), { ref: false });
}
