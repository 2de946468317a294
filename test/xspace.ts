/** Makes records of TensorFlow's profiler: serialized `XSpace` messages. */
import { bytesField } from '../src/native/c/protobuf.js';

interface Made {
  line: string;
  name: string;
  /** From the start of the session. */
  startMs: number;
  ms: number;
}

interface MadeKernel extends Made {
  /** The op that the kernel belongs to, and how the record names it. */
  op?: string;
  as?: 'text' | 'reference';
}

/** @param started when the session started, milliseconds since 1970. */
export function hostXSpace(started: number, events: readonly Made[]): Uint8Array {
  return space(plane('/host:CPU', started, events));
}

export function deviceXSpace(started: number, events: readonly MadeKernel[]): Uint8Array {
  return space(plane('/device:GPU:0', started, events));
}

export function joinXSpaces(...spaces: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(spaces); // repeated fields of protobuf's messages
}

const text = (field: number, value: string) => bytesField(field, Buffer.from(value));

function number(field: number, value: bigint): number[] {
  const bytes: number[] = [field << 3];
  let left = value;
  for (; left >= 0x80n; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80);
  return [...bytes, Number(left)];
}

function space(bytes: readonly number[]): Uint8Array {
  return Uint8Array.from(bytesField(1, bytes));
}

function plane(name: string, started: number, events: readonly MadeKernel[]): number[] {
  const lines = [...new Set(events.map(({ line }) => line))];
  const entry = (field: number, id: number, what: string) =>
    bytesField(field, [...number(1, BigInt(id)), ...bytesField(2, [...number(1, BigInt(id)), ...text(2, what)])]);
  const references = events.flatMap(({ op, as }) => (op && as === 'reference' ? [op] : []));
  const [TF_OP, FIRST_REFERENCE] = [1, 10];
  return [
    ...text(2, name),
    ...lines.flatMap((line, i) =>
      bytesField(3, [
        ...number(1, BigInt(i)),
        ...text(2, line),
        ...number(3, BigInt(started) * 1_000_000n),
        ...events.flatMap((event, id) => {
          if (event.line !== line) return [];
          const stat =
            event.op === undefined
              ? []
              : bytesField(4, [
                  ...number(1, BigInt(TF_OP)),
                  ...(event.as === 'reference'
                    ? number(7, BigInt(FIRST_REFERENCE + references.indexOf(event.op)))
                    : text(5, event.op)),
                ]);
          return bytesField(4, [
            ...number(1, BigInt(id + 1)),
            ...number(2, BigInt(Math.round(event.startMs * 1e9))),
            ...number(3, BigInt(Math.round(event.ms * 1e9))),
            ...stat,
          ]);
        }),
      ]),
    ),
    ...events.flatMap(({ name: what }, id) => entry(4, id + 1, what)),
    ...entry(5, TF_OP, 'tf_op'),
    ...references.flatMap((what, i) => entry(5, FIRST_REFERENCE + i, what)),
  ];
}
