/** Waiting for a promise that may be cut short: by a deadline, or because the run is stopped. */
import { runningTimeMs, setRunningTimeout } from '../running-time.js';

/** The run was stopped while it waited for `unfinished`, which cannot be cancelled. */
export class Stopped extends Error {
  constructor(readonly unfinished: Promise<unknown>) {
    super('the run was stopped');
  }
}

/** Waits for `promise` until `arm` rejects. `arm` returns a function that cancels that. */
async function unless<T>(promise: Promise<T>, arm: (reject: (error: Error) => void) => () => void): Promise<T> {
  let disarm = () => {};
  const interruption = new Promise<never>((_, reject) => {
    disarm = arm(reject);
  });
  promise.catch(() => {}); // after an interruption nobody handles its error
  try {
    return await Promise.race([promise, interruption]);
  } finally {
    disarm();
  }
}

/** Waits for `promise` for `ms` milliseconds of running time. @throws its error; `timeoutError()` at the deadline. */
export function withDeadline<T>(promise: Promise<T>, ms: number, timeoutError: () => Error): Promise<T> {
  return unless(promise, (reject) => setRunningTimeout(ms, () => reject(timeoutError())));
}

/** Waits for `promise`, up to `graceMs` milliseconds of running time after the signal. @throws its error; Stopped. */
export function stoppable<T>(promise: Promise<T>, signal: AbortSignal, graceMs = 0): Promise<T> {
  return unless(promise, (reject) => {
    let cancel: (() => void) | undefined;
    const onAbort = () => {
      cancel = setRunningTimeout(graceMs, () => reject(new Stopped(promise)));
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    return () => {
      cancel?.();
      signal.removeEventListener('abort', onAbort);
    };
  });
}

/** The value of `promise`, or undefined once the signal is given; its later value is ignored. */
export async function untilStopped<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return stoppable(promise, signal).catch((error: unknown) => {
    if (error instanceof Stopped) return undefined;
    throw error;
  });
}

/**
 * What `opening` opens, or undefined if the signal comes first. What it opens after that is closed. Its errors after the
 * signal are ignored: the signal itself causes some of them.
 */
export async function openUnlessStopped<T>(
  opening: Promise<T>,
  signal: AbortSignal,
  close: (late: T) => Promise<void>,
): Promise<T | undefined> {
  const opened = await untilStopped(opening, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
    return undefined;
  });
  if (opened === undefined) await opening.then(close, () => {});
  return opened;
}

/** Most steps take less. */
const MIN_GRACE_MS = 5_000;
/** A command that takes this many times the longest one so far is taken to hang. */
const GRACE_FACTOR = 3;

/** How long a run that is stopped waits for its towers' command. */
export class GracePeriod {
  #longestMs = 0;

  get ms(): number {
    return Math.max(MIN_GRACE_MS, GRACE_FACTOR * this.#longestMs);
  }

  /** Waits for a command of the towers and measures it. @throws as {@link stoppable}. */
  async wait<T>(command: Promise<T>, signal: AbortSignal, graceMs = this.ms): Promise<T> {
    const started = runningTimeMs();
    const reply = await stoppable(command, signal, graceMs);
    this.#longestMs = Math.max(this.#longestMs, runningTimeMs() - started);
    return reply;
  }
}
