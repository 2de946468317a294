/**
 * The presets: every hyper-parameter's number, with where it comes from. Sources as in `model/tables.ts`: the paper, and
 * the code (its config #145, `layer-params-145.cfg`). Fashion-MNIST: Xiao, Rasul, Vollgraf, arXiv:1708.07747.
 */
import { buildNet, isOneColumn, type NetOptions } from '../model/net.js';
import { TABLES, type TableName } from '../model/tables.js';
import type { Preset, PresetName } from './config.js';
import { imagenetPresets } from './imagenet.js';

/** Mean grey level of Fashion-MNIST's 60,000 training images (0.2860 of 255). */
const FASHION_MEAN = 73;

/** What no preset changes: how a run is watched, not what it computes. */
const COMMON = {
  placement: 'split',
  seed: 1,
  steps: null,
  logEvery: 10,
  evalEvery: 0,
  /** What a power cut may cost; a checkpoint costs a step some milliseconds (docs/reliability.md). */
  checkpointEvery: '10m',
  /** The newest may be of a run that has just gone wrong. */
  keep: 2,
  out: 'runs',
  weights: null,
  exchange: { transport: 'msgpack', dtype: 'float32', checksum: false },
  /** Far above a step's time on the slowest device; a peer that died is told at once, without this. */
  exchangeTimeoutMs: 120_000,
  compile: 'on',
  convolutions: 'auto',
  check: true,
  fault: null,
} as const;

/** No change of colour: Fashion-MNIST is grey. */
const PLAIN_COLOUR = { brightness: 0, contrast: 0, saturation: 0 } as const;

/** What these presets leave out of ImageNet's recipe. */
const NO_IMAGENET = {
  meanImage: false,
  colourNoise: { strength: 0, end: null, divide: false, colours: 'imagenet' },
  cropGroup: 1,
  /** A file that cannot be read is an accident until somebody says otherwise. */
  onBadImage: 'fail',
} as const;

/** The data worker keeps one step ahead of two towers on a CPU; the towers need the cores. */
const WORKERS = 1;

/**
 * For a CPU: the original table at a quarter of its width, on 67 pixels, the smallest input whose windows all are whole
 * (15, 7, 3 and 1 after conv1 and the pools). He's initial values (He et al. 2015, arXiv:1502.01852), for the table's
 * deviations are made for the full width.
 */
const mini: Preset = {
  ...COMMON,
  preset: 'mini',
  net: { table: 'original', width: 0.25, inputSize: 67, inputChannels: 3, classes: 10, init: 'he', dropout: true },
  optimizer: {
    /** Twice the paper's: the narrow net bears it, and learns faster. */
    learningRate: 0.02,
    /** Paper §5. */
    momentum: 0.9,
    weightDecay: 0.0005,
    /** The code's `epsB` is twice its `epsW`, and its biases do not decay. */
    biasRateFactor: 2,
    biasDecay: 0,
    /** Divided by ten, as in the paper, for the last epoch. */
    schedule: { kind: 'steps', epochs: [5], factor: 0.1 },
  },
  data: {
    source: 'embedded',
    /** Crops of 67 out of 74 move by up to 7 pixels, about as far in the picture as the paper's 224 out of 256. */
    resize: 74,
    randomCrop: true,
    flip: true,
    ...PLAIN_COLOUR,
    ...NO_IMAGENET,
    mean: [FASHION_MEAN, FASHION_MEAN, FASHION_MEAN],
    /** One standard deviation of Fashion-MNIST's grey levels (0.3530 of 255 is 90): He's values expect unit variance. */
    scale: 1 / 90,
    workers: WORKERS,
  },
  batchSize: 64,
  epochs: 6,
};

/** The whole net of 2012 with the paper's training, on Fashion-MNIST in place of ImageNet. */
const fashion: Preset = {
  ...COMMON,
  preset: 'fashion',
  net: { table: 'original', width: 1, inputSize: 224, inputChannels: 3, classes: 10, init: 'table', dropout: true },
  optimizer: {
    /** Paper §5. */
    learningRate: 0.01,
    momentum: 0.9,
    weightDecay: 0.0005,
    /** The code's `epsB` is twice its `epsW`, and its biases do not decay. */
    biasRateFactor: 2,
    biasDecay: 0,
    /** Paper §5: divided by ten three times. The code's log of #145 has it after epochs 23, 51 and 78 of 93. */
    schedule: { kind: 'steps', epochs: [5, 11, 17], factor: 0.1 },
  },
  data: {
    source: 'fashion-mnist',
    /** Paper §4.1: random crops of 224 out of 256, and mirror images. */
    resize: 256,
    randomCrop: true,
    flip: true,
    ...PLAIN_COLOUR,
    ...NO_IMAGENET,
    mean: [FASHION_MEAN, FASHION_MEAN, FASHION_MEAN],
    /** The code keeps grey levels 0 to 255; the table's deviations are made for them. */
    scale: 1,
    workers: WORKERS,
  },
  /** Paper §5. */
  batchSize: 128,
  /** A fifth of the paper's 90, in which 60,000 images are seen as often as needed; the schedule keeps its proportions. */
  epochs: 20,
};

/** AlexNet as "Dive into Deep Learning" (d2l.ai, 0.17) teaches it: plain gradient descent, images stretched to 224. */
const tutorial: Preset = {
  ...COMMON,
  preset: 'tutorial',
  net: { table: 'tutorial', width: 1, inputSize: 224, inputChannels: 1, classes: 10, init: 'xavier', dropout: true },
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
    ...PLAIN_COLOUR,
    ...NO_IMAGENET,
    /** Grey levels from 0 to 1, no mean taken off. */
    mean: [0],
    scale: 1 / 255,
    workers: WORKERS,
  },
  batchSize: 128,
  epochs: 10,
};

/** LeNet as the same book teaches it, in its chapter on convolutional networks. */
const lenet: Preset = {
  ...tutorial,
  preset: 'lenet',
  net: { table: 'lenet', width: 1, inputSize: 28, inputChannels: 1, classes: 10, init: 'xavier', dropout: true },
  /** Sigmoids saturate: it takes a rate this high. */
  optimizer: { ...tutorial.optimizer, learningRate: 0.9 },
  data: { ...tutorial.data, resize: 28 },
  batchSize: 256,
  epochs: 10,
};

/** Every preset, by its name. */
export const PRESETS: Readonly<Record<PresetName, Preset>> = {
  mini,
  fashion,
  tutorial,
  lenet,
  ...imagenetPresets(COMMON, WORKERS),
};

/** What `summary` starts from: a table as it was drawn up, at full width, its grey levels as they are. */
export function tableSettings(table: TableName): Record<string, unknown> {
  const { inputSize, inputChannels, classes } = TABLES[table];
  const net: NetOptions = { table, width: 1, inputSize, inputChannels, classes, init: 'table', dropout: true };
  const placement = isOneColumn(buildNet(net)) ? 'single' : 'split';
  return { preset: 'fashion', placement, net, data: { mean: Array(inputChannels).fill(0) } };
}
