/** `--overfit`: one batch is learnt by heart, to see that a net can learn at all. */
import { plural } from '../numbers.js';
import { type ConfigLayer, lastValue, sets, valueAt } from './layers.js';
import type { Config } from './schema.js';

/** `mini` needs some 60. Plain gradient descent, as `tutorial` and `lenet` have it, needs several hundred. */
const STEPS = 200;
const STEPS_WITHOUT_MOMENTUM = 1000;

/** Below this training loss, a batch counts as learnt. */
export const LEARNT_LOSS = 0.1;

/**
 * The layers with one more, right below the first that asks for `overfit`: one batch, nothing random, and a constant rate.
 * Flags beside `--overfit` are above it, so they hold.
 * @param base the preset's settings.
 */
export function withOverfit(base: unknown, layers: readonly ConfigLayer[]): readonly ConfigLayer[] {
  if (lastValue(layers, 'overfit') !== true) return layers;
  const asked = layers.findIndex((layer) => sets(layer, 'overfit'));
  const numberOf = (key: string) => lastValue(layers, key) ?? valueAt(base, [key]);
  const momentum = lastValue(layers, 'optimizer', 'momentum') ?? valueAt(base, ['optimizer', 'momentum']);
  const steps = momentum === 0 ? STEPS_WITHOUT_MOMENTUM : STEPS;
  const values = {
    ...{ steps, evalEvery: steps },
    net: { dropout: false },
    optimizer: { weightDecay: 0, biasDecay: 0, schedule: { kind: 'constant' }, ownRates: [], warmupEpochs: 0 },
    data: {
      limit: Number(numberOf('batchSize')) * Number(numberOf('replicas')),
      ...{ randomCrop: false, flip: false, brightness: 0, contrast: 0, saturation: 0 },
      colourNoise: { strength: 0 },
    },
  };
  return [...layers.slice(0, asked), { values }, ...layers.slice(asked)];
}

/** What a run that overfits does, for the user. */
export function overfitNote({ overfit, data: { limit }, steps, epochs }: Config): string | undefined {
  if (!overfit) return undefined;
  const length = steps === null ? plural(epochs, 'epoch') : plural(steps, 'step');
  return `overfit: ${plural(limit ?? 0, 'image')} without noise, for ${length} at a constant rate; the test images are the same ones`;
}
