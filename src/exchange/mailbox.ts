/**
 * Mailboxes in shared memory, one in each direction. Each has two slots, so that a tower can send before its peer has read
 * the message before. Both ends block, with a deadline; either tower, or the coordinator, can end all waits.
 */
import { ConfigError, ExchangeError } from '../errors.js';
import { POLL_MS, RunningClock } from '../running-time.js';

/** The shared memory between two towers. It crosses threads as it is. */
export interface Mailboxes {
  /** Words: whether all waits are ended, and how many threads are starting cancellations. */
  readonly signals: SharedArrayBuffer;
  /** Addresses in TensorFlow, by tower: what cancels the running function, then its executor. 0 is none. */
  readonly addresses: SharedArrayBuffer;
  /** By the tower that sends. */
  readonly boxes: readonly [MailboxMemory, MailboxMemory];
  /** The longest message. */
  readonly slotBytes: number;
}

interface MailboxMemory {
  /** Words: messages written, messages read (both wrap around at 2³¹), and the length in each slot. */
  readonly words: SharedArrayBuffer;
  readonly slots: SharedArrayBuffer;
  /** Where the first slot begins in `slots`. */
  readonly start: number;
}

/** Where a message is sent in a run; errors name it. */
export interface Place {
  site: string;
  step: number;
  direction: 'forward' | 'backward';
}

const SLOTS = 2;
const WRITTEN = 0;
const READ = 1;
const LENGTHS = 2;
const ABORTED = 0;
const CANCELLING = 1;
const EXECUTORS = 2;
const MOST_ALIGNED = 64;
const PAGE = 4096;
/** The length of a message has to fit a word. */
const MOST_BYTES = 2 ** 31 - PAGE;
/** Waits are in slices: an abort can come between the check of its word and the wait, and the process can be suspended. */
const SLICE_MS = POLL_MS;
const WITHDRAW_MS = 1_000;

/**
 * Makes shared memory for messages of up to `slotBytes`.
 * @param bytesToAlignment returns how many bytes (below 64) it is from the start of some memory to an address that a device
 * takes without a copy; messages begin there.
 * @throws ConfigError if messages are too large, or there is no memory for them.
 */
export function createMailboxes(
  slotBytes: number,
  bytesToAlignment: (memory: SharedArrayBuffer) => number = () => 0,
): Mailboxes {
  if (slotBytes > MOST_BYTES) {
    throw new ConfigError(
      `Cannot exchange messages of ${slotBytes} bytes: expected ${MOST_BYTES} at most, because a tower sends its half of a batch as one message; choose a smaller --batch-size or --width`,
    );
  }
  const aligned = Math.ceil(slotBytes / PAGE) * PAGE;
  const box = (): MailboxMemory => {
    const slots = new SharedArrayBuffer(SLOTS * aligned + MOST_ALIGNED);
    const words = new SharedArrayBuffer((LENGTHS + SLOTS) * Int32Array.BYTES_PER_ELEMENT);
    return { words, slots, start: bytesToAlignment(slots) };
  };
  try {
    const signals = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT);
    const addresses = new SharedArrayBuffer(4 * BigInt64Array.BYTES_PER_ELEMENT);
    return { signals, addresses, boxes: [box(), box()], slotBytes: aligned };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new ConfigError(
      `Cannot hold the messages between the towers in memory: they take ${2 * SLOTS * aligned} bytes, expected that much to be free; choose a smaller --batch-size or --width`,
    );
  }
}

/** Ends every wait at the mailboxes with an error, now and later. From any thread. */
export function abortMailboxes({ signals, boxes }: Mailboxes): void {
  Atomics.store(new Int32Array(signals), ABORTED, 1);
  for (const { words } of boxes) {
    Atomics.notify(new Int32Array(words), WRITTEN);
    Atomics.notify(new Int32Array(words), READ);
  }
}

export function isAborted({ signals }: Mailboxes): boolean {
  return Atomics.load(new Int32Array(signals), ABORTED) !== 0;
}

/** Publishes the address of what cancels a tower's running function. */
export function noteCancellation({ addresses }: Mailboxes, tower: 0 | 1, address: bigint): void {
  Atomics.store(new BigInt64Array(addresses), tower, address);
}

/** Publishes the address of the executor that runs a tower's function; 0 when none runs. */
export function noteExecutor({ addresses }: Mailboxes, tower: 0 | 1, address: bigint): void {
  Atomics.store(new BigInt64Array(addresses), EXECUTORS + tower, address);
}

/** Takes the executor of a tower whose thread is gone, to be deleted by the caller; 0 if there is none. */
export function takeExecutor({ addresses }: Mailboxes, tower: 0 | 1): bigint {
  return Atomics.exchange(new BigInt64Array(addresses), EXECUTORS + tower, 0n);
}

/** Calls `start` for each cancellation that the towers published, once each. From any thread. */
export function startCancellations(mailboxes: Mailboxes, start: (address: bigint) => void): void {
  const signals = new Int32Array(mailboxes.signals);
  Atomics.add(signals, CANCELLING, 1);
  try {
    for (const tower of [0, 1]) {
      const address = Atomics.exchange(new BigInt64Array(mailboxes.addresses), tower, 0n);
      if (address !== 0n) start(address);
    }
  } finally {
    Atomics.sub(signals, CANCELLING, 1);
    Atomics.notify(signals, CANCELLING);
  }
}

/**
 * Keeps other threads from starting a tower's cancellation. To be called before the tower destroys a queue: a cancellation
 * wakes who waits at the queue before it returns, and TensorFlow crashes if the queue is destroyed meanwhile.
 * @returns whether none is being started any more; false if that takes longer than a second.
 */
export function withdrawCancellation(mailboxes: Mailboxes, tower: 0 | 1): boolean {
  const signals = new Int32Array(mailboxes.signals);
  noteCancellation(mailboxes, tower, 0n);
  for (let waited = 0; ; waited += SLICE_MS) {
    const count = Atomics.load(signals, CANCELLING);
    if (count === 0 || waited >= WITHDRAW_MS) return count === 0;
    Atomics.wait(signals, CANCELLING, count, SLICE_MS);
  }
}

/** What messages call the two towers of a pair. */
export type TowerNames = readonly [string, string];

/** Those of the only pair. */
export const TOWER_NAMES: TowerNames = ['tower 0', 'tower 1'];

/** One tower's end of the mailboxes. */
export class Mailbox {
  readonly #mailboxes: Mailboxes;
  readonly #tower: 0 | 1;
  readonly #timeoutMs: number;
  readonly names: TowerNames;
  readonly #out: Int32Array;
  readonly #in: Int32Array;
  /** Milliseconds spent waiting since the caller set it to zero. */
  waitMs = 0;

  /** @param timeoutMs how long to wait for the peer before it counts as gone. */
  constructor(mailboxes: Mailboxes, tower: 0 | 1, timeoutMs: number, names = TOWER_NAMES) {
    this.names = names;
    this.#mailboxes = mailboxes;
    this.#tower = tower;
    this.#timeoutMs = timeoutMs;
    this.#out = new Int32Array(mailboxes.boxes[tower].words);
    this.#in = new Int32Array(mailboxes.boxes[1 - tower]!.words);
  }

  /** The number of the next message to be sent, from 1. */
  get nextSent(): number {
    return Atomics.load(this.#out, WRITTEN) + 1;
  }

  get nextReceived(): number {
    return Atomics.load(this.#in, READ) + 1;
  }

  /**
   * Waits for a free slot, calls `write` with it, and notifies the peer.
   * @param write writes the message; returns its length in bytes.
   * @throws ExchangeError at the deadline or an abort.
   */
  send(place: Place, write: (slot: Uint8Array) => number): void {
    const number = Atomics.load(this.#out, WRITTEN);
    this.#waitUntil(this.#out, READ, place, (read) => distance(number, read) < SLOTS);
    const slot = number & (SLOTS - 1);
    const length = write(this.#slot(this.#tower, slot));
    Atomics.store(this.#out, LENGTHS + slot, length);
    Atomics.store(this.#out, WRITTEN, number + 1);
    Atomics.notify(this.#out, WRITTEN);
  }

  /**
   * Waits for the peer's next message and calls `read` with it. The slot is free again when `read` returns; if it throws,
   * the message stays.
   * @throws ExchangeError at the deadline or an abort.
   */
  receive<T>(place: Place, read: (message: Uint8Array) => T): T {
    const number = Atomics.load(this.#in, READ);
    this.#waitUntil(this.#in, WRITTEN, place, (written) => distance(written, number) > 0);
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
          throw this.#error(place, 'the other tower stopped; its own message says why', true);
        const value = Atomics.load(words, word);
        if (isReady(value)) return;
        const left = this.#timeoutMs - clock.now();
        if (left <= 0) {
          const waited = `${this.names[1 - this.#tower]} did not respond for ${this.#timeoutMs / 1000} s`;
          throw this.#error(place, `${waited}; a larger exchangeTimeoutMs in the config gives it longer`);
        }
        Atomics.wait(words, word, value, Math.min(left, SLICE_MS));
      }
    } finally {
      this.waitMs += performance.now() - started;
    }
  }

  #error({ site, step, direction }: Place, found: string, peerFailed = false): ExchangeError {
    const text = `Cannot exchange at ${site} (${direction}, step ${step}) in ${this.names[this.#tower]}: ${found}`;
    return new ExchangeError(text, this.#tower, site, step, peerFailed);
  }
}

/** How many messages later the first of two numbers is, which wrap around. */
function distance(number: number, other: number): number {
  return (number - other) | 0;
}
