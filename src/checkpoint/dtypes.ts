/** The kinds of numbers that are read from safetensors files: float32, and those that are exact in it. */

/** Of one kind: bytes of a value, and the values of a tensor's bytes, little-endian. */
interface Kind {
  bytes: number;
  values(raw: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer>;
}

export const KINDS = {
  F32: { bytes: 4, values: (raw) => new Float32Array(raw.buffer, raw.byteOffset, raw.length / 4) },
  F16: { bytes: 2, values: (raw) => widened(raw, halfBits) },
  BF16: { bytes: 2, values: (raw) => widened(raw, (bits) => bits * 2 ** 16) },
} as const satisfies Record<string, Kind>;

export type Dtype = keyof typeof KINDS;

/** Whether a header's `dtype` is one of those. */
export function isDtype(value: unknown, among: readonly Dtype[]): value is Dtype {
  return among.includes(value as Dtype);
}

/** @param wide the bits of the float32 with the value of 16 bits. */
function widened(raw: Uint8Array<ArrayBuffer>, wide: (bits: number) => number): Float32Array<ArrayBuffer> {
  const halves = new Uint16Array(raw.buffer, raw.byteOffset, raw.length / 2);
  const values = new Float32Array(halves.length);
  const words = new Uint32Array(values.buffer);
  for (const [i, bits] of halves.entries()) words[i] = wide(bits);
  return values;
}

/** IEEE 754: binary16 has 5 bits of exponent and 10 of fraction, binary32 has 8 and 23. */
function halfBits(half: number): number {
  const sign = (half & 0x8000) * 2 ** 16;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return sign + 0x7f800000 + fraction * 2 ** 13; // an infinity, or no number with what is in it
  if (exponent > 0) return sign + (exponent + 112) * 2 ** 23 + fraction * 2 ** 13;
  if (fraction === 0) return sign;
  // Below 2^-14 the leading bit is stored in binary16, and not in binary32, which goes further down.
  const leading = 31 - Math.clz32(fraction);
  return sign + (leading + 103) * 2 ** 23 + (fraction - 2 ** leading) * 2 ** (23 - leading);
}
