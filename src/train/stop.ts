/** Waiting that ends when the run is told to stop. */
import { runningTimeMs, setRunningTimeout } from '../running-time.js';

/** How long a run that is told to stop waits for what its towers are at, at least: most steps take less. */
export const GRACE_MS = 5_000;

/** What takes longer than so many times the longest is stuck. */
const GRACE_TIMES = 3;

/** The run was told to stop while it waited for something that cannot be broken off. */
export class Stopped extends Error {
  /** @param unfinished what it waited for; it still goes on. */
  constructor(readonly unfinished: Promise<unknown>) {
    super('the run was told to stop');
  }
}

/**
 * Waits for `promise`, but once the signal is there no longer than `graceMs` in which the process runs.
 * @throws Stopped then; whatever `promise` throws.
 */
export async function orStopped<T>(promise: Promise<T>, signal: AbortSignal, graceMs = 0): Promise<T> {
  let forget: (() => void) | undefined;
  let listener: (() => void) | undefined;
  const stopped = new Promise<never>((_, reject) => {
    listener = () => {
      forget = setRunningTimeout(graceMs, () => reject(new Stopped(promise)));
    };
    if (signal.aborted) listener();
    else signal.addEventListener('abort', listener, { once: true });
  });
  promise.catch(() => {}); // nobody may hear of it any more
  try {
    return await Promise.race([promise, stopped]);
  } finally {
    forget?.();
    signal.removeEventListener('abort', listener!);
  }
}

/** Waits for `promise`, or until the signal is there: undefined then. What comes of the promise later is nobody's. */
export async function unlessStopped<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return orStopped(promise, signal).catch((error: unknown) => {
    if (error instanceof Stopped) return undefined;
    throw error;
  });
}

/**
 * What is being opened; undefined when the signal comes first. What comes of it then is closed, and what goes wrong with it
 * then is no news: some of it ends by the signal.
 */
export async function openedUnlessStopped<T>(
  opening: Promise<T>,
  signal: AbortSignal,
  close: (late: T) => Promise<void>,
): Promise<T | undefined> {
  const opened = await unlessStopped(opening, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
    return undefined;
  });
  if (opened === undefined) await opening.then(close, () => {});
  return opened;
}

/** How long a run that is told to stop waits for what its towers are at: as long as they have been known to take. */
export class Grace {
  #longestMs = 0;

  /** Milliseconds of running, {@link GRACE_MS} or more. */
  get ms(): number {
    return Math.max(GRACE_MS, GRACE_TIMES * this.#longestMs);
  }

  /** Waits for what the towers do, and notes how long it took. @throws as {@link orStopped}. */
  async of<T>(promise: Promise<T>, signal: AbortSignal, graceMs = this.ms): Promise<T> {
    const started = runningTimeMs();
    const done = await orStopped(promise, signal, graceMs);
    this.#longestMs = Math.max(this.#longestMs, runningTimeMs() - started);
    return done;
  }
}
