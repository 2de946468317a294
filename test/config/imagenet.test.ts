/** The recipe of 2012, number by number, against the logs at the end of the code's configurations. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { resolveConfig } from '../../src/config/config.js';
import { PRESETS } from '../../src/config/presets.js';
import type { PresetName } from '../../src/config/schema.js';
import { buildNet, isWeighted, parametersOf, sitesOf } from '../../src/model/net.js';
import {
  learningRateAt,
  type OptimizerOptions,
  type Role,
  ratesOf,
  type ScheduleState,
} from '../../src/optim/schedule.js';
import { flags, machineWith } from './machines.js';

/** The kernels' rate in an epoch of a long run. */
const learningRateIn = (epoch: number, optimizer: OptimizerOptions, state?: ScheduleState) =>
  learningRateAt({ step: epoch, steps: 1000, batchesPerEpoch: 1 }, optimizer, state);

/** What a layer's kernels or biases are updated with in an epoch. */
function ratesIn(preset: PresetName, layer: string, role: Role, epoch: number) {
  const { optimizer } = PRESETS[preset];
  return ratesOf({ layer, role }, { learningRate: learningRateIn(epoch, optimizer), epoch }, optimizer);
}

function assertRates(preset: PresetName, layer: string, role: Role, rates: Record<number, number>): void {
  for (const [epoch, rate] of Object.entries(rates)) {
    const found = ratesIn(preset, layer, role, Number(epoch)).learningRate;
    assert.ok(Math.abs(found - rate) <= 1e-9 * rate, `${preset} ${layer} ${role} in epoch ${epoch}: ${found}`);
  }
}

const LAYERS = ['conv2', 'conv3', 'conv4', 'conv5', 'fc6', 'fc7', 'fc8'];

// layer-params-145.cfg: 25: 0.001; 51: 0.0001; 67: 0.00001 on conv1; 72: 0 on conv1; 79: 0.00001; 91: killed.
test('imagenet has the rates of the log of #145, by epoch', () => {
  for (const layer of LAYERS) {
    assertRates('imagenet', layer, 'kernel', {
      1: 0.01,
      25: 0.01,
      26: 1e-3,
      51: 1e-3,
      52: 1e-4,
      79: 1e-4,
      80: 1e-5,
      91: 1e-5,
    });
  }
  assertRates('imagenet', 'conv1', 'kernel', {
    1: 0.01,
    25: 0.01,
    26: 1e-3,
    52: 1e-4,
    67: 1e-4,
    68: 1e-5,
    72: 1e-5,
    73: 0,
    80: 0,
    91: 0,
  });
  assert.equal(PRESETS.imagenet.epochs, 91);
});

test('imagenet keeps twice the first rate for biases to the end, without decay', () => {
  for (const layer of LAYERS) {
    assertRates('imagenet', layer, 'bias', { 1: 0.02, 25: 0.02, 26: 0.02, 52: 0.02, 80: 0.02, 91: 0.02 });
  }
  assertRates('imagenet', 'conv1', 'bias', { 1: 0.02, 72: 0.02, 73: 0, 91: 0 });
  for (const preset of ['imagenet', 'imagenet-one-gpu', 'imagenet-columns'] as const) {
    assert.equal(ratesIn(preset, 'fc6', 'bias', 1).weightDecay, 0);
    assert.equal(ratesIn(preset, 'fc6', 'kernel', 1).weightDecay, 0.0005);
    assert.equal(ratesIn(preset, 'fc6', 'bias', 1).momentum, 0.9);
  }
});

// layer-params-145-half.cfg and layer-params-150.cfg.
test('imagenet-one-gpu and imagenet-columns have the rates of their logs', () => {
  assertRates('imagenet-one-gpu', 'conv2', 'kernel', { 20: 0.01, 21: 1e-3, 48: 1e-3, 49: 1e-4, 96: 1e-5 });
  assertRates('imagenet-one-gpu', 'conv1', 'kernel', { 66: 1e-4, 67: 1e-5, 72: 1e-5, 73: 0 });
  assertRates('imagenet-columns', 'conv2', 'kernel', { 25: 0.01, 26: 1e-3, 49: 1e-3, 50: 1e-4, 80: 1e-5 });
  assertRates('imagenet-columns', 'conv1', 'kernel', { 66: 1e-4, 67: 1e-5, 72: 1e-5, 73: 0 });
  assert.deepEqual([PRESETS['imagenet-one-gpu'].epochs, PRESETS['imagenet-columns'].epochs], [96, 92]);
});

// Paper §5.
test('imagenet-paper has one rate for all layers, decay on all, and divides by ten at plateaus, three times', () => {
  const { optimizer, epochs } = PRESETS['imagenet-paper'];
  assert.equal(epochs, 90);
  assert.equal(learningRateIn(1, optimizer), 0.01);
  for (const role of ['kernel', 'bias'] as const) {
    assert.deepEqual(ratesIn('imagenet-paper', 'conv1', role, 90), {
      learningRate: 0.01,
      momentum: 0.9,
      weightDecay: 0.0005,
    });
  }
  const stuck = (epochs: number) => Array.from({ length: epochs }, (_, i) => ({ epoch: i + 1, error: 0.5 }));
  const rates = Array.from({ length: 90 }, (_, i) => learningRateIn(i + 1, optimizer, { errors: stuck(i) }));
  const distinct = [...new Set(rates.map((rate) => rate.toExponential(3)))];
  assert.deepEqual(distinct, ['1.000e-2', '1.000e-3', '1.000e-4', '1.000e-5']);
});

test('the presets of 2012 have the nets of their sources, with as many parameters', () => {
  const counts: [PresetName, string, number, string[]][] = [
    ['imagenet', 'original', 60_965_224, ['conv3', 'fc6', 'fc7', 'fc8']],
    ['imagenet-paper', 'paper', 60_965_224, ['conv3', 'fc6', 'fc7', 'fc8']],
    ['imagenet-one-gpu', 'one-gpu', 59_798_312, []],
    ['imagenet-columns', 'columns', 60_714_408, ['fc8']],
  ];
  for (const [preset, table, count, sites] of counts) {
    const { net, batchSize, data } = PRESETS[preset];
    const built = buildNet(net);
    const found = parametersOf(built).reduce((total, { shape }) => total + shape.reduce((a, b) => a * b, 1), 0);
    assert.deepEqual([net.table, found], [table, count]);
    assert.deepEqual(
      sitesOf(built).map(({ name }) => name),
      sites,
    );
    assert.deepEqual([net.classes, net.inputSize, data.resize, batchSize], [1000, 224, 256, 128]);
    assert.deepEqual([data.randomCrop, data.flip, data.scale], [true, true, 1]);
    const names: string[] = built.layers.filter(isWeighted).map(({ name }) => name);
    for (const { layer } of PRESETS[preset].optimizer.ownRates ?? []) assert.ok(!layer || names.includes(layer));
  }
});

test('imagenet-one-gpu cannot be split', () => {
  const layer = flags({ preset: 'imagenet-one-gpu', data: { source: '/images' } });
  const machine = machineWith('CPU:0', 'CPU:1');
  const { config } = resolveConfig([layer], machine);
  assert.deepEqual([config.placement, config.devices], ['single', ['CPU:0']]);
  assert.throws(() => resolveConfig([layer, flags({ placement: 'split' })], machine), {
    name: 'ConfigError',
    message: /^Cannot split the net "one-gpu": it has one column, for one device; use --placement single/,
  });
});
