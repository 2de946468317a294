/**
 * A tensor as one MessagePack message: an array of a header map and the values as one `bin`. Any MessagePack library can
 * read it. Here values are written into the message and read from it without another copy.
 */
import { Packr } from 'msgpackr/pack'; // without its machine code for texts, which takes time to load
import { ExchangeError } from '../errors.js';
import { type Place, TOWER_NAMES } from './mailbox.js';

export interface Header extends Place {
  /** Number of the message in its direction, from 1. */
  seq: number;
  dtype: MessageDtype;
  shape: readonly number[];
  /** Checksum of the values, 4 bytes, if messages are checked; see `checksum.ts`. */
  sum?: Uint8Array;
}

/** How values are written: `float16` halves the bytes and keeps 11 bits of each value. */
export type Dtype = 'float32' | 'float16';

/** `device`: a message without values. It says that a tensor was sent from device to device. */
type MessageDtype = Dtype | 'device';

/** Values start at a multiple of this many bytes, for copies at full speed. */
const ALIGNMENT = 64;
const ARRAY_OF_TWO = 0x92;
const BIN_32 = 0xc6;
const BIN_32_HEAD = 5;
const BYTES: Readonly<Record<MessageDtype, number>> = { float32: 4, float16: 2, device: 0 };

/** Most bytes of a message before its values. */
export const PREFIX_BYTES = 512;

const packr = new Packr({ useRecords: false });

export function payloadBytes({ shape, dtype }: Pick<Header, 'shape' | 'dtype'>): number {
  return shape.reduce((product, size) => product * size, BYTES[dtype]);
}

/**
 * Writes a message up to its values, which have {@link payloadBytes} and end the message.
 * @returns their offset. @throws RangeError if `message` is too short.
 */
export function encode(header: Header, message: Uint8Array): number {
  const bytes = payloadBytes(header);
  // `pad` aligns the values; its length does not change the length of what is around it.
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

/** Reads a message; the payload is a view of it. @throws Error if it is not such a message. */
export function decode(message: Uint8Array): { header: Header; payload: Uint8Array } {
  const parts = packr.unpack(message) as unknown;
  if (!Array.isArray(parts) || parts.length !== 2 || !(parts[1] instanceof Uint8Array)) {
    throw new Error('it is not an array of a header and values');
  }
  const [header, payload] = parts as [Header, Uint8Array];
  if (!Array.isArray(header?.shape) || !Object.hasOwn(BYTES, header.dtype)) {
    throw new Error('its header has no shape or dtype');
  }
  if (payload.length !== payloadBytes(header)) {
    throw new Error(`it has ${payload.length} bytes of values, and [${header.shape}] takes ${payloadBytes(header)}`);
  }
  return { header, payload };
}

const COMPARED = ['seq', 'step', 'site', 'direction', 'dtype', 'shape'] as const;

/** @throws ExchangeError if a message is not the expected one. */
export function checkHeader(found: Header, expected: Header, tower: 0 | 1, names = TOWER_NAMES): void {
  const isSame = COMPARED.every((key) => String(found[key]) === String(expected[key]));
  if (isSame && (found.sum === undefined) === (expected.sum === undefined)) return;
  throw new ExchangeError(
    `Cannot continue at ${expected.site}: ${names[tower]} expected ${describe(expected)} and got ${describe(found)}; the towers run different steps or nets`,
    tower,
    expected.site,
    expected.step,
  );
}

function describe({ seq, step, site, direction, dtype, shape }: Header): string {
  return `message ${seq} (${direction} at ${site}, step ${step}, [${shape}], ${dtype})`;
}
