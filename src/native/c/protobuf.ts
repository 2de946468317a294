/** As much of protobuf's wire format as is needed to read what TensorFlow says of itself. */

import { loadKoffi } from '../install/koffi.js';
import type { Pointer } from './signatures.js';

const koffi = loadKoffi();

/** A view of what a `TF_Buffer` holds, for as long as it lives: it begins with the data's address and length. */
export function bytesOfBuffer(buffer: Pointer): Uint8Array {
  const [data, length] = new BigUint64Array(koffi.view(buffer, 16) as ArrayBuffer);
  return length === 0n ? new Uint8Array() : new Uint8Array(koffi.view(data!, Number(length)) as ArrayBuffer);
}

/** The fields of a message in protobuf's wire format; numbers and length-delimited values are told, others skipped. */
export function* fieldsOf(bytes: Uint8Array): Generator<{ field: number; value: number | Uint8Array }> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const field = Math.floor(key / 8);
    switch (key & 7) {
      case 0:
        yield { field, value: varint() };
        break;
      case 1:
        at += 8;
        break;
      case 5:
        at += 4;
        break;
      default: {
        const length = varint();
        yield { field, value: bytes.slice(at, at + length) };
        at += length;
      }
    }
  }
}
