/** The transport: how a tensor's values get to the peer, as MessagePack through a mailbox. */
import { ExchangeError } from '../errors.js';
import { checksumOf, sameChecksum } from './checksum.js';
import {
  checkHeader,
  type Dtype,
  decode,
  encode,
  type Header,
  type MessageDtype,
  PREFIX_BYTES,
  payloadBytes,
} from './codec.js';
import type { Mailbox, Place } from './mailbox.js';

/** What a tensor is in a message. */
export interface Described {
  shape: readonly number[];
  /** How its values are written. */
  dtype: MessageDtype;
}

/** A tensor that is sent. */
export interface Sendable extends Described {
  /** Copies the values to `bytes`, as long as they are, in the message. */
  copyTo(bytes: Uint8Array): void;
}

/** What an exchange cost, since it was last set to zero. */
export interface Costs {
  /** Packing, copying and unpacking; not what is done with what came. */
  exchangeMs: number;
  /** Waiting for the peer. */
  waitMs: number;
  /** Bytes sent. */
  bytes: number;
}

/** How values get to the peer and from it. */
export interface Transport {
  /** Whether messages carry a checksum of their values, and are held to it: the same at both ends. */
  checksums: boolean;
  /** Sends a tensor's values; it stays the caller's. @throws ExchangeError when the peer is gone. */
  send(tensor: Sendable, place: Place): void;
  /**
   * Has `use` read the peer's next values where they lie, at a multiple of 64 bytes of shared memory; they are gone when it
   * returns. The time that `use` takes is not counted.
   * @returns what `use` does. @throws ExchangeError when they do not come or are not the expected; what `use` throws.
   */
  receive<T>(expected: Described, place: Place, use: (bytes: Uint8Array) => T): T;
  /** The costs so far; starts again from zero. */
  takeCosts(): Costs;
}

/** Gradients are small: as float16 many would be zero. A power of two, so that no bit is lost on the way. */
const HALF_GRADIENT_SCALE = 4096;

/** What values are multiplied with before they are written, and divided by when they are read. */
export function scaleOf(dtype: Dtype, { direction }: Pick<Place, 'direction'>): number {
  return dtype === 'float16' && direction === 'backward' ? HALF_GRADIENT_SCALE : 1;
}

/** Bytes of a slot that every message of up to `payload` bytes of values fits. */
export function slotBytesFor(payload: number): number {
  return PREFIX_BYTES + payload;
}

const NO_COSTS: Costs = { exchangeMs: 0, waitMs: 0, bytes: 0 };

/** Messages through a mailbox. @param tower the tower whose end the mailbox is. */
export function msgpackTransport(mailbox: Mailbox, tower: 0 | 1): Transport {
  let costs = { ...NO_COSTS };

  /** Runs `action`, whose time is exchange but for what the mailbox waited. */
  function timed<T>(action: () => T): T {
    const started = performance.now();
    mailbox.waitMs = 0;
    try {
      return action();
    } finally {
      costs.waitMs += mailbox.waitMs;
      costs.exchangeMs += performance.now() - started - mailbox.waitMs;
    }
  }

  /** Runs `action` within what is timed, whose time is no exchange. */
  function untimed<T>(action: () => T): T {
    const started = performance.now();
    try {
      return action();
    } finally {
      costs.exchangeMs -= performance.now() - started;
    }
  }

  const noSum = { sum: new Uint8Array(4) };
  return {
    checksums: false,
    send({ shape, dtype, copyTo }, place) {
      timed(() => {
        mailbox.send(place, (slot) => {
          const header: Header = { seq: mailbox.nextSent, ...place, shape, dtype, ...(this.checksums && noSum) };
          const start = encode(header, slot);
          const end = start + payloadBytes(header);
          copyTo(slot.subarray(start, end));
          // As long as the one before, so the values stay where they are.
          if (this.checksums) encode({ ...header, sum: checksumOf(slot.subarray(start, end)) }, slot);
          costs.bytes += end;
          return end;
        });
      });
    },
    receive({ shape, dtype }, place, use) {
      return timed(() => {
        const seq = mailbox.nextReceived;
        const expected: Header = { seq, ...place, shape, dtype, ...(this.checksums && noSum) };
        return mailbox.receive(place, (message) => {
          const { header, payload } = decoded(message, tower, place);
          checkHeader(header, expected, tower);
          if (header.sum && !sameChecksum(header.sum, checksumOf(payload))) throw damaged(tower, place);
          return untimed(() => use(payload));
        });
      });
    },
    takeCosts() {
      const taken = costs;
      costs = { ...NO_COSTS };
      return taken;
    },
  };
}

function damaged(tower: 0 | 1, { site, step, direction }: Place): ExchangeError {
  return new ExchangeError(
    `Cannot go on at ${site} (${direction}, step ${step}) in tower ${tower}: the values are not those that tower ${1 - tower} sent, expected the checksum of its message; memory or a device is damaged: test the machine, then go on from the last checkpoint with --resume`,
    tower,
    site,
    step,
  );
}

function decoded(message: Uint8Array, tower: 0 | 1, { site, step }: Place) {
  try {
    return decode(message);
  } catch (error) {
    throw new ExchangeError(
      `Cannot read the message for ${site} at step ${step} in tower ${tower}: ${(error as Error).message}; the towers' versions differ, or memory was damaged`,
      tower,
      site,
      step,
    );
  }
}
