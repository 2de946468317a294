/** Why the text's initial values hardly train, and the code's do: how much of the images is left at the last layer. */
import assert from 'node:assert/strict';
import test from 'node:test';

import tf = require('@tensorflow/tfjs');

import { slotViews } from '../../src/data/index.js';
import { referenceForward } from '../../src/model/forward.js';
import { initialValue } from '../../src/model/init.js';
import { buildNet, parametersOf } from '../../src/model/net.js';
import { useDevice } from '../../src/native/index.js';
import { statelessNormal, statelessUniform } from '../../src/native/layers/stateless-random.js';
import { nativeOps } from '../../src/tower/native-ops.js';
import { openFeed } from '../../src/train/feed.js';
import { DEVICES, SINGLE, smallConfig } from './teams.js';

const IMAGES = 8;

/** The first test images of a preset's net, whose values are multiplied by `scale`. */
async function imagesOf(preset: string, scale: number) {
  const data = { source: 'embedded', mean: [73, 73, 73], scale, workers: 0 };
  const config = smallConfig({ preset, ...SINGLE, batchSize: IMAGES, data });
  const { feeder } = await openFeed(config);
  try {
    const { slot } = await feeder.test(0);
    const { images } = slotViews(feeder.slots[slot]!, feeder.layout);
    return { config, images: Float32Array.from(images) };
  } finally {
    await feeder.close();
  }
}

/** Mean over the scores of their standard deviation between images, before training, with images of each scale. */
async function signalsOf(preset: string, ...scales: number[]): Promise<number[]> {
  const batches = await Promise.all(scales.map((scale) => imagesOf(preset, scale)));
  const { net: options } = batches[0]!.config;
  const { inputSize: size, inputChannels } = options;
  return tf.tidy(() => {
    const net = buildNet(options);
    const random = { normal: statelessNormal, uniform: statelessUniform };
    const values = parametersOf(net).map((each) => [each.name, initialValue(each, options.init, 1, random)] as const);
    const run = { ops: nativeOps('auto'), parameters: new Map(values), training: false, mask: assert.fail };
    return batches.map(({ images }) =>
      tf.tidy(() => {
        const scores = referenceForward(net, tf.tensor4d(images, [IMAGES, size, size, inputChannels]), run);
        return tf.mean(tf.sqrt(tf.moments(scores, 0).variance)).dataSync()[0]!;
      }),
    );
  });
}

test("the code's initial values keep ten times as much signal as the paper's, and 300 times as much as the paper's on scaled images", async () => {
  useDevice(DEVICES[0]);
  const [code] = await signalsOf('imagenet', 1);
  const [text, scaled] = await signalsOf('imagenet-paper', 1, 1 / 86);
  assert.ok(code! > 10 * text!, `${code} and ${text}`);
  assert.ok(code! > 300 * scaled!, `${code} and ${scaled}`);
});
