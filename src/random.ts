/**
 * Random numbers without state. Each number is a function of the seed, its purpose, its place and the step. So a split and
 * a single run draw the same numbers, and a resumed run does not have to replay the earlier ones.
 *
 * The function is Philox4x32 with ten rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 */

/** The purpose of a number. It is part of the key, so that two purposes never share numbers. */
export const PURPOSE = {
  init: 1,
  dropout: 2,
  order: 3,
  crop: 4,
  flip: 5,
  colour: 6,
  colourNoise: 7,
  sample: 8,
  limit: 9,
  synthetic: 10,
  shards: 11,
  window: 12,
  newHead: 13,
} as const;

export type Purpose = (typeof PURPOSE)[keyof typeof PURPOSE];

export type Words = [number, number, number, number];

const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
const WEYL = [0x9e3779b9, 0xbb67ae85] as const;
const ROUNDS = 10;

/** Philox4x32-10 of a counter and a key. All words are unsigned 32-bit integers. */
export function philox(counter: Readonly<Words>, key: readonly [number, number]): Words {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    // Without arrays, which take four times as long: an epoch of ImageNet draws a million times before its first batch.
    const next0 = multiplyHigh(MULTIPLIERS[1], c2) ^ c1 ^ k0;
    const next2 = multiplyHigh(MULTIPLIERS[0], c0) ^ c3 ^ k1;
    c1 = Math.imul(MULTIPLIERS[1], c2);
    c3 = Math.imul(MULTIPLIERS[0], c0);
    c0 = next0;
    c2 = next2;
    k0 = (k0 + WEYL[0]) | 0;
    k1 = (k1 + WEYL[1]) | 0;
  }
  return [c0 >>> 0, c1 >>> 0, c2 >>> 0, c3 >>> 0];
}

/**
 * Draws four random words.
 * @param seed of the run, from 0 to 2³² - 1.
 * @param place a layer (see {@link nameWord}) or the index of an image.
 * @param part of the place: a tower.
 * @param step a step or an epoch, an integer up to 2⁵³.
 */
export function draw(seed: number, purpose: Purpose, place: number, part: number, step: number): Words {
  return philox([place >>> 0, part >>> 0, step >>> 0, Math.floor(step / 2 ** 32)], [seed >>> 0, purpose]);
}

/** Converts a word to a number in [0, 1), in steps of 2⁻³². */
export function unit(word: number): number {
  return word / 2 ** 32;
}

/** Hashes a name to a word (FNV-1a of its UTF-8 bytes). */
export function nameWord(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** Returns the numbers from 0 to `count` - 1 in the random order of an epoch. @param purpose by default that of images. */
export function shuffled(count: number, seed: number, epoch: number, purpose: Purpose = PURPOSE.order): Uint32Array {
  const order = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(unit(draw(seed, purpose, i, 0, epoch)[0]) * (i + 1));
    const moved = order[i]!;
    order[i] = order[j]!;
    order[j] = moved;
  }
  return order;
}

/** Returns the upper 32 bits of the product of two unsigned words, as a signed word. */
function multiplyHigh(a: number, b: number): number {
  const [aHigh, aLow] = [a >>> 16, a & 0xffff];
  const [bHigh, bLow] = [b >>> 16, b & 0xffff];
  const low = Math.imul(aLow, bLow);
  const middle = Math.imul(aHigh, bLow) + (low >>> 16); // modulo 2³², which no sum here exceeds
  const middle2 = Math.imul(aLow, bHigh) + (middle & 0xffff);
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (middle2 >>> 16)) | 0;
}
