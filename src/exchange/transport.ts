/** The msgpack transport: a tensor's values go to the peer as MessagePack through a mailbox. */
import { ExchangeError } from '../errors.js';
import { checksumOf } from './checksum.js';
import { checkHeader, type Dtype, decode, encode, type Header, PREFIX_BYTES, payloadBytes } from './codec.js';
import type { Mailbox, Place } from './mailbox.js';

type Described = Pick<Header, 'shape' | 'dtype'>;

export interface Sendable extends Described {
  /** Copies the values into `bytes`, a part of the message of the right length. */
  copyTo(bytes: Uint8Array): void;
}

/** What the exchange cost since the costs were last taken. */
export interface Costs {
  /** Packing, copying and unpacking, without the time of `use` in {@link Transport.receive}. */
  exchangeMs: number;
  /** Waiting for the peer. */
  waitMs: number;
  /** Bytes sent, including those of tensors that went from device to device. */
  bytes: number;
  /** The same bytes by cross-connection and direction. */
  sent: SentBytes[];
}

/** Bytes sent at a cross-connection, with headers. */
export interface SentBytes extends Pick<Place, 'site' | 'direction'> {
  bytes: number;
}

/** A part of sending or receiving one message. */
export interface ExchangeSpan {
  part: 'exchange' | 'wait';
  action: 'send' | 'receive';
  place: Place;
  /** `performance.now()` of this thread. */
  start: number;
  end: number;
  /** Of the message, with its header; 0 while it is waited for. */
  bytes: number;
}

export interface Transport {
  /** Receives each span, while a step is traced. */
  watch: ((span: ExchangeSpan) => void) | undefined;
  /** Whether messages have a checksum of their values, which the receiver checks. Has to be the same at both ends. */
  checksums: boolean;
  /** Sends a tensor's values; it stays the caller's. @throws ExchangeError if the peer is gone. */
  send(tensor: Sendable, place: Place): void;
  /**
   * Calls `use` with the peer's next values where they lie: at a multiple of 64 bytes of shared memory, which is reused when
   * `use` returns.
   * @returns the result of `use`. @throws ExchangeError if another message comes, or none; what `use` throws.
   */
  receive<T>(expected: Described, place: Place, use: (bytes: Uint8Array) => T): T;
  /** Returns the costs and sets them to zero. */
  takeCosts(): Costs;
}

/** Gradients are small: many would be 0 as float16. A power of two, so that no bit is lost. */
const HALF_GRADIENT_SCALE = 4096;

/** The factor on values in a message: the sender multiplies by it, the receiver divides. */
export function scaleOf(dtype: Dtype, { direction }: Pick<Place, 'direction'>): number {
  return dtype === 'float16' && direction === 'backward' ? HALF_GRADIENT_SCALE : 1;
}

/** Bytes of a slot for messages of up to `payload` bytes of values. */
export function slotBytesFor(payload: number): number {
  return PREFIX_BYTES + payload;
}

/** What a tower without a peer spends on the exchange. */
export function noCosts(): Costs {
  return { exchangeMs: 0, waitMs: 0, bytes: 0, sent: [] };
}

/** Ends a span of a message; the next one begins there. */
type EndSpan = (part: ExchangeSpan['part'], bytes: number) => void;

const unwatched: EndSpan = () => {};

/** Notes the spans of one message: each begins where the one before it ended. */
function spansOf(watch: Transport['watch'], action: ExchangeSpan['action'], place: Place): EndSpan {
  if (!watch) return unwatched;
  let start = performance.now();
  return (part, bytes) => {
    const end = performance.now();
    watch({ part, action, place, start, end, bytes });
    start = end;
  };
}

/** @param tower the tower whose end the mailbox is. */
export function msgpackTransport(mailbox: Mailbox, tower: 0 | 1): Transport {
  let costs = noCosts();

  /** Counts the time of `action` as exchange, and what the mailbox waited meanwhile as waiting. */
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

  function count({ site, direction }: Place, bytes: number): void {
    costs.bytes += bytes;
    const earlier = costs.sent.find((each) => each.site === site && each.direction === direction);
    if (earlier) earlier.bytes += bytes;
    else costs.sent.push({ site, direction, bytes });
  }

  function decoded(message: Uint8Array, { site, step }: Place): ReturnType<typeof decode> {
    try {
      return decode(message);
    } catch (error) {
      const text = `Cannot read the message for ${site} at step ${step} in ${mailbox.names[tower]}: ${(error as Error).message}; the towers' versions differ, or memory was damaged`;
      throw new ExchangeError(text, tower, site, step);
    }
  }

  const noSum = { sum: new Uint8Array(4) };
  return {
    checksums: false,
    watch: undefined,
    send({ shape, dtype, copyTo }, place) {
      const endSpan = spansOf(this.watch, 'send', place);
      timed(() => {
        mailbox.send(place, (slot) => {
          endSpan('wait', 0);
          const header: Header = { seq: mailbox.nextSent, ...place, shape, dtype, ...(this.checksums && noSum) };
          const start = encode(header, slot);
          const end = start + payloadBytes(header);
          copyTo(slot.subarray(start, end));
          // The header is as long as before, so the values stay where they are.
          if (this.checksums) encode({ ...header, sum: checksumOf(slot.subarray(start, end)) }, slot);
          const bytes = end + (dtype === 'device' ? payloadBytes({ shape, dtype: 'float32' }) : 0);
          count(place, bytes);
          endSpan('exchange', bytes);
          return end;
        });
      });
    },
    receive({ shape, dtype }, place, use) {
      const endSpan = spansOf(this.watch, 'receive', place);
      return timed(() => {
        const seq = mailbox.nextReceived;
        const expected: Header = { seq, ...place, shape, dtype, ...(this.checksums && noSum) };
        return mailbox.receive(place, (message) => {
          endSpan('wait', 0);
          const { header, payload } = decoded(message, place);
          checkHeader(header, expected, tower, mailbox.names);
          if (header.sum && String(header.sum) !== String(checksumOf(payload))) {
            const { site, step, direction } = place;
            const text = `Cannot continue at ${site} (${direction}, step ${step}) in ${mailbox.names[tower]}: the values are not those that ${mailbox.names[1 - tower]} sent, expected the checksum of its message; memory or a device is damaged: test the machine, then continue from the last checkpoint with --resume`;
            throw new ExchangeError(text, tower, site, step);
          }
          endSpan('exchange', message.length);
          const started = performance.now();
          try {
            return use(payload);
          } finally {
            costs.exchangeMs -= performance.now() - started;
          }
        });
      });
    },
    takeCosts() {
      const taken = costs;
      costs = noCosts();
      return taken;
    },
  };
}
