/**
 * A tensor as one MessagePack message: an array of a header map and the values as one `bin`. Any MessagePack library
 * reads it whole; here the values are written into their place and read from it, never copied in between.
 */
import { Packr } from 'msgpackr';
import { ExchangeError } from '../errors.js';

/** What a message says of its values. */
export interface Header {
  /** Number of the message in its direction, from 1. */
  seq: number;
  step: number;
  /** The layer that reads what crosses. */
  site: string;
  direction: 'forward' | 'backward';
  dtype: MessageDtype;
  shape: readonly number[];
  /** Of the values, 4 bytes, when messages are checked; see `checksum.ts`. */
  sum?: Uint8Array;
}

/** How values are written: `float16` halves the bytes and keeps 11 bits of each value. */
export type Dtype = 'float32' | 'float16';

/** `device`: a message without values. They go from device to device, and it says that they were sent. */
export type MessageDtype = Dtype | 'device';

/** Values start at a multiple of this many bytes, for copies at full speed. */
const ALIGNMENT = 64;
const ARRAY_OF_TWO = 0x92;
const BIN_32 = 0xc6;
const BIN_32_HEAD = 5;
const BYTES: Readonly<Record<MessageDtype, number>> = { float32: 4, float16: 2, device: 0 };

/** Most bytes that a message has before its values. */
export const PREFIX_BYTES = 512;

const packr = new Packr({ useRecords: false });

/** Bytes of the values that a header announces. */
export function payloadBytes({ shape, dtype }: Pick<Header, 'shape' | 'dtype'>): number {
  return shape.reduce((product, size) => product * size, BYTES[dtype]);
}

/**
 * Writes a message up to its values.
 * @returns where the values start in `message`; they are {@link payloadBytes} long and end the message.
 * @throws RangeError when `message` is too short.
 */
export function encode(header: Header, message: Uint8Array): number {
  const bytes = payloadBytes(header);
  // `pad` brings the values to their alignment; its length does not change the length of what is around it.
  const bare = 1 + packr.pack({ ...header, pad: new Uint8Array(0) }).length + BIN_32_HEAD;
  const map = packr.pack({ ...header, pad: new Uint8Array((ALIGNMENT - (bare % ALIGNMENT)) % ALIGNMENT) });
  const start = 1 + map.length + BIN_32_HEAD;
  if (start + bytes > message.length) {
    throw new RangeError(`a message of ${start + bytes} bytes does not fit ${message.length}`);
  }
  message[0] = ARRAY_OF_TWO;
  message.set(map, 1);
  message[1 + map.length] = BIN_32;
  new DataView(message.buffer, message.byteOffset).setUint32(2 + map.length, bytes);
  return start;
}

/**
 * Reads a message.
 * @returns its header, and its values as a view of `message`.
 * @throws Error when it is not a message of ours.
 */
export function decode(message: Uint8Array): { header: Header; payload: Uint8Array } {
  const parts = packr.unpack(message) as unknown;
  if (!Array.isArray(parts) || parts.length !== 2 || !(parts[1] instanceof Uint8Array)) {
    throw new Error('it is not an array of a header and values');
  }
  const header = parts[0] as Header;
  if (!Array.isArray(header?.shape) || !Object.hasOwn(BYTES, header.dtype)) {
    throw new Error('its header has no shape or dtype');
  }
  const payload = parts[1];
  if (payload.length !== payloadBytes(header)) {
    throw new Error(`it has ${payload.length} bytes of values, and [${header.shape}] takes ${payloadBytes(header)}`);
  }
  return { header, payload };
}

/** @throws ExchangeError when a message that came is not the one that was expected. */
export function checkHeader(found: Header, expected: Header, tower: number): void {
  const same =
    found.seq === expected.seq &&
    found.step === expected.step &&
    found.site === expected.site &&
    found.direction === expected.direction &&
    found.dtype === expected.dtype &&
    (found.sum === undefined) === (expected.sum === undefined) &&
    String(found.shape) === String(expected.shape);
  if (same) return;
  throw new ExchangeError(
    `Cannot go on at ${expected.site}: tower ${tower} expected ${named(expected)} and got ${named(found)}; the towers run different steps or nets`,
    tower,
    expected.site,
    expected.step,
  );
}

function named({ seq, step, site, direction, dtype, shape }: Header): string {
  return `message ${seq} (${direction} at ${site}, step ${step}, [${shape}], ${dtype})`;
}
