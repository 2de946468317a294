/**
 * The nets, each as a table of layers: data, no code. `net.ts` works out their shapes.
 *
 * Sources of the numbers:
 * - *the paper*: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", NIPS 2012;
 * - *the code*: the authors' cuda-convnet as released by the Computer History Museum, `layers-145.cfg` and
 *   `layer-params-145.cfg`, which gave the paper's numbers and differs from its text;
 * - *torchvision*: `torchvision/models/alexnet.py`, after Krizhevsky, "One weird trick for parallelizing convolutional neural
 *   networks", arXiv:1404.5997.
 *
 * Legend: `kernels` and `units` count both towers together, as the paper does. Each tower has half of them, except of a
 * layer with a `home`. Comments give the output of ONE tower, [height, width, channels].
 */

/** A tower's number. */
export type TowerIndex = 0 | 1;

/**
 * Zeros around the input of a convolution. A number: so many rows and columns on each side. `ceil`: rows below and
 * columns at the right until the last window that starts inside the image also ends inside (the code).
 */
export type Pad = number | 'ceil';

/** Initial values: standard deviation of the normal distribution of the kernels, and the constant of the biases. */
export type InitialValues = { sd: number; bias: number };

/** What layers with parameters have in common. */
interface Weighted {
  name: string;
  /** `own`: reads its own tower's channels. `both`: reads the channels of both towers, so its input is a site. */
  reach: 'own' | 'both';
  /** Tower 0 alone has the layer. Without it, each tower has half. */
  home?: 0;
  init: InitialValues;
}

export type Layer =
  | ({ kind: 'conv'; kernels: number; size: number; stride: number; pad: Pad } & Weighted)
  | ({ kind: 'dense'; units: number | 'classes' } & Weighted)
  | { kind: 'pool'; name: string; op: 'max' | 'average'; size: number; stride: number }
  | { kind: 'activation'; function: 'relu' | 'sigmoid' | 'tanh' }
  /** Response norm across the channels of one tower: x / (k + alpha · Σ x²)^beta, Σ over 2·radius+1 channels. */
  | { kind: 'norm'; radius: number; k: number; alpha: number; beta: number }
  /** Response norm within each map: x / (k + alpha · Σ x²)^beta, Σ over a size × size window. */
  | { kind: 'mapNorm'; size: number; k: number; alpha: number; beta: number }
  /** `scale` says when the factor `keep` is applied: `test` as in 2012, `train` (divided by it) as in PyTorch. */
  | { kind: 'dropout'; name: string; keep: number; scale: 'test' | 'train' };

type Of<Kind extends Layer['kind']> = Extract<Layer, { kind: Kind }>;

/** A net, and the images and classes it was designed for. */
export interface Table {
  /** Height and width of the input in pixels. */
  inputSize: number;
  inputChannels: number;
  classes: number;
  layers: readonly Layer[];
}

const IMAGENET = { inputSize: 224, inputChannels: 3, classes: 1000 };

const relu: Layer = { kind: 'activation', function: 'relu' }; // paper §3.1
const sigmoid: Layer = { kind: 'activation', function: 'sigmoid' };

/** Kernels of size × size; by default stride 1, as many zeros around the map as keep its size, and only the own tower. */
function conv(name: string, kernels: number, size: number, rest: Partial<Of<'conv'>> & Pick<Weighted, 'init'>): Layer {
  return { kind: 'conv', name, kernels, size, stride: 1, pad: (size - 1) / 2, reach: 'own', ...rest };
}

/** Reads both towers. */
function dense(name: string, units: number | 'classes', init: InitialValues): Of<'dense'> {
  return { kind: 'dense', name, units, reach: 'both', init };
}

/** The last layer is on tower 0 alone. */
const classifier = (name: string, init: InitialValues): Layer => ({ ...dense(name, 'classes', init), home: 0 });

const maxPool = (name: string): Layer => ({ kind: 'pool', name, op: 'max', size: 3, stride: 2 }); // paper §3.4: z, s
const averagePool = (name: string): Layer => ({ kind: 'pool', name, op: 'average', size: 2, stride: 2 });
const wideAverage = (name: string): Layer => ({ kind: 'pool', name, op: 'average', size: 3, stride: 2 });
/** `rnorm` of `layer-params-18pct.cfg`: scale .00005, divided by the window's 3², pow .75. */
const cifarNorm: Layer = { kind: 'mapNorm', size: 3, k: 1, alpha: 0.00005 / 9, beta: 0.75 };
const norm = (alpha: number): Layer => ({ kind: 'norm', radius: 2, k: 2, alpha, beta: 0.75 }); // paper §3.3: n = 5
const dropout = (name: string, scale: 'test' | 'train'): Layer => ({ kind: 'dropout', name, keep: 0.5, scale }); // §4.2
const normal = (sd: number, bias: number): InitialValues => ({ sd, bias }); // paper §5

// The code pads 224 pixels on the right and below only, which gives 55 windows of 11 pixels, one every 4.
const conv1 = conv('conv1', 96, 11, { stride: 4, pad: 'ceil', init: normal(0.01, 0) }); // [55, 55, 48]
const conv2 = conv('conv2', 256, 5, { init: normal(0.01, 1) }); // [27, 27, 128]

/** Layers 3 to 8; the paper and the code differ in the deviation of conv3 to conv5 alone. */
function upperLayers(sd: number): Layer[] {
  return [
    conv('conv3', 384, 3, { reach: 'both', init: normal(sd, 0) }), // [13, 13, 192]
    relu,
    conv('conv4', 384, 3, { init: normal(sd, 1) }), // [13, 13, 192]
    relu,
    conv('conv5', 256, 3, { init: normal(sd, 1) }), // [13, 13, 128]
    maxPool('pool5'), // [6, 6, 128]
    relu, // after the pool, as in the code: max and ReLU commute, and there are fewer values here
    dense('fc6', 4096, normal(0.01, 1)), // [2048]
    relu,
    dropout('drop6', 'test'),
    dense('fc7', 4096, normal(0.01, 1)), // [2048]
    relu,
    dropout('drop7', 'test'),
    classifier('fc8', normal(0.01, 0)), // [1000]
  ];
}

/** The net that was trained in 2012: the code, config #145. */
const original: Table = {
  ...IMAGENET,
  layers: [
    conv1,
    norm(1e-4 / 5), // the code divides alpha by the window's 5 channels
    maxPool('pool1'), // [27, 27, 48]
    relu, // after norm and pool, as in the code
    conv2,
    relu,
    norm(1e-4 / 5),
    // The code's cnorm2, which the paper does not mention: scale .001 divided by 5², minDiv 1.
    { kind: 'mapNorm', size: 5, k: 1, alpha: 0.001 / 25, beta: 0.75 },
    maxPool('pool2'), // [13, 13, 128]
    ...upperLayers(0.03),
  ],
};

/** The net of the paper's text. */
const paper: Table = {
  ...IMAGENET,
  layers: [
    [conv1, relu, norm(1e-4), maxPool('pool1')], // §3.3: norm after ReLU, and alpha not divided
    [conv2, relu, norm(1e-4), maxPool('pool2')],
    upperLayers(0.01),
  ].flat(),
};

/**
 * The paper's one-GPU net (§3.2): half of the kernels in each convolution, one column. As in the code's
 * `layers-145-half.cfg`, conv5 and the dense layers keep their width, so that there are about as many parameters.
 */
const oneGpu: Table = {
  ...IMAGENET,
  layers: original.layers.map((layer): Layer => {
    if (layer.kind === 'dense') return { ...layer, home: 0 };
    if (layer.kind !== 'conv') return layer;
    const kernels = layer.name === 'conv5' ? layer.kernels : layer.kernels / 2;
    return { ...layer, kernels, reach: 'both', home: 0 };
  }),
};

/**
 * Two columns that meet in the last layer only, to measure what the cross-connections are worth. As in the code's
 * `layers-150.cfg`, conv2 of 160 kernels and fc6 of 4096 units a column make up for the parameters that are missing.
 */
const columns: Table = {
  ...IMAGENET,
  layers: original.layers.map((layer): Layer => {
    if (layer.kind === 'conv') return { ...layer, reach: 'own', kernels: layer.name === 'conv2' ? 320 : layer.kernels };
    if (layer.kind !== 'dense' || layer.home !== undefined) return layer;
    return { ...layer, reach: 'own', units: layer.name === 'fc6' ? 8192 : layer.units };
  }),
};

/** The AlexNet of tutorials: one gray channel, no response norm, and no groups, so every layer reads both towers. */
const tutorial: Table = {
  inputSize: 224,
  inputChannels: 1,
  classes: 10,
  layers: [
    [conv('conv1', 96, 11, { stride: 4, pad: 0, reach: 'both', init: normal(0.01, 0) }), relu, maxPool('pool1')],
    [conv('conv2', 256, 5, { reach: 'both', init: normal(0.01, 0) }), relu, maxPool('pool2')], // [12, 12, 128]
    [conv('conv3', 384, 3, { reach: 'both', init: normal(0.01, 0) }), relu],
    [conv('conv4', 384, 3, { reach: 'both', init: normal(0.01, 0) }), relu],
    [conv('conv5', 256, 3, { reach: 'both', init: normal(0.01, 0) }), relu, maxPool('pool5')], // [5, 5, 128]
    [dense('fc6', 4096, normal(0.01, 0)), relu, dropout('drop6', 'train')],
    [dense('fc7', 4096, normal(0.01, 0)), relu, dropout('drop7', 'train')],
    [classifier('fc8', normal(0.01, 0))],
  ].flat(),
};

/** The deviation of PyTorch's default initial values at full width, which are uniform: see `init` in `net.ts`. */
const uniform = (fanIn: number): InitialValues => normal(1 / Math.sqrt(3 * fanIn), 0);

/** A convolution of torchvision's net, in one group. */
function openConv(name: string, kernels: number, size: number, inputs: number, rest: Partial<Of<'conv'>> = {}): Layer {
  return conv(name, kernels, size, { reach: 'both', init: uniform(size ** 2 * inputs), ...rest });
}

/**
 * torchvision's AlexNet, row by row in the order of its modules, whose numbers `weights/` counts. It averages the maps of
 * pool5 to 6×6 before the first dropout; from inputs of 223 to 254 pixels they have that size already. Of other inputs
 * this net's fc6 reads the maps as they are.
 */
const torchvision: Table = {
  ...IMAGENET,
  layers: [
    [openConv('conv1', 64, 11, 3, { stride: 4, pad: 2 }), relu, maxPool('pool1')], // [27, 27, 32]
    [openConv('conv2', 192, 5, 64), relu, maxPool('pool2')], // [13, 13, 96]
    [openConv('conv3', 384, 3, 192), relu], // [13, 13, 192]
    [openConv('conv4', 256, 3, 384), relu], // [13, 13, 128]
    [openConv('conv5', 256, 3, 256), relu, maxPool('pool5')], // [6, 6, 128]
    [dropout('drop5', 'train'), dense('fc6', 4096, uniform(256 * 36)), relu],
    [dropout('drop6', 'train'), dense('fc7', 4096, uniform(4096)), relu],
    [classifier('fc8', uniform(4096))],
  ].flat(),
};

/** LeNet as tutorials have it: sigmoid and average pooling (after LeCun et al. 1998). */
const lenet: Table = {
  inputSize: 28,
  inputChannels: 1,
  classes: 10,
  layers: [
    [conv('conv1', 6, 5, { reach: 'both', init: normal(0.1, 0) }), sigmoid, averagePool('pool1')], // [14, 14, 3]
    [conv('conv2', 16, 5, { pad: 0, reach: 'both', init: normal(0.1, 0) }), sigmoid, averagePool('pool2')], // [5, 5, 8]
    [dense('fc3', 120, normal(0.1, 0)), sigmoid],
    [dense('fc4', 84, normal(0.1, 0)), sigmoid],
    [classifier('fc5', normal(0.1, 0))],
  ].flat(),
};

/**
 * The four-layer net for CIFAR-10 of the authors' first cuda-convnet: its example `layers-18pct.cfg`, which has an error of
 * 18 %. Without its norms it is `layers-19pct.cfg`. The paper's Figure 1 (ReLU beside tanh) is of such a net, and does not
 * give its size. Their pools also take the window that the border cuts off: 16, 8 and 4 pixels where these have 15, 7 and 3.
 */
const cifar: Table = {
  inputSize: 32,
  inputChannels: 3,
  classes: 10,
  layers: [
    [conv('conv1', 32, 5, { reach: 'both', init: normal(0.0001, 0) }), maxPool('pool1'), relu, cifarNorm], // [15, 15, 16]
    [conv('conv2', 32, 5, { reach: 'both', init: normal(0.01, 0) }), relu, wideAverage('pool2'), cifarNorm], // [7, 7, 16]
    [conv('conv3', 64, 5, { reach: 'both', init: normal(0.01, 0) }), relu, wideAverage('pool3')], // [3, 3, 32]
    [classifier('fc4', normal(0.01, 0))],
  ].flat(),
};

/** Every table, by its name. */
export const TABLES = {
  ...{ original, paper, 'one-gpu': oneGpu, columns, tutorial, torchvision, lenet, cifar },
} as const satisfies Record<string, Table>;

export type TableName = keyof typeof TABLES;
