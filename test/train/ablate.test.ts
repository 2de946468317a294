/** Which variants apply to which settings, and the result of a training by its events. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { type Config, resolveConfig } from '../../src/config/config.js';
import { buildNet, parametersOf, sitesOf } from '../../src/model/net.js';
import { layerName } from '../../src/model/summary.js';
import { VARIANT_NAMES, variantsOf } from '../../src/train/ablate.js';
import { hasTop5, watchTraining } from '../../src/train/ablate-result.js';
import { flags, machineWith } from '../config/machines.js';
import { EVAL, RUN_END, RUN_START, trainStep } from '../events.js';

const MACHINE = machineWith('CPU:0', 'CPU:1');

function configOf(values: Record<string, unknown>): Config {
  return resolveConfig([flags(values)], MACHINE).config;
}

/** The settings of each variant, by name. */
function variantConfigs(base: Config): Record<string, Config> {
  const layer = flags(base as unknown as Record<string, unknown>);
  return Object.fromEntries(
    variantsOf(base).variants.map(({ name, values }) => [name, resolveConfig([layer, flags(values)], MACHINE).config]),
  );
}

test('variantsOf() returns each change of the paper for the original net, as a valid config', () => {
  const base = configOf({ preset: 'mini' });
  const { variants, missing } = variantsOf(base);
  assert.deepEqual(
    variants.map(({ name }) => name),
    VARIANT_NAMES.filter((name) => name !== 'relu' && name !== 'no-colour-noise'),
  );
  assert.deepEqual(missing, [
    { name: 'relu', reason: 'the baseline has it' },
    { name: 'no-colour-noise', reason: 'the images get no noise of colours' },
  ]);
  const configs = variantConfigs(base);
  const kinds = (name: string) => buildNet(configs[name]!.net).layers.map(({ kind }) => kind);
  assert.ok(!kinds('no-norm').includes('norm') && !kinds('no-norm').includes('mapNorm'));
  assert.ok(!kinds('no-dropout').includes('dropout'));
  for (const activation of ['sigmoid', 'tanh']) {
    const names = buildNet(configs[activation]!.net).layers.map(layerName);
    assert.ok(names.includes(activation) && !names.includes('relu'));
  }
  const pools = buildNet(configs['no-overlap']!.net).layers.flatMap((each) =>
    each.kind === 'pool' ? [each.size] : [],
  );
  assert.deepEqual(pools, [2, 2, 2]);
  assert.equal(configs['one-gpu']!.placement, 'single');
  assert.deepEqual(
    sitesOf(buildNet(configs.columns!.net)).map(({ name }) => name),
    ['fc8'],
  );
  assert.deepEqual(
    [configs['no-augmentation']!.data.randomCrop, configs['no-augmentation']!.data.flip],
    [false, false],
  );
});

test('variantsOf() changes one thing, and not the seed, the length or the rest', () => {
  const base = configOf({ preset: 'mini', seed: 7, steps: 40 });
  for (const [name, config] of Object.entries(variantConfigs(base))) {
    const changed = Object.entries(config).filter(
      ([key, value]) => JSON.stringify(value) !== JSON.stringify(base[key as keyof Config]),
    );
    const isOfImages = ['no-augmentation', 'no-crop', 'no-flip'].includes(name);
    const key = isOfImages ? 'data' : name === 'no-weight-decay' ? 'optimizer' : 'net';
    const expected = name === 'one-gpu' ? ['placement', 'net'] : [key];
    assert.deepEqual(
      changed.map(([key]) => key),
      expected,
      name,
    );
  }
});

test('variantsOf() returns nets about as large as the original', () => {
  const base = configOf({ preset: 'imagenet', data: { source: '/images' } });
  const sizeOf = ({ net }: Config) =>
    parametersOf(buildNet(net)).reduce((total, { shape }) => total + shape.reduce((a, b) => a * b, 1), 0);
  const sizes = Object.values(variantConfigs(base)).map((config) => sizeOf(config) / sizeOf(base));
  for (const size of sizes) assert.ok(size > 0.98 && size < 1.01, `${size}`);
});

test('variantsOf() says why settings do not have a variant', () => {
  const lenet = variantsOf(configOf({ preset: 'lenet' }));
  assert.deepEqual(
    lenet.variants.map(({ name }) => name),
    ['relu', 'tanh'],
  );
  const reasons = Object.fromEntries(lenet.missing.map(({ name, reason }) => [name, reason]));
  assert.match(reasons['no-norm']!, /no response normalization/);
  assert.match(reasons['no-overlap']!, /no pool of the net overlaps/);
  assert.match(reasons['one-gpu']!, /only the net original/);
  assert.match(reasons['no-dropout']!, /no dropout/);
  assert.match(reasons['no-augmentation']!, /not augmented/);
  const coloured = variantsOf(configOf({ preset: 'lenet', data: { saturation: 0.1 } }));
  assert.ok(coloured.variants.some(({ name }) => name === 'no-augmentation'));
});

test('watchTraining() has the errors of the last evaluation, and of how many images', () => {
  const watched = watchTraining();
  assert.equal(watched.result(), undefined);
  watched.see(RUN_START);
  watched.see(trainStep(1, { step_ms: 5000 }));
  watched.see({ ...EVAL, step: 1, top1: 0.1 });
  watched.see(trainStep(2, { step_ms: 10 }));
  watched.see(trainStep(3, { step_ms: 30 }));
  assert.equal(watched.result(), undefined, 'it has not ended');
  watched.see({ ...EVAL, step: 3, top1: 0.75, top5: 1, loss: 0.5 });
  watched.see(RUN_END);
  assert.deepEqual(watched.result(), {
    ...{ status: 'done', steps: 3, parameters: 30, placement: 'split' },
    ...{ top1Error: 0.25, top5Error: 0, testLoss: 0.5, testImages: 1000 },
  });
});

test('watchTraining() has no test errors of a training that failed', () => {
  const watched = watchTraining();
  watched.see(RUN_START);
  watched.see(trainStep(1));
  watched.see({ ...EVAL, step: 1 });
  watched.see({ ...RUN_END, status: 'failed', steps: 1, error: 'the loss is NaN' });
  assert.deepEqual(watched.result(), {
    ...{ status: 'failed', steps: 1, parameters: 30, placement: 'split', error: 'the loss is NaN' },
  });
});

test('watchTraining() finds the first step at which the mean error of 5,000 images or an epoch fell to a level', () => {
  /** After how many epochs of three steps, for top-1 accuracies by step. */
  const epochsOf = (images: number, trainImages: number, ...tops: [step: number, top1: number][]) => {
    const watched = watchTraining({ untilError: 0.25 });
    watched.see({ ...RUN_START, dataset: { ...RUN_START.dataset, train_images: trainImages } });
    for (const [step, top1] of tops) watched.see(trainStep(step, { images, top1 }));
    watched.see(RUN_END);
    return watched.result()!.until!.epochs;
  };
  assert.equal(epochsOf(4, 4, [1, 0.5], [2, 0.8], [3, 0.4]), 2 / 3, 'an epoch of one step');
  assert.equal(epochsOf(4, 8, [1, 0.8], [2, 0.6], [3, 0.9]), 1, 'not before two steps, and not their first two');
  assert.equal(epochsOf(2500, 60_000, [1, 0.8], [2, 0.6], [3, 0.9]), 1, '5,000 images are enough');
  assert.equal(epochsOf(4, 8, [1, 0.8], [2, 0.6]), null);
  // A resumed run repeats steps 2 and 3.
  assert.equal(epochsOf(4, 8, [1, 0.4], [2, 0.9], [3, 0.9], [2, 0.4], [3, 0.4], [4, 0.9], [5, 0.9]), 5 / 3);
});

test('hasTop5() is false for ten classes', () => {
  assert.deepEqual([hasTop5(10), hasTop5(100), hasTop5(1000)], [false, true, true]);
});
