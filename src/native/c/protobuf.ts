/** Reads and writes as much of protobuf's wire format as TensorFlow's settings and descriptions need. */
import { loadKoffi, type Pointer } from '../install/koffi.js';
import { type Calls, check } from './status.js';

const koffi = loadKoffi();

type Value = number | Uint8Array;

/** A message's fields by their numbers. Numbers of a fixed size are left out. */
export class Message {
  readonly #fields = new Map<number, Value[]>();

  constructor(bytes: Uint8Array) {
    let at = 0;
    const varint = (): number => {
      let value = 0;
      for (let shift = 1; ; shift *= 128) {
        const byte = bytes[at++]!;
        value += (byte & 0x7f) * shift;
        if (byte < 0x80) return value;
      }
    };
    const add = (field: number, value: Value) => {
      const values = this.#fields.get(field);
      if (values) values.push(value);
      else this.#fields.set(field, [value]);
    };
    while (at < bytes.length) {
      const key = varint();
      const [field, kind] = [Math.floor(key / 8), key & 7];
      if (kind === 0) add(field, varint());
      else if (kind === 1) at += 8;
      else if (kind === 5) at += 4;
      else {
        const length = varint();
        add(field, bytes.slice(at, at + length));
        at += length;
      }
    }
  }

  all(field: number): readonly Value[] {
    return this.#fields.get(field) ?? [];
  }

  messages(field: number): Message[] {
    return this.all(field).map((bytes) => new Message(bytes as Uint8Array));
  }

  /** The last value, as protobuf defines it; '' if the field is absent. */
  text(field: number): string {
    return new TextDecoder().decode(this.all(field).at(-1) as Uint8Array | undefined);
  }

  /** Numbers below 128, packed or one by one. */
  numbers(field: number): number[] {
    return this.all(field).flatMap((value) => (typeof value === 'number' ? [value] : [...value]));
  }
}

/** The message that a function of TensorFlow's writes into a `TF_Buffer`. @throws NativeError if it fails. */
export function messageFrom(calls: Calls, doing: string, write: (buffer: Pointer) => void, op?: string): Message {
  const buffer = calls.c.TF_NewBuffer();
  try {
    write(buffer);
    check(calls, doing, op);
    return new Message(bytesOfBuffer(buffer));
  } finally {
    calls.c.TF_DeleteBuffer(buffer);
  }
}

/** A view of the bytes of a `TF_Buffer`, valid until it is deleted. */
export function bytesOfBuffer(buffer: Pointer): Uint8Array {
  // The struct begins with the address and the length of its data.
  const [data, length] = new BigUint64Array(koffi.view(buffer, 16) as ArrayBuffer);
  return length === 0n ? new Uint8Array() : new Uint8Array(koffi.view(data!, Number(length)) as ArrayBuffer);
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

/** The bytes of a field with a whole number. */
export function varintField(field: number, value: number): number[] {
  return [...varint(field << 3), ...varint(value)];
}

/** The bytes of a field with a string or a message. */
export function bytesField(field: number, bytes: ArrayLike<number>): number[] {
  return [...varint((field << 3) | 2), ...varint(bytes.length), ...Array.from(bytes)];
}
