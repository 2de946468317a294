/** Stops a run when a signal asks for it. */
import { END_SIGNALS, type EndSignal, earlySignal, isIgnored, isStandaloneProgram } from '../end-signals.js';
import { exitAtOnce } from '../native/c/exit.js';
import { setRunningTimeout } from '../running-time.js';

/** Within this time a second signal is the same one: Ctrl-C reaches the whole process group, and npm, in it, passes it on. */
const SAME_MS = 1_000;

/** How long the threads may take to end after the run's last event, or before its first: longer than the towers get. */
const EXIT_MS = 4_000;

export interface Stop {
  /** Aborted by the first signal; the reason is the signal's name. */
  readonly signal: AbortSignal;
  /** Removes the handlers. In a program that now ends, they stay until a repetition of the first signal has passed. */
  dispose(): void;
}

/**
 * Handles signals. The first one asks the run to end after its step. One that comes later than {@link SAME_MS} after it has
 * its default effect, except SIGUSR1, which has none. Signals that the process was started to ignore are not handled.
 * @param onFirst is called once, at the first signal.
 */
export function stopOnSignal(onFirst: () => void): Stop {
  const controller = new AbortController();
  const names = END_SIGNALS.filter((name) => !isIgnored(name));
  let firstAt: number | undefined;
  let isDisposed = false;

  const handle = (name: EndSignal) => {
    if (firstAt === undefined) {
      firstAt = performance.now();
      // From then on the system's handler ends the process, even while this thread is busy.
      setTimeout(() => removeHandlers(isDisposed ? names : names.filter(endsProcess)), SAME_MS).unref();
      controller.abort(name);
      onFirst();
      return;
    }
    // The timer may be late, because this thread was busy.
    if (!endsProcess(name) || performance.now() - firstAt < SAME_MS) return;
    removeHandlers(names);
    process.kill(process.pid, name);
  };
  const removeHandlers = (which: readonly EndSignal[]) => {
    for (const name of which) process.off(name, handle);
  };

  for (const name of names) process.on(name, handle);
  const early = earlySignal();
  if (early) setImmediate(() => !isDisposed && firstAt === undefined && handle(early));
  return {
    signal: controller.signal,
    dispose() {
      isDisposed = true;
      const mayRepeat = firstAt !== undefined && performance.now() - firstAt < SAME_MS;
      if (!mayRepeat || !isStandaloneProgram()) removeHandlers(names);
    },
  };
}

/** Schedulers may send several SIGUSR1. */
const endsProcess = (name: EndSignal) => name !== 'SIGUSR1';

/** Ends the process with that exit code, unless it ends by itself soon. */
export function exitSoon(exitCode: number): void {
  setRunningTimeout(EXIT_MS, () => exitAtOnce(exitCode), { ref: false });
}
