/**
 * Mailboxes in shared memory: one in each direction, of two slots, so that a tower can send before its peer has read
 * the message before. Both ends block, with a deadline, and either tower, or the coordinator, can end all waiting.
 */
import { ConfigError, ExchangeError } from '../errors.js';
import { POLL_MS, RunningClock } from '../running-time.js';

/** The shared memory between two towers. It crosses threads as it is. */
export interface Mailboxes {
  /** The abort word. */
  readonly abort: SharedArrayBuffer;
  /** By tower: the address of what ends the function that it runs, 0 without one. */
  readonly cancellations: SharedArrayBuffer;
  /** How many threads are starting cancellations. */
  readonly cancelling: SharedArrayBuffer;
  /** By tower: the address of what its function runs in, 0 while none runs. */
  readonly executors: SharedArrayBuffer;
  /** By the tower that sends. */
  readonly boxes: readonly [MailboxMemory, MailboxMemory];
  /** Most bytes a message may have. */
  readonly slotBytes: number;
}

interface MailboxMemory {
  /** Words: messages written, messages read (both go on from the smallest number after the largest), and the length in each slot. */
  readonly words: SharedArrayBuffer;
  readonly slots: SharedArrayBuffer;
  /** Where in `slots` the first one begins. */
  readonly start: number;
}

/** What an end waits for, for the message when it waits in vain. */
export interface Place {
  site: string;
  step: number;
  direction: 'forward' | 'backward';
}

const SLOTS = 2;
const WRITTEN = 0;
const READ = 1;
const LENGTHS = 2;
const MOST_ALIGNED = 64;
const PAGE = 4096;
/** Bytes of a message: their number goes into a word. */
const MOST_BYTES = 2 ** 31 - PAGE;
/** A wait is cut into pieces this long: an abort can come between the look at its word and the wait, and the process can pause. */
const SLICE_MS = POLL_MS;
const WITHDRAW_MS = 1_000;

/**
 * Shared memory for messages of up to `slotBytes`.
 * @param bytesToAlignment how many bytes it is from the beginning of some memory to an address that a device takes as it
 * is, below 64: messages begin there. Without it they are anywhere.
 * @throws ConfigError for messages that are too large, or that there is no memory for.
 */
export function createMailboxes(
  slotBytes: number,
  bytesToAlignment: (memory: SharedArrayBuffer) => number = () => 0,
): Mailboxes {
  if (slotBytes > MOST_BYTES) {
    throw new ConfigError(
      `Cannot exchange messages of ${slotBytes} bytes: expected ${MOST_BYTES} at most, for a tower's half of a batch goes as one; choose a smaller --batch-size or --width`,
    );
  }
  const aligned = Math.ceil(slotBytes / PAGE) * PAGE;
  const box = (): MailboxMemory => {
    const slots = new SharedArrayBuffer(SLOTS * aligned + MOST_ALIGNED);
    const words = new SharedArrayBuffer((LENGTHS + SLOTS) * Int32Array.BYTES_PER_ELEMENT);
    return { words, slots, start: bytesToAlignment(slots) };
  };
  try {
    const words = {
      abort: new SharedArrayBuffer(4),
      cancellations: new SharedArrayBuffer(2 * BigInt64Array.BYTES_PER_ELEMENT),
      cancelling: new SharedArrayBuffer(4),
      executors: new SharedArrayBuffer(2 * BigInt64Array.BYTES_PER_ELEMENT),
    };
    return { ...words, boxes: [box(), box()], slotBytes: aligned };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new ConfigError(
      `Cannot hold the messages between the towers in memory: they take ${2 * SLOTS * aligned} bytes, expected that much to be free; choose a smaller --batch-size or --width`,
    );
  }
}

/** Ends every wait at the mailboxes, now and later, with an error. From any thread. */
export function abortMailboxes(mailboxes: Mailboxes): void {
  Atomics.store(new Int32Array(mailboxes.abort), 0, 1);
  for (const { words } of mailboxes.boxes) {
    Atomics.notify(new Int32Array(words), WRITTEN);
    Atomics.notify(new Int32Array(words), READ);
  }
}

/** Whether {@link abortMailboxes} was called. */
export function isAborted(mailboxes: Mailboxes): boolean {
  return Atomics.load(new Int32Array(mailboxes.abort), 0) !== 0;
}

/** Tells the other threads what ends the function that a tower runs. */
export function noteCancellation(mailboxes: Mailboxes, tower: 0 | 1, address: bigint): void {
  Atomics.store(new BigInt64Array(mailboxes.cancellations), tower, address);
}

/** Has `start` start the cancellations that the towers noted, each once. From any thread. */
export function startCancellations(mailboxes: Mailboxes, start: (address: bigint) => void): void {
  const cancelling = new Int32Array(mailboxes.cancelling);
  const addresses = new BigInt64Array(mailboxes.cancellations);
  Atomics.add(cancelling, 0, 1);
  try {
    for (const tower of [0, 1]) {
      const address = Atomics.exchange(addresses, tower, 0n);
      if (address !== 0n) start(address);
    }
  } finally {
    Atomics.sub(cancelling, 0, 1);
    Atomics.notify(cancelling, 0);
  }
}

/**
 * Has no thread start a tower's cancellation from here on. What is woken by one is woken before the start of it returns, and
 * TensorFlow crashes when a queue is destroyed meanwhile: so this is to be called before.
 * @returns whether none is being started any more; false when that takes longer than a second.
 */
export function withdrawCancellation(mailboxes: Mailboxes, tower: 0 | 1): boolean {
  const cancelling = new Int32Array(mailboxes.cancelling);
  Atomics.store(new BigInt64Array(mailboxes.cancellations), tower, 0n);
  for (let waited = 0; waited < WITHDRAW_MS; waited += SLICE_MS) {
    const count = Atomics.load(cancelling, 0);
    if (count === 0) return true;
    Atomics.wait(cancelling, 0, count, SLICE_MS);
  }
  return Atomics.load(cancelling, 0) === 0;
}

/** Tells the other threads what a tower's function runs in; 0 when none runs. */
export function noteExecutor(mailboxes: Mailboxes, tower: 0 | 1, address: bigint): void {
  Atomics.store(new BigInt64Array(mailboxes.executors), tower, address);
}

/** What a tower's function runs in, whose thread is gone; 0 for nothing. It is the caller's to end. */
export function takeExecutor(mailboxes: Mailboxes, tower: 0 | 1): bigint {
  return Atomics.exchange(new BigInt64Array(mailboxes.executors), tower, 0n);
}

/** How many messages later the first of two numbers is; both are words, which go on from the smallest after the largest. */
function after(number: number, other: number): number {
  return (number - other) | 0;
}

/** One tower's end of the mailboxes. */
export class Mailbox {
  readonly #mailboxes: Mailboxes;
  readonly #tower: 0 | 1;
  readonly #timeoutMs: number;
  readonly #out: Int32Array;
  readonly #in: Int32Array;
  /** Milliseconds spent waiting, since it was last set to zero. */
  waitMs = 0;

  /** @param timeoutMs how long to wait for the peer before it counts as gone. */
  constructor(mailboxes: Mailboxes, tower: 0 | 1, timeoutMs: number) {
    this.#mailboxes = mailboxes;
    this.#tower = tower;
    this.#timeoutMs = timeoutMs;
    this.#out = new Int32Array(mailboxes.boxes[tower].words);
    this.#in = new Int32Array(mailboxes.boxes[1 - tower]!.words);
  }

  /** Number of the next message to be sent, from 1. */
  get nextSent(): number {
    return Atomics.load(this.#out, WRITTEN) + 1;
  }

  /** Number of the next message to be received, from 1. */
  get nextReceived(): number {
    return Atomics.load(this.#in, READ) + 1;
  }

  /**
   * Waits for a free slot, has it written, and lets the peer know.
   * @param write writes the message into the slot; returns its length in bytes.
   * @throws ExchangeError at the deadline or an abort.
   */
  send(place: Place, write: (slot: Uint8Array) => number): void {
    const number = Atomics.load(this.#out, WRITTEN);
    this.#waitUntil(this.#out, READ, place, (read) => after(number, read) < SLOTS);
    const slot = number & (SLOTS - 1);
    const length = write(this.#slot(this.#tower, slot));
    Atomics.store(this.#out, LENGTHS + slot, length);
    Atomics.store(this.#out, WRITTEN, number + 1);
    Atomics.notify(this.#out, WRITTEN);
  }

  /**
   * Waits for the peer's next message and has it read; the slot is the peer's again when `read` returns. When it
   * throws, the message stays.
   * @throws ExchangeError at the deadline or an abort.
   */
  receive<T>(place: Place, read: (message: Uint8Array) => T): T {
    const number = Atomics.load(this.#in, READ);
    this.#waitUntil(this.#in, WRITTEN, place, (written) => after(written, number) > 0);
    const slot = number & (SLOTS - 1);
    const length = Atomics.load(this.#in, LENGTHS + slot);
    const result = read(this.#slot((1 - this.#tower) as 0 | 1, slot).subarray(0, length));
    Atomics.store(this.#in, READ, number + 1);
    Atomics.notify(this.#in, READ);
    return result;
  }

  #slot(sender: 0 | 1, slot: number): Uint8Array {
    const { boxes, slotBytes } = this.#mailboxes;
    const { slots, start } = boxes[sender];
    return new Uint8Array(slots, start + slot * slotBytes, slotBytes);
  }

  #waitUntil(words: Int32Array, word: number, place: Place, isReady: (value: number) => boolean): void {
    const started = performance.now();
    const clock = new RunningClock();
    try {
      for (;;) {
        if (isAborted(this.#mailboxes))
          throw this.#error(place, 'the other tower stopped', 'its own message says why', true);
        const value = Atomics.load(words, word);
        if (isReady(value)) return;
        const left = this.#timeoutMs - clock.now();
        if (left <= 0) {
          const waited = `tower ${1 - this.#tower} was not heard of for ${this.#timeoutMs / 1000} s`;
          throw this.#error(place, waited, 'a larger exchangeTimeoutMs in the config gives it longer');
        }
        Atomics.wait(words, word, value, Math.min(left, SLICE_MS));
      }
    } finally {
      this.waitMs += performance.now() - started;
    }
  }

  #error({ site, step, direction }: Place, found: string, remedy: string, isEcho = false): ExchangeError {
    return new ExchangeError(
      `Cannot exchange at ${site} (${direction}, step ${step}) in tower ${this.#tower}: ${found}; ${remedy}`,
      this.#tower,
      site,
      step,
      isEcho,
    );
  }
}
