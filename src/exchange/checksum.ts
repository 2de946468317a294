/** A checksum of a message's values: cheap, and different whenever one word changes. Not against malice. */

const LANES = 4;
const FACTOR = 0x9e3779b1;

/**
 * The 4 bytes of the checksum, as the header has it. Multiplying by an odd number loses nothing, so a change of one word
 * always shows. There are four lanes because a multiplication waits for the one before it.
 * @param values start at a multiple of 4 bytes.
 */
export function checksumOf(values: Uint8Array): Uint8Array {
  const words = new Int32Array(values.buffer, values.byteOffset, values.length >>> 2);
  const whole = words.length - (words.length % LANES);
  let [a, b, c, d] = [1, 2, 3, 4];
  for (let i = 0; i < whole; i += LANES) {
    a = Math.imul(a ^ words[i]!, FACTOR);
    b = Math.imul(b ^ words[i + 1]!, FACTOR);
    c = Math.imul(c ^ words[i + 2]!, FACTOR);
    d = Math.imul(d ^ words[i + 3]!, FACTOR);
  }
  let sum = values.length;
  for (const lane of [a, b, c, d]) sum = Math.imul(sum ^ lane, FACTOR);
  for (let i = 4 * whole; i < values.length; i++) sum = Math.imul(sum ^ values[i]!, FACTOR);
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, sum);
  return bytes;
}
