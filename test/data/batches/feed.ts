/** Feeders of tests, and copies of their batches. */
import type { TestContext } from 'node:test';
import type { SlotViews } from '../../../src/data/batches/slots.js';
import {
  type Batch,
  type BatchFeeder,
  type FeedOptions,
  openFeeder,
  type SlotLayout,
  slotViews,
} from '../../../src/data/index.js';

/** A feeder that is closed after the test. */
export function open(t: TestContext, options: FeedOptions): BatchFeeder {
  const feeder = openFeeder(options);
  t.after(() => feeder.close());
  return feeder;
}

/**
 * The net's input that a slot's first images become, float32 [count, S, S, C]. Of grey levels computed here in double
 * precision and rounded once, as `createTransform` does.
 * @param hasNoise whether they get their noise, as training images do.
 */
export function inputsOf(views: SlotViews, layout: SlotLayout, count: number, hasNoise = false): Float32Array {
  const { inputSize, channels, normalization } = layout;
  const pixels = inputSize * inputSize;
  const levels = views.images.subarray(0, count * pixels * channels);
  if (!normalization) return Float32Array.from(levels);
  const { inputChannels, mean, scale } = normalization;
  return Float32Array.from({ length: count * pixels * inputChannels }, (_, i) => {
    const [pixel, c] = [Math.floor(i / inputChannels), i % inputChannels];
    const place = (at: number) => at * channels + (channels === 1 ? 0 : c);
    const taken = mean instanceof Float32Array ? mean[place(pixel % pixels)]! : mean[c]!;
    const value = Math.fround((levels[place(pixel)]! - taken) * (typeof scale === 'number' ? scale : scale[c]!));
    const noise = hasNoise ? views.noise?.subarray(4 * Math.floor(pixel / pixels)) : undefined;
    return noise ? (value + noise[c]!) / noise[3]! : value;
  });
}

/** Copies of a batch's images, as the net's input without noise, and of its labels. */
export function contents(feeder: BatchFeeder, { slot, count }: Batch) {
  const views = slotViews(feeder.slots[slot]!, feeder.layout);
  return { images: inputsOf(views, feeder.layout, count), labels: views.labels.slice(0, count) };
}
