/**
 * The presets of 2012. Sources: the paper (Krizhevsky, Sutskever, Hinton, NIPS 2012), and the authors' code as released
 * by the Computer History Museum (the code), whose configurations end with a log of what was done at which epoch.
 * docs/recipe.md has what differs. Their images are in a folder that only the user knows: `--data`.
 */
import type { OwnRate } from '../optim/schedule.js';
import type { Preset } from './config.js';

/** Stands for the source of a preset whose data has to be named. */
export const NO_SOURCE = '';

/** When the rates of a run of the code fell, by its log. */
interface Log {
  /** The kernels' rate divided by ten after these. */
  drops: [number, number, number];
  /** conv1's kernels to 1e-5 after this one. */
  conv1Slow: number;
  /** conv1 to 0 after this one. */
  conv1Still: number;
}

/** What the code's runs share; `layer-params-145.cfg` but for what its comments say. */
function codeOptimizer({ drops, conv1Slow, conv1Still }: Log): Preset['optimizer'] {
  const ownRates: OwnRate[] = [
    /** epsB is 0.02 in the file, which has the last stage's rates: the biases' did not fall with the kernels'. */
    { role: 'bias', after: drops[0], factor: 2 },
    /** "set epsw to 0.00001 from 0.0001 on conv1" */
    { layer: 'conv1', role: 'kernel', after: conv1Slow, factor: 1e-3 },
    /** "set epsw to 0 on conv1", and its epsB is 0 in the file. */
    { layer: 'conv1', after: conv1Still, factor: 0 },
  ];
  return {
    /** "set epsw to 0.001 from 0.01" */
    learningRate: 0.01,
    /** momW, momB */
    momentum: 0.9,
    /** wc */
    weightDecay: 0.0005,
    /** epsB of 0.02 beside epsW of 0.01. */
    biasRateFactor: 2,
    /** No wc for biases: `src/layer.cu` makes them with a decay of 0. */
    biasDecay: 0,
    schedule: { kind: 'steps', epochs: drops, factor: 0.1 },
    ownRates,
  };
}

/** Deviation 0.1 along the principal colours, divided as the code does, up to the epoch `end` of its log. */
function codeNoise(end: number): Preset['data']['colourNoise'] {
  return { strength: 0.1, end, divide: true, colours: 'imagenet' };
}

/** @param common what no preset changes. @param workers threads that prepare images. */
export function imagenetPresets(common: Omit<Preset, OwnKeys>, workers: number) {
  /** The net that was trained, config #145, on ILSVRC-2012: `layers-145.cfg`, `layer-params-145.cfg`. */
  const imagenet: Preset = {
    ...common,
    preset: 'imagenet',
    net: { table: 'original', width: 1, inputSize: 224, inputChannels: 3, classes: 1000, init: 'table', dropout: true },
    /** Its log: epochs 25, 51, 79; conv1 67 and 72. */
    optimizer: codeOptimizer({ drops: [25, 51, 79], conv1Slow: 67, conv1Still: 72 }),
    data: {
      source: NO_SOURCE,
      /** Paper §2: the shorter side to 256, the middle 256×256 of it. */
      resize: 256,
      /** `convdata_jpeg.py`: crops of 224 at offsets from 0 to 32, half of them mirrored. */
      randomCrop: true,
      flip: true,
      brightness: 0,
      contrast: 0,
      saturation: 0,
      /** Paper §2: "subtracting the mean activity over the training set from each pixel". */
      meanImage: true,
      /** Without it: mean red, green and blue of ImageNet's training images, `input_meta` of cuda-convnet2. */
      mean: [127.3, 119.72, 104.91],
      colourNoise: codeNoise(68),
      /** The code draws one crop and one flip for 32 images. */
      cropGroup: 32,
      onBadImage: 'fail',
      /** Grey levels from 0 to 255, as the initial values expect. */
      scale: 1,
      workers,
    },
    /** `convnet.py`; paper §5. */
    batchSize: 128,
    /** "epoch 91: killed" */
    epochs: 91,
  };

  /** The paper's text, where it says something; what it leaves open is marked. */
  const imagenetPaper: Preset = {
    ...imagenet,
    preset: 'imagenet-paper',
    /** §3: ReLU, then norm, then pool, and alpha of 1e-4 as it stands; §5: deviation 0.01 in every layer. */
    net: { ...imagenet.net, table: 'paper' },
    optimizer: {
      /** §5: "initialized at 0.01", "an equal learning rate for all layers". */
      learningRate: 0.01,
      momentum: 0.9,
      weightDecay: 0.0005,
      biasRateFactor: 1,
      /** §5: the rule of update makes no exception of biases. */
      biasDecay: 0.0005,
      /**
       * §5: "divide the learning rate by 10 when the validation error rate stopped improving with the current learning
       * rate", "reduced three times". How many epochs without improvement that takes it leaves open: 3 is ours.
       */
      schedule: { kind: 'plateau', factor: 0.1, patience: 3, least: 1e-5 },
    },
    data: {
      ...imagenet.data,
      /** §4.1: noise in all epochs; each image is cropped for itself. */
      colourNoise: { strength: 0.1, end: null, divide: false, colours: 'imagenet' },
      cropGroup: 1,
    },
    /** §5: "roughly 90 cycles through the training set". */
    epochs: 90,
  };

  /** The paper's comparison (§3.2) on one GPU: `layers-145-half.cfg`, `layer-params-145-half.cfg`, ILSVRC-2010. */
  const imagenetOneGpu: Preset = {
    ...imagenet,
    preset: 'imagenet-one-gpu',
    placement: 'single',
    net: { ...imagenet.net, table: 'one-gpu' },
    data: { ...imagenet.data, colourNoise: codeNoise(67) },
    /**
     * Its log: epochs 20, 48; conv1 66 and 72. The last fall, to the file's 1e-5, is not in it: 79 as in #145. The file's
     * epsB are a mixture of 0.02 and 0.002; they stay at 0.02 as in #145.
     */
    optimizer: codeOptimizer({ drops: [20, 48, 79], conv1Slow: 66, conv1Still: 72 }),
    /** "epoch 96: killed" */
    epochs: 96,
  };

  /** No crossing before the last layer: `layers-150.cfg`, `layer-params-150.cfg`, on ILSVRC-2012. */
  const imagenetColumns: Preset = {
    ...imagenet,
    preset: 'imagenet-columns',
    net: { ...imagenet.net, table: 'columns' },
    data: { ...imagenet.data, colourNoise: codeNoise(67) },
    /** Its log: epochs 25, 49, 79; conv1 66 and 72. */
    optimizer: codeOptimizer({ drops: [25, 49, 79], conv1Slow: 66, conv1Still: 72 }),
    /** "epoch 92: killed" */
    epochs: 92,
  };

  return {
    imagenet,
    'imagenet-paper': imagenetPaper,
    'imagenet-one-gpu': imagenetOneGpu,
    'imagenet-columns': imagenetColumns,
  };
}

/** What each preset says for itself. */
type OwnKeys = 'preset' | 'net' | 'optimizer' | 'data' | 'batchSize' | 'epochs';
