/**
 * The net's input from grey levels, on the device. It is part of the tower's function, so the images cross to the device as
 * bytes, and all towers have the same values.
 *
 * Everything is float32, where `createTransform` in `data/images/augment.ts` computes in double precision and rounds once.
 * - The values are the same bits if the mean is representable (whole levels, a mean image), the scale is 1 or 1 / a whole
 *   number (1/255, 1/90), and there is no noise: one rounding is left, of the same exact value.
 * - Otherwise each of mean, difference, scale, product, and for noise what is added, sum, divisor and quotient is rounded, by
 *   half a unit in the last place at most. Levels are below 256, so an image without noise is within 5 units in the last
 *   place of 255 (2^-16), times the scale, and within 2 of them at a scale of 1.
 */
import tf = require('@tensorflow/tfjs');

import type { SlotLayout } from '../data/batches/slots.js';
import { floatOfBytes, tensorFrom } from '../native/binding/tensors.js';

export interface Normalizer {
  /**
   * @param levels uint8 [B, S, S, c] @param noise of training images, float32 [B, 4]: what is added to each of three channels,
   * and a divisor.
   * @returns float32 [B, S, S, C], the caller's.
   */
  apply(levels: tf.Tensor4D, noise?: tf.Tensor2D): tf.Tensor4D;
  /** Whether training images come with noise. */
  readonly hasNoise: boolean;
  dispose(): void;
}

/** Puts what it needs on this thread's device; undefined if the images are the net's input already. */
export function openNormalizer({ inputSize: size, channels, normalization }: SlotLayout): Normalizer | undefined {
  if (!normalization) return undefined;
  const { inputChannels, mean, scale, noise: hasNoise } = normalization;
  // A row of the image rather than one value for each channel: TensorFlow repeats it several times as fast on a CPU.
  const row = (values: readonly number[]): tf.Tensor => {
    const repeated = Float32Array.from({ length: size * inputChannels }, (_, i) => values[i % inputChannels]!);
    return tensorFrom([size, inputChannels], repeated);
  };
  const of = (values: readonly number[]): tf.Tensor => {
    return values.every((value) => value === values[0]) ? tensorFrom([], Float32Array.of(values[0]!)) : row(values);
  };
  const taken = mean instanceof Float32Array ? tensorFrom([size, size, channels], mean) : meanOf(mean);
  const factor = factorOf(scale);

  function meanOf(levels: readonly number[]): tf.Tensor | undefined {
    return levels.every((level) => level === 0) ? undefined : of(levels);
  }

  function factorOf(factors: number | readonly number[]): { values: tf.Tensor; isDivisor: boolean } | undefined {
    const all = typeof factors === 'number' ? [factors] : factors;
    if (all.every((each) => each === 1)) return undefined;
    // 1/255 is not representable, 255 is.
    const isDivisor = all.every((each) => Math.fround(each) !== each && Math.fround(1 / each) === 1 / each);
    return { values: of(isDivisor ? all.map((each) => 1 / each) : all), isDivisor };
  }

  return {
    hasNoise,
    apply: (levels, noise) =>
      tf.tidy(() => {
        let images: tf.Tensor = floatOfBytes(levels);
        if (taken) images = tf.sub(images, taken);
        if (factor) images = factor.isDivisor ? tf.div(images, factor.values) : tf.mul(images, factor.values);
        // Also where mean and factor are the same for all channels.
        if (images.shape[3] !== inputChannels) images = tf.tile(images, [1, 1, 1, inputChannels]);
        if (!noise) return images as tf.Tensor4D;
        const count = levels.shape[0];
        const added = tf.tile(tf.reshape(tf.slice(noise, [0, 0], [count, 3]), [count, 1, 1, 3]), [1, 1, size, 1]);
        const divisor = tf.reshape(tf.slice(noise, [0, 3], [count, 1]), [count, 1, 1, 1]);
        return tf.div(tf.add(images, added), divisor) as tf.Tensor4D;
      }),
    dispose: () => tf.dispose([taken, factor?.values]),
  };
}
