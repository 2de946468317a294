/**
 * Clocks and timers that do not count the time in which the process is suspended (SIGSTOP, Ctrl-Z, a closed laptop). Such a
 * clock has to be read every {@link POLL_MS}; a longer gap between two readings is a pause.
 */

export const POLL_MS = 100;
const PAUSE_MS = 2 * POLL_MS;
/** What a pause counts: more than 0, so that the clock advances on a machine that is always overloaded. */
const COUNTED_MS = POLL_MS / 4;
const MAX_TIMER_MS = 2 ** 31 - 1;

let threadClock: RunningClock | undefined;

/** The clock of this thread's event loop. It also stands still while the event loop is blocked. */
function ownClock(): RunningClock {
  if (!threadClock) {
    const clock = new RunningClock();
    threadClock = clock;
    setInterval(() => clock.now(), POLL_MS).unref();
  }
  return threadClock;
}

export function runningTimeMs(): number {
  return ownClock().now();
}

/**
 * `setTimeout` in running time.
 * @param options `ref: false`: the timer does not keep the process alive.
 * @returns a function that cancels it.
 */
export function setRunningTimeout(ms: number, action: () => void, { ref = true } = {}): () => void {
  let timer: NodeJS.Timeout | undefined;
  const wait = (leftMs: number) => {
    const asked = Math.min(leftMs, MAX_TIMER_MS);
    const [from, pausedBefore] = [performance.now(), ownClock().paused()];
    timer = setTimeout(() => {
      const late = Math.max(0, performance.now() - from - asked);
      const left = leftMs - asked + (ownClock().paused() - pausedBefore) - late;
      if (left > 0) wait(left);
      else action();
    }, asked);
    if (!ref) timer.unref();
  };
  wait(ms);
  return () => clearTimeout(timer);
}

/** Resolves after a running time. The timer does not keep the process alive. */
export function runningSleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setRunningTimeout(ms, resolve, { ref: false });
  });
}

/** A clock for one thread, in milliseconds, that stands still while the process is suspended. */
export class RunningClock {
  readonly #wall: () => number;
  readonly #first: number;
  #last: number;
  #paused = 0;

  /** @param wall a replacement for the system clock in tests. */
  constructor(wall: () => number = () => performance.now()) {
    this.#wall = wall;
    this.#first = wall();
    this.#last = this.#first;
  }

  /** Returns the running time since the clock was made. It has to be called every {@link POLL_MS}. */
  now(): number {
    const wall = this.#wall();
    const since = wall - this.#last;
    this.#last = wall;
    if (since > PAUSE_MS) this.#paused += since - COUNTED_MS;
    return wall - this.#first - this.#paused;
  }

  /** Returns the sum of the pauses, which were not counted. */
  paused(): number {
    this.now();
    return this.#paused;
  }
}
