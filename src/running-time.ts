/**
 * Time in which the process ran. A scheduler that suspends it (SIGSTOP), Ctrl-Z, or a laptop's lid can take hours, and
 * nobody was late in these. Whoever waits with a deadline looks at such a clock every {@link POLL_MS}, and from one look
 * to the next there can only be so much time.
 */

/** How often whoever waits is to look. */
export const POLL_MS = 100;
/** Looks that are further apart have a pause between them. */
const PAUSE_MS = 2 * POLL_MS;
/** What such a time counts as: more than nothing, so that on a machine without a moment to spare the clock goes on. */
const COUNTED_MS = POLL_MS / 4;
/** What a timer can count to. */
const MOST_MS = 2 ** 31 - 1;

let own: RunningClock | undefined;

/** Of this thread's event loop: time in which it does not turn does not count either. */
function ownClock(): RunningClock {
  if (!own) {
    const clock = new RunningClock();
    own = clock;
    setInterval(() => clock.now(), POLL_MS).unref();
  }
  return own;
}

/** The clock of this thread's event loop, in milliseconds. */
export function runningTimeMs(): number {
  return ownClock().now();
}

/**
 * Does `action` once the process has run for so long, as `setTimeout` does after so long.
 * @param options `ref: false` does not keep the process for it.
 * @returns what calls it off.
 */
export function setRunningTimeout(ms: number, action: () => void, { ref = true } = {}): () => void {
  let timer: NodeJS.Timeout | undefined;
  const wait = (leftMs: number) => {
    const asked = Math.min(leftMs, MOST_MS);
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

/** Resolves once the process has run for so long; does not keep the process for it. */
export function runningSleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setRunningTimeout(ms, resolve, { ref: false });
  });
}

/** A clock of milliseconds that stands still while the process does; for one thread. */
export class RunningClock {
  readonly #wall: () => number;
  readonly #first: number;
  #last: number;
  #paused = 0;

  /** @param wall a clock that goes on, for tests. */
  constructor(wall: () => number = () => performance.now()) {
    this.#wall = wall;
    this.#first = wall();
    this.#last = this.#first;
  }

  /** Milliseconds since it was made. Right as long as it is asked every {@link POLL_MS}. */
  now(): number {
    const wall = this.#wall();
    const since = wall - this.#last;
    this.#last = wall;
    if (since > PAUSE_MS) this.#paused += since - COUNTED_MS;
    return wall - this.#first - this.#paused;
  }

  /** Milliseconds of pauses, which it did not count. */
  paused(): number {
    this.now();
    return this.#paused;
  }
}
