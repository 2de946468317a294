/** Waiting that ends when the run is told to stop. */

/** How long a run that is told to stop waits for what its towers are at, at least: most steps take less. */
export const GRACE_MS = 5_000;

/** The run was told to stop while it waited for something that cannot be broken off. */
export class Stopped extends Error {
  /** @param unfinished what it waited for; it still goes on. */
  constructor(readonly unfinished: Promise<unknown>) {
    super('the run was told to stop');
  }
}

/**
 * Waits for `promise`, but once the signal is there no longer than `graceMs`.
 * @throws Stopped then; whatever `promise` throws.
 */
export async function orStopped<T>(promise: Promise<T>, signal: AbortSignal, graceMs = 0): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let listener: (() => void) | undefined;
  const stopped = new Promise<never>((_, reject) => {
    listener = () => {
      timer = setTimeout(() => reject(new Stopped(promise)), graceMs);
    };
    if (signal.aborted) listener();
    else signal.addEventListener('abort', listener, { once: true });
  });
  promise.catch(() => {}); // nobody may hear of it any more
  try {
    return await Promise.race([promise, stopped]);
  } finally {
    clearTimeout(timer);
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
