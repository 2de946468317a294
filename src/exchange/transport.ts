/** Transports: how a tensor gets to the peer. */
import type * as tf from '@tensorflow/tfjs';
import { ExchangeError } from '../errors.js';
import { checksumOf, sameChecksum } from './checksum.js';
import {
  checkHeader,
  type Dtype,
  decode,
  encode,
  type Header,
  PREFIX_BYTES,
  payloadBytes,
  tensorBytes,
} from './codec.js';
import type { Mailbox, Place } from './mailbox.js';

/** A tensor's way out of a device and into one. The tower gives it; this room knows no device. */
export interface TensorPort {
  /** Returns when the tensor's values are computed, so that the time it takes to compute is not counted as exchange. */
  settle(tensor: tf.Tensor): void;
  /** Copies the values, times `scale`, into `bytes`, as long as they are. */
  write(tensor: tf.Tensor, bytes: Uint8Array, dtype: Dtype, scale: number): void;
  /** A new float32 tensor of a copy of `bytes`, divided by `scale`; the caller's. */
  read(shape: readonly number[], bytes: Uint8Array, dtype: Dtype, scale: number): tf.Tensor;
  /** The same, which may lie in `bytes`: they stay as they are until it is disposed of. The caller's. */
  view(shape: readonly number[], bytes: Uint8Array, dtype: Dtype, scale: number): tf.Tensor;
  /** A second handle of the tensor, for the peer, who frees it with `take`. */
  lend(tensor: tf.Tensor): bigint;
  /** A copy on this device of a tensor that was lent; the caller's. */
  take(handle: bigint): tf.Tensor;
}

/** What an exchange cost, since it was last set to zero. */
export interface Costs {
  /** Packing, copying and unpacking; not what is computed with what came. */
  exchangeMs: number;
  /** Waiting for the peer. */
  waitMs: number;
  /** Bytes sent; of a tensor that goes by device its values' too. */
  bytes: number;
}

/** How tensors get to the peer and from it. */
export interface Transport {
  /** Whether messages carry a checksum of their values, and are held to it: the same at both ends. */
  checksums: boolean;
  /** Sends a float32 tensor; it stays the caller's. @throws ExchangeError when the peer is gone. */
  send(tensor: tf.Tensor, place: Place): void;
  /** The peer's next tensor; it is the caller's. @throws ExchangeError when it does not come or is not the expected. */
  receive(shape: readonly number[], place: Place): tf.Tensor;
  /**
   * Has `compute` use the peer's next tensor where it lies; when that returns it is gone, with all that shares its memory.
   * @returns what `compute` does: nothing that shares that memory. @throws as `receive`, and what `compute` throws.
   */
  receiveFor<T>(shape: readonly number[], place: Place, compute: (tensor: tf.Tensor) => T): T;
  /** The costs so far; starts again from zero. */
  takeCosts(): Costs;
}

/** What a gather needs of a transport. */
export type Exchanger = Pick<Transport, 'send' | 'receive' | 'receiveFor'>;

/** Gradients are small: as float16 many would be zero. A power of two, so that no bit is lost on the way. */
const HALF_GRADIENT_SCALE = 4096;

/** Bytes of a slot that every message of up to `payload` bytes of values fits. */
export function slotBytesFor(payload: number): number {
  return PREFIX_BYTES + payload;
}

/** The values themselves, as MessagePack through a mailbox. @param tower the tower whose end the mailbox is. */
export function msgpackTransport(
  mailbox: Mailbox,
  tower: 0 | 1,
  port: TensorPort,
  dtype: Dtype = 'float32',
): Transport {
  const scaleOf = ({ direction }: Place) => (dtype === 'float16' && direction === 'backward' ? HALF_GRADIENT_SCALE : 1);
  return transport(mailbox, tower, {
    prepare: (tensor) => port.settle(tensor),
    header: () => ({ dtype }),
    write: (tensor, bytes, place) => port.write(tensor, bytes, dtype, scaleOf(place)),
    read: ({ shape }, bytes, place) => port.read(shape, bytes, dtype, scaleOf(place)),
    view: ({ shape }, bytes, place) => port.view(shape, bytes, dtype, scaleOf(place)),
  });
}

/** The message carries the tensor's handle, and the peer copies from device to device, within the process. */
export function deviceTransport(mailbox: Mailbox, tower: 0 | 1, port: TensorPort): Transport {
  return transport(mailbox, tower, {
    prepare: () => {},
    header: (tensor) => ({ dtype: 'float32', handle: tensor ? port.lend(tensor) : 0n }),
    write: () => {},
    read: ({ handle }) => port.take(handle!),
    view: ({ handle }) => port.take(handle!),
  });
}

/** What transports differ in. */
interface Way {
  prepare(tensor: tf.Tensor): void;
  /** What the header says; without a tensor, what it is expected to. */
  header(tensor?: tf.Tensor): Pick<Header, 'dtype' | 'handle'>;
  write(tensor: tf.Tensor, bytes: Uint8Array, place: Place): void;
  read: Read;
  /** The same, for as long as the bytes stay. */
  view: Read;
}

type Read = (header: Header, bytes: Uint8Array, place: Place) => tf.Tensor;

function transport(mailbox: Mailbox, tower: 0 | 1, way: Way): Transport {
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

  /** Runs `action` within what is timed, whose time is no exchange. */
  function untimed<T>(action: () => T): T {
    const started = performance.now();
    try {
      return action();
    } finally {
      costs.exchangeMs -= performance.now() - started;
    }
  }

  /** The next message, if it is the expected one, read by `read`. */
  function next<T>(
    shape: readonly number[],
    place: Place,
    checksums: boolean,
    read: (header: Header, payload: Uint8Array) => T,
  ): T {
    return timed(() => {
      const expected: Header = {
        ...{ seq: mailbox.nextReceived, ...place, shape, ...way.header() },
        ...(checksums && noSum),
      };
      return mailbox.receive(place, (message) => {
        const { header, payload } = decoded(message, tower, place);
        checkHeader(header, expected, tower);
        if (header.sum && !sameChecksum(header.sum, checksumOf(payload))) throw damaged(tower, place);
        return read(header, payload);
      });
    });
  }

  const noSum = { sum: new Uint8Array(4) };
  return {
    checksums: false,
    send(tensor, place) {
      way.prepare(tensor);
      timed(() => {
        mailbox.send(place, (slot) => {
          const header: Header = {
            ...{ seq: mailbox.nextSent, ...place, shape: tensor.shape, ...way.header(tensor) },
            ...(this.checksums && noSum),
          };
          const start = encode(header, slot);
          const end = start + payloadBytes(header);
          way.write(tensor, slot.subarray(start, end), place);
          // As long as the one before, so the values stay where they are.
          if (this.checksums) encode({ ...header, sum: checksumOf(slot.subarray(start, end)) }, slot);
          costs.bytes += start + tensorBytes(header);
          return end;
        });
      });
    },
    receive(shape, place) {
      return next(shape, place, this.checksums, (header, payload) => way.read(header, payload, place));
    },
    receiveFor(shape, place, compute) {
      return next(shape, place, this.checksums, (header, payload) => {
        const tensor = way.view(header, payload, place);
        try {
          return untimed(() => compute(tensor));
        } finally {
          tensor.dispose();
        }
      });
    },
    takeCosts() {
      const taken = costs;
      costs = { exchangeMs: 0, waitMs: 0, bytes: 0 };
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
