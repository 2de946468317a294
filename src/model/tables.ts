/**
 * The nets. Sources: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural
 * networks", NIPS 2012 (the paper); the authors' code as released by the Computer History Museum, `layers-145.cfg` and
 * `layer-params-145.cfg` (the code), which gave the paper's numbers and differs from its text.
 */
import type { InitialValues, Layer, Table } from './net.js';

const relu: Layer = { kind: 'activation', function: 'relu' };
const sigmoid: Layer = { kind: 'activation', function: 'sigmoid' };

/** As drawn: uniform or normal with one deviation is the preset's business; this is the paper's and the code's. */
function normal(sd: number, bias: number): InitialValues {
  return { sd, bias };
}

function maxPool(name: string): Layer {
  return { kind: 'pool', name, op: 'max', size: 3, stride: 2 }; // paper §3.4: s = 2, z = 3
}

/** Paper §4.2. In 2012 the mask is not rescaled in training; at test activations are multiplied by `keep`. */
function dropout(name: string): Layer {
  return { kind: 'dropout', name, keep: 0.5, scale: 'test' };
}

/** Layers 3 to 8 are the same in the paper and the code but for the deviation of conv3-5. */
function upperLayers(convSd: number): Layer[] {
  return [
    { kind: 'conv', name: 'conv3', kernels: 384, size: 3, stride: 1, pad: 1, reach: 'both', init: normal(convSd, 0) },
    relu,
    { kind: 'conv', name: 'conv4', kernels: 384, size: 3, stride: 1, pad: 1, reach: 'own', init: normal(convSd, 1) },
    relu,
    { kind: 'conv', name: 'conv5', kernels: 256, size: 3, stride: 1, pad: 1, reach: 'own', init: normal(convSd, 1) },
    maxPool('pool5'),
    relu, // after the pool, as in the code; max and ReLU commute, and there are fewer values here
    { kind: 'dense', name: 'fc6', units: 4096, reach: 'both', init: normal(0.01, 1) },
    relu,
    dropout('drop6'),
    { kind: 'dense', name: 'fc7', units: 4096, reach: 'both', init: normal(0.01, 1) },
    relu,
    dropout('drop7'),
    { kind: 'dense', name: 'fc8', units: 'classes', reach: 'both', home: 0, init: normal(0.01, 0) },
  ];
}

/** conv1 reads the whole image in both towers; 224 pixels and windows of 11 every 4 give 55 with `ceil` (the code). */
const conv1: Layer = {
  kind: 'conv',
  name: 'conv1',
  kernels: 96,
  size: 11,
  stride: 4,
  pad: 'ceil',
  reach: 'own',
  init: normal(0.01, 0),
};

const conv2: Layer = {
  kind: 'conv',
  name: 'conv2',
  kernels: 256,
  size: 5,
  stride: 1,
  pad: 2,
  reach: 'own',
  init: normal(0.01, 1),
};

/** The net that was trained: the code, config #145. */
const original: Table = {
  inputSize: 224,
  inputChannels: 3,
  classes: 1000,
  layers: [
    conv1,
    // The code divides alpha = 1e-4 by the window's 5 channels.
    { kind: 'norm', radius: 2, k: 2, alpha: 1e-4 / 5, beta: 0.75 },
    maxPool('pool1'),
    relu, // after norm and pool
    conv2,
    relu,
    { kind: 'norm', radius: 2, k: 2, alpha: 1e-4 / 5, beta: 0.75 },
    // cnorm2, which the paper does not tell of: scale .001 divided by 5², minDiv 1.
    { kind: 'mapNorm', size: 5, k: 1, alpha: 0.001 / 25, beta: 0.75 },
    maxPool('pool2'),
    ...upperLayers(0.03),
  ],
};

/** The net of the paper's text. */
const paper: Table = {
  inputSize: 224,
  inputChannels: 3,
  classes: 1000,
  layers: [
    conv1,
    relu,
    { kind: 'norm', radius: 2, k: 2, alpha: 1e-4, beta: 0.75 }, // §3.3
    maxPool('pool1'),
    conv2,
    relu,
    { kind: 'norm', radius: 2, k: 2, alpha: 1e-4, beta: 0.75 },
    maxPool('pool2'),
    ...upperLayers(0.01),
  ],
};

/** A layer that is on one device, with all its kernels or units. */
function onOne(layer: Extract<Layer, { kind: 'conv' | 'dense' }>): Layer {
  return { ...layer, reach: 'both', home: 0 };
}

/**
 * The paper's comparison (§3.2): half of the kernels in each convolution, on one GPU. The code, `layers-145-half.cfg`:
 * one column, whose conv5 and dense layers are as wide as two, so that there are about as many parameters.
 */
const oneGpu: Table = {
  inputSize: 224,
  inputChannels: 3,
  classes: 1000,
  layers: original.layers.map((layer) => {
    if (layer.kind === 'dense') return onOne(layer);
    if (layer.kind !== 'conv') return layer;
    return onOne(layer.name === 'conv5' ? layer : { ...layer, kernels: layer.kernels / 2 });
  }),
};

/**
 * Two columns that meet in the last layer alone: what the crossings are worth. The code, `layers-150.cfg`: conv2 of 160
 * and fc6 of 4096 a column make up for the parameters of the kernels that read the other column.
 */
const columns: Table = {
  inputSize: 224,
  inputChannels: 3,
  classes: 1000,
  layers: original.layers.map((layer): Layer => {
    if (layer.kind === 'conv') return { ...layer, reach: 'own', kernels: layer.name === 'conv2' ? 320 : layer.kernels };
    if (layer.kind !== 'dense' || layer.home !== undefined) return layer;
    return { ...layer, reach: 'own', units: layer.name === 'fc6' ? 8192 : layer.units };
  }),
};

/** A slim convolution of the tutorial: no groups, so every layer reaches both towers. */
function slim(name: string, kernels: number, size: number, stride: number, pad: number): Layer[] {
  return [{ kind: 'conv', name, kernels, size, stride, pad, reach: 'both', init: normal(0.01, 0) }, relu];
}

/** The tutorials' AlexNet: one gray channel, no response norm. */
const tutorial: Table = {
  inputSize: 224,
  inputChannels: 1,
  classes: 10,
  layers: [
    ...slim('conv1', 96, 11, 4, 0),
    maxPool('pool1'),
    ...slim('conv2', 256, 5, 1, 2),
    maxPool('pool2'),
    ...slim('conv3', 384, 3, 1, 1),
    ...slim('conv4', 384, 3, 1, 1),
    ...slim('conv5', 256, 3, 1, 1),
    maxPool('pool5'),
    { kind: 'dense', name: 'fc6', units: 4096, reach: 'both', init: normal(0.01, 0) },
    relu,
    { kind: 'dropout', name: 'drop6', keep: 0.5, scale: 'train' },
    { kind: 'dense', name: 'fc7', units: 4096, reach: 'both', init: normal(0.01, 0) },
    relu,
    { kind: 'dropout', name: 'drop7', keep: 0.5, scale: 'train' },
    { kind: 'dense', name: 'fc8', units: 'classes', reach: 'both', home: 0, init: normal(0.01, 0) },
  ],
};

/** LeNet as the tutorials have it: sigmoid and average pooling (after LeCun et al. 1998). */
const lenet: Table = {
  inputSize: 28,
  inputChannels: 1,
  classes: 10,
  layers: [
    { kind: 'conv', name: 'conv1', kernels: 6, size: 5, stride: 1, pad: 2, reach: 'both', init: normal(0.1, 0) },
    sigmoid,
    { kind: 'pool', name: 'pool1', op: 'average', size: 2, stride: 2 },
    { kind: 'conv', name: 'conv2', kernels: 16, size: 5, stride: 1, pad: 0, reach: 'both', init: normal(0.1, 0) },
    sigmoid,
    { kind: 'pool', name: 'pool2', op: 'average', size: 2, stride: 2 },
    { kind: 'dense', name: 'fc3', units: 120, reach: 'both', init: normal(0.1, 0) },
    sigmoid,
    { kind: 'dense', name: 'fc4', units: 84, reach: 'both', init: normal(0.1, 0) },
    sigmoid,
    { kind: 'dense', name: 'fc5', units: 'classes', reach: 'both', home: 0, init: normal(0.1, 0) },
  ],
};

/** Every table, by its name. */
export const TABLES = { original, paper, 'one-gpu': oneGpu, columns, tutorial, lenet } as const satisfies Record<
  string,
  Table
>;

export type TableName = keyof typeof TABLES;
