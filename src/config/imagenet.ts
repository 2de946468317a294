/**
 * The presets of 2012. Sources: the paper (Krizhevsky, Sutskever, Hinton, NIPS 2012), and the authors' code as released
 * by the Computer History Museum (the code), whose configurations end with a log of what was done after which epoch.
 * docs/recipe.md explains the differences. Only the user knows the folder of the images: `--data`.
 */
import type { OwnRate } from '../optim/schedule.js';
import type { Preset } from './schema.js';

/** The `data.source` of a preset whose data has to be named. */
export const NO_SOURCE = '';

/** What a preset sets itself; `presets.ts` has the common settings. */
export interface PresetSettings extends Pick<Preset, 'optimizer' | 'batchSize' | 'epochs'> {
  placement?: Preset['placement'];
  logSteps?: Preset['logSteps'];
  net: Pick<Preset['net'], 'table' | 'inputSize' | 'inputChannels' | 'classes'> & Partial<Preset['net']>;
  data: Pick<Preset['data'], 'source' | 'resize' | 'randomCrop' | 'flip' | 'mean' | 'scale'> & Partial<Preset['data']>;
}

/**
 * Steps in one line of the log of an ImageNet run. 91 epochs are 911,000 steps, a log of some 800 MB with a line for each.
 * With 20 it is some 60 MB, and an epoch of 10,010 steps still has 500 points.
 */
const LOG_STEPS = 20;

/**
 * What the code's runs have in common: `layer-params-145.cfg`, or what its comments say. The epochs are those of a run's log
 * after which the kernels' rate was divided by ten, that of conv1's kernels set to 1e-5, and that of all of conv1 to 0.
 */
function codeOptimizer(drops: [number, number, number], conv1Slow: number, conv1Still: number): Preset['optimizer'] {
  const ownRates: OwnRate[] = [
    /** epsB is 0.02 in the file, which has the last stage's rates: the biases' rate did not fall with the kernels'. */
    { role: 'bias', after: drops[0], factor: 2 },
    /** "set epsw to 0.00001 from 0.0001 on conv1" */
    { layer: 'conv1', role: 'kernel', after: conv1Slow, factor: 1e-3 },
    /** "set epsw to 0 on conv1", and its epsB is 0 in the file. */
    { layer: 'conv1', after: conv1Still, factor: 0 },
  ];
  return {
    learningRate: 0.01, // "set epsw to 0.001 from 0.01"
    momentum: 0.9, // momW, momB
    weightDecay: 0.0005, // wc
    biasRateFactor: 2, // epsB of 0.02 beside epsW of 0.01
    biasDecay: 0, // no wc for biases: `src/layer.cu` gives them a decay of 0
    schedule: { kind: 'steps', epochs: drops, factor: 0.1 },
    ownRates,
  };
}

/** Standard deviation 0.1 along the principal colours, divided as in the code, until the epoch `end` of its log. */
function codeNoise(end: number): Preset['data']['colourNoise'] {
  return { strength: 0.1, end, divide: true, colours: 'imagenet' };
}

/** The net that was trained, config #145, on ILSVRC-2012: `layers-145.cfg`, `layer-params-145.cfg`. */
const imagenet: PresetSettings = {
  net: { table: 'original', inputSize: 224, inputChannels: 3, classes: 1000 },
  optimizer: codeOptimizer([25, 51, 79], 67, 72), // its log: epochs 25, 51, 79; conv1 67 and 72
  data: {
    source: NO_SOURCE,
    resize: 256, // Paper §2: the shorter side to 256, the middle 256×256 of it
    /** `convdata_jpeg.py`: crops of 224 at offsets from 0 to 32, half of them mirrored. */
    randomCrop: true,
    flip: true,
    /** Paper §2: "subtracting the mean activity over the training set from each pixel". */
    meanImage: true,
    /** Without the mean image: mean red, green and blue of ImageNet's training images, `input_meta` of cuda-convnet2. */
    mean: [127.3, 119.72, 104.91],
    colourNoise: codeNoise(68),
    cropGroup: 32, // the code draws one crop and one flip for 32 images
    scale: 1, // grey levels from 0 to 255, as the initial values expect
  },
  logSteps: LOG_STEPS,
  batchSize: 128, // `convnet.py`; paper §5
  epochs: 91, // "epoch 91: killed"
};

export const IMAGENET_PRESETS = {
  imagenet,

  /** The paper's text; what it leaves open is marked. */
  'imagenet-paper': {
    ...imagenet,
    /** §3: ReLU, then norm, then pool, and alpha of 1e-4 as it stands; §5: deviation 0.01 in every layer. */
    net: { ...imagenet.net, table: 'paper' },
    optimizer: {
      learningRate: 0.01, // §5: "initialized at 0.01", "an equal learning rate for all layers"
      momentum: 0.9,
      weightDecay: 0.0005,
      biasRateFactor: 1,
      biasDecay: 0.0005, // §5: the update rule makes no exception for biases
      /**
       * §5: "divide the learning rate by 10 when the validation error rate stopped improving with the current learning
       * rate", "reduced three times". The number of epochs without improvement is open: 3 is our choice.
       */
      schedule: { kind: 'plateau', factor: 0.1, patience: 3, least: 1e-5 },
    },
    data: {
      ...imagenet.data,
      /** §4.1: noise in all epochs; each image is cropped by itself. */
      colourNoise: { strength: 0.1, end: null, divide: false, colours: 'imagenet' },
      cropGroup: 1,
    },
    epochs: 90, // §5: "roughly 90 cycles through the training set"
  },

  /** The paper's comparison (§3.2) on one GPU: `layers-145-half.cfg`, `layer-params-145-half.cfg`, ILSVRC-2010. */
  'imagenet-one-gpu': {
    ...imagenet,
    placement: 'single',
    net: { ...imagenet.net, table: 'one-gpu' },
    data: { ...imagenet.data, colourNoise: codeNoise(67) },
    /**
     * Its log: epochs 20, 48; conv1 66 and 72. The last drop, to the file's 1e-5, is not in it: 79 as in #145. The file's
     * epsB are a mixture of 0.02 and 0.002; they stay at 0.02 as in #145.
     */
    optimizer: codeOptimizer([20, 48, 79], 66, 72),
    epochs: 96, // "epoch 96: killed"
  },

  /** No cross-connection before the last layer: `layers-150.cfg`, `layer-params-150.cfg`, on ILSVRC-2012. */
  'imagenet-columns': {
    ...imagenet,
    net: { ...imagenet.net, table: 'columns' },
    data: { ...imagenet.data, colourNoise: codeNoise(67) },
    optimizer: codeOptimizer([25, 49, 79], 66, 72), // its log: epochs 25, 49, 79; conv1 66 and 72
    epochs: 92, // "epoch 92: killed"
  },
} satisfies Record<string, PresetSettings>;

/** The channels' standard deviations of torchvision's weights, of values from 0 to 1. */
const TORCHVISION_DEVIATIONS = [0.229, 0.224, 0.225];

/**
 * torchvision's AlexNet as its `references/classification` trains it, and the preparation of images of its weights
 * (`AlexNet_Weights.IMAGENET1K_V1`). Differs in the crop: theirs takes 8 to 100 % of the image's area in any place and
 * stretches it to 224×224 (`RandomResizedCrop`), this one 224×224 out of 256×256.
 */
export const torchvision: PresetSettings = {
  net: { table: 'torchvision', inputSize: 224, inputChannels: 3, classes: 1000, init: 'pytorch' },
  optimizer: {
    learningRate: 0.01, // `--model alexnet --lr 1e-2`
    momentum: 0.9,
    weightDecay: 1e-4,
    biasRateFactor: 1,
    biasDecay: 1e-4,
    schedule: { kind: 'steps', epochs: [30, 60], factor: 0.1 }, // `--lr-step-size 30 --lr-gamma 0.1`
  },
  data: {
    source: NO_SOURCE,
    resize: 256,
    interpolation: 'bilinear', // of its weights' transforms, with antialiasing
    randomCrop: true,
    flip: true,
    mean: [123.675, 116.28, 103.53], // 0.485, 0.456, 0.406 of 255
    scale: TORCHVISION_DEVIATIONS.map((deviation) => 1 / (255 * deviation)),
  },
  logSteps: LOG_STEPS,
  batchSize: 256, // 32 on each of 8 GPUs
  epochs: 90,
};
