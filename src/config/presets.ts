/**
 * The presets: every hyper-parameter with its source. Sources as in `model/tables.ts`: the paper, and the code (its config
 * #145, `layer-params-145.cfg`). Fashion-MNIST: Xiao, Rasul, Vollgraf, arXiv:1708.07747.
 */
import { buildNet, isOneColumn } from '../model/net.js';
import { TABLES, type TableName } from '../model/tables.js';
import { IMAGENET_PRESETS, NO_SOURCE, type PresetSettings, torchvision } from './imagenet.js';
import type { Preset, PresetName } from './schema.js';

/** Mean grey level of Fashion-MNIST's 60,000 training images (0.2860 of 255). */
const FASHION_MEAN = 73;

/** The same in all presets. */
const COMMON = {
  placement: 'split',
  replicas: 1,
  average: 'copies',
  servers: [],
  coordinator: null,
  waitForServers: null,
  seed: 1,
  steps: null,
  logEvery: 10,
  logSteps: 1,
  tensorboard: false,
  metricsPort: null,
  evalEvery: 0,
  /** The most that a power cut may cost. A checkpoint takes some milliseconds of a step (docs/reliability.md). */
  checkpointEvery: '10m',
  keep: 2, // two, because the newest may be of a run that has just diverged
  out: 'runs',
  weights: null,
  newHead: false,
  exchange: { transport: 'msgpack', dtype: 'float32', checksum: false },
  /** Far more than a step takes on the slowest device. A peer's error ends the wait at once, without this timeout. */
  exchangeTimeoutMs: 120_000,
  compile: 'on',
  convolutions: 'auto',
  check: true,
  traceSteps: null,
} as const;

const COMMON_NET = { width: 1, init: 'table', dropout: true } as const;

const COMMON_DATA = {
  brightness: 0,
  contrast: 0,
  saturation: 0,
  meanImage: false,
  colourNoise: { strength: 0, end: null, divide: false, colours: 'imagenet' },
  cropGroup: 1,
  onBadImage: 'fail',
  workers: 'auto',
} as const;

function makePreset(preset: PresetName, { net, data, ...settings }: PresetSettings): Preset {
  return { ...COMMON, preset, ...settings, net: { ...COMMON_NET, ...net }, data: { ...COMMON_DATA, ...data } };
}

/** The code's optimizer without its schedule; momentum and weight decay: paper §5. */
const SGD = {
  momentum: 0.9,
  weightDecay: 0.0005,
  biasRateFactor: 2, // the code's `epsB` is twice its `epsW`, and its biases do not decay
  biasDecay: 0,
};

/**
 * For a CPU: the original table at a quarter of its width, on 67 pixels, the smallest input with only whole windows (15, 7, 3
 * and 1 pixels after conv1 and the pools). Initial values by He et al. 2015 (arXiv:1502.01852), because the table's
 * standard deviations are for the full width.
 */
const mini: PresetSettings = {
  net: { table: 'original', width: 0.25, inputSize: 67, inputChannels: 3, classes: 10, init: 'he' },
  optimizer: {
    ...SGD,
    learningRate: 0.02, // twice the paper's: the narrow net is stable with it, and learns faster
    /** Divided by ten, as in the paper, for the last epoch. */
    schedule: { kind: 'steps', epochs: [5], factor: 0.1 },
  },
  data: {
    source: 'embedded',
    /** Crops of 67 out of 74 move by up to 7 pixels, about as far in the picture as the paper's 224 out of 256. */
    resize: 74,
    randomCrop: true,
    flip: true,
    mean: [FASHION_MEAN, FASHION_MEAN, FASHION_MEAN],
    /** One standard deviation of Fashion-MNIST's grey levels (0.3530 of 255 is 90): He's values expect unit variance. */
    scale: 1 / 90,
  },
  batchSize: 64,
  epochs: 6,
};

/**
 * For own photos: 20 to 200 of each class, on a CPU. The net of {@link mini} with small batches, so that few photos make
 * enough steps, more changes of each photo, and a rate that falls to 0 at the end of the run, however long it is.
 */
const photos: PresetSettings = {
  ...mini,
  optimizer: { ...mini.optimizer, learningRate: 0.01, schedule: { kind: 'cosine', least: 0 } },
  data: {
    ...mini.data,
    source: NO_SOURCE,
    upright: true, // of phones, which turn the picture by EXIF alone
    brightness: 0.2,
    contrast: 0.2,
    saturation: 0.2,
  },
  batchSize: 16,
  epochs: 40,
};

/** The whole net of 2012 with the paper's training, on Fashion-MNIST instead of ImageNet. */
const fashion: PresetSettings = {
  net: { table: 'original', inputSize: 224, inputChannels: 3, classes: 10 },
  optimizer: {
    ...SGD,
    learningRate: 0.01, // Paper §5
    /** Paper §5: divided by ten three times. The code's log of #145 has it after epochs 23, 51 and 78 of 93. */
    schedule: { kind: 'steps', epochs: [5, 11, 17], factor: 0.1 },
  },
  data: {
    source: 'fashion-mnist',
    resize: 256, // Paper §4.1: random crops of 224 out of 256, and mirror images
    randomCrop: true,
    flip: true,
    mean: [FASHION_MEAN, FASHION_MEAN, FASHION_MEAN],
    scale: 1, // the code keeps grey levels 0 to 255; the table's standard deviations are for them
  },
  batchSize: 128, // Paper §5
  epochs: 20, // a fifth of the paper's 90; the schedule keeps its proportions
};

/** AlexNet as "Dive into Deep Learning" (d2l.ai, 0.17) teaches it: plain gradient descent, images stretched to 224. */
const tutorial: PresetSettings = {
  net: { table: 'tutorial', inputSize: 224, inputChannels: 1, classes: 10, init: 'xavier' },
  optimizer: {
    learningRate: 0.01,
    momentum: 0,
    weightDecay: 0,
    biasRateFactor: 1,
    biasDecay: 0,
    schedule: { kind: 'constant' },
  },
  data: {
    source: 'fashion-mnist',
    resize: 224,
    randomCrop: false,
    flip: false,
    mean: [0], // grey levels from 0 to 1, no mean subtracted
    scale: 1 / 255,
  },
  batchSize: 128,
  epochs: 10,
};

/** LeNet as the same book teaches it, in its chapter on convolutional networks. */
const lenet: PresetSettings = {
  ...tutorial,
  net: { table: 'lenet', inputSize: 28, inputChannels: 1, classes: 10, init: 'xavier' },
  /** Sigmoids saturate and need a rate this high. */
  optimizer: { ...tutorial.optimizer, learningRate: 0.9 },
  data: { ...tutorial.data, resize: 28 },
  batchSize: 256,
};

/**
 * The authors' net for CIFAR-10, as `layer-params-18pct.cfg` trains it: 120 epochs, then 10 at a tenth of the rate, and 10 at
 * a hundredth. Their last layer alone has a weight decay of 1, which this one does not.
 */
const cifar: PresetSettings = {
  net: { table: 'cifar', inputSize: 32, inputChannels: 3, classes: 10 },
  optimizer: {
    ...SGD,
    learningRate: 0.001,
    weightDecay: 0.004,
    schedule: { kind: 'steps', epochs: [120, 130], factor: 0.1 },
  },
  data: {
    source: 'cifar-10',
    resize: 32,
    randomCrop: false,
    flip: false,
    mean: [125, 123, 114], // the training images' mean; the mean image replaces it
    meanImage: true,
    scale: 1,
  },
  batchSize: 128,
  epochs: 140,
};

const SETTINGS: Record<PresetName, PresetSettings> = {
  ...{ mini, photos, fashion, tutorial, lenet, cifar, torchvision },
  ...IMAGENET_PRESETS,
};

/**
 * What the presets of Fashion-MNIST take for other images, whose grey levels are others: their mean, and where initial values
 * expect unit variance, 1 / their standard deviation.
 */
export const OWN_LEVELS: Partial<Record<PresetName, { readonly mean: 'data'; readonly scale?: 'data' }>> = {
  mini: { mean: 'data', scale: 'data' },
  photos: { mean: 'data', scale: 'data' },
  fashion: { mean: 'data' },
};

/** Every preset, by its name. */
export const PRESETS = Object.fromEntries(
  Object.entries(SETTINGS).map(([name, settings]) => [name, makePreset(name as PresetName, settings)]),
) as Readonly<Record<PresetName, Preset>>;

/** The settings of `summary` without a preset: a table at full width, its grey levels as they are. */
export function tableSettings(table: TableName): Record<string, unknown> {
  const { inputSize, inputChannels, classes } = TABLES[table];
  const net = { ...COMMON_NET, table, inputSize, inputChannels, classes };
  const placement = isOneColumn(buildNet(net)) ? 'single' : 'split';
  return { preset: 'fashion', placement, net, data: { mean: Array(inputChannels).fill(0) } };
}
