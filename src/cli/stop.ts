/** Signals: how a run is told to stop. */
import { exitAtOnce } from '../native/c/exit.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGUSR1'] as const;

/** How long threads may take to end once the run has said its last word, or before it has begun: longer than towers get. */
const LEAVE_MS = 4_000;

export interface Stop {
  /** Aborted by the first signal, whose name is the reason. */
  readonly signal: AbortSignal;
  /** Ends the process with that exit code, if it has not ended by itself soon. */
  leaveSoon(exitCode: number): void;
  /** Leaves the signals alone again. */
  forget(): void;
}

/**
 * The first SIGINT, SIGTERM or SIGUSR1 asks the run to end after its step; the next one does what it does without this.
 * @param told hears of the first.
 */
export function stopOnSignal(told: () => void): Stop {
  const controller = new AbortController();
  const stop = (name: NodeJS.Signals) => {
    forget();
    controller.abort(name);
    told();
  };
  const forget = () => {
    for (const name of SIGNALS) process.off(name, stop);
  };
  for (const name of SIGNALS) process.on(name, stop);
  return {
    signal: controller.signal,
    leaveSoon,
    forget,
  };
}

/** Ends the process with that exit code, if it has not ended by itself soon. */
export function leaveSoon(exitCode: number): void {
  // Not a reason to stay: a process with nothing else to do ends before.
  setTimeout(() => exitAtOnce(exitCode), LEAVE_MS).unref();
}
