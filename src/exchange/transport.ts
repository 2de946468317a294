/** Transports: how a tensor gets to the peer. There is one: MessagePack through shared memory. */
import type * as tf from '@tensorflow/tfjs';
import { ExchangeError } from '../errors.js';
import { checkHeader, decode, encode, type Header, PREFIX_BYTES, payloadBytes } from './codec.js';
import type { Mailbox, Place } from './mailbox.js';

/** A tensor's bytes in and out of the device. The tower gives it; this room knows no device. */
export interface TensorPort {
  /** Returns when the tensor's values are computed, so that the time it takes to compute is not counted as exchange. */
  settle(tensor: tf.Tensor): void;
  /** Copies the values into `bytes`, as long as they are. */
  write(tensor: tf.Tensor, bytes: Uint8Array): void;
  /** A new float32 tensor of a copy of `bytes`; the caller's. */
  read(shape: readonly number[], bytes: Uint8Array): tf.Tensor;
}

/** What an exchange cost, since it was last set to zero. */
export interface Costs {
  /** Packing, copying and unpacking. */
  exchangeMs: number;
  /** Waiting for the peer. */
  waitMs: number;
  /** Bytes sent. */
  bytes: number;
}

/** How tensors get to the peer and from it. */
export interface Transport {
  /** Sends a float32 tensor; it stays the caller's. @throws ExchangeError when the peer is gone. */
  send(tensor: tf.Tensor, place: Place): void;
  /** The peer's next tensor; it is the caller's. @throws ExchangeError when it does not come or is not the expected. */
  receive(shape: readonly number[], place: Place): tf.Tensor;
  /** The costs so far; starts again from zero. */
  takeCosts(): Costs;
}

/** Bytes of a slot that every message of up to `payload` bytes of values fits. */
export function slotBytesFor(payload: number): number {
  return PREFIX_BYTES + payload;
}

/** MessagePack messages through a mailbox. @param tower the tower whose end the mailbox is. */
export function msgpackTransport(mailbox: Mailbox, tower: 0 | 1, port: TensorPort): Transport {
  let costs: Costs = { exchangeMs: 0, waitMs: 0, bytes: 0 };

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

  return {
    send(tensor, place) {
      port.settle(tensor);
      timed(() => {
        const header: Header = { seq: mailbox.nextSent, ...place, dtype: 'float32', shape: tensor.shape };
        mailbox.send(place, (slot) => {
          const start = encode(header, slot);
          const end = start + payloadBytes(header);
          port.write(tensor, slot.subarray(start, end));
          costs.bytes += end;
          return end;
        });
      });
    },
    receive(shape, place) {
      return timed(() => {
        const expected: Header = { seq: mailbox.nextReceived, ...place, dtype: 'float32', shape };
        return mailbox.receive(place, (message) => {
          const { header, payload } = decoded(message, tower, place);
          checkHeader(header, expected, tower);
          return port.read(shape, payload);
        });
      });
    },
    takeCosts() {
      const taken = costs;
      costs = { exchangeMs: 0, waitMs: 0, bytes: 0 };
      return taken;
    },
  };
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
