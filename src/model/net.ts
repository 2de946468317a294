/**
 * A net is a table of layers: data, no code. This file has the table's types and works out its geometry.
 *
 * Counts in a table (`kernels`, `units`) are of both towers together, as the paper counts them; each tower has half,
 * except of a layer with a `home`. Shapes are [height, width, channels of one tower].
 */
import { ConfigError } from '../errors.js';
import { TABLES, type TableName } from './tables.js';

/** `own`: reads its own tower's channels. `both`: reads both towers' channels, so its input is a site. */
export type Reach = 'own' | 'both';

/** A tower's number. */
export type TowerIndex = 0 | 1;

/**
 * Zeros around the input of a convolution: a number is rows and columns on each side; `ceil` adds rows below and columns
 * at the right until the last window, which starts inside the image, ends inside too (as the code of 2012 does).
 */
export type Pad = number | 'ceil';

/** Initial values: a normal distribution's standard deviation, and the constant of the biases. */
export interface InitialValues {
  sd: number;
  bias: number;
}

export type Layer =
  | {
      kind: 'conv';
      name: string;
      kernels: number;
      size: number;
      stride: number;
      pad: Pad;
      reach: Reach;
      home?: TowerIndex;
      init: InitialValues;
    }
  | { kind: 'dense'; name: string; units: number | 'classes'; reach: Reach; home?: TowerIndex; init: InitialValues }
  | { kind: 'pool'; name: string; op: 'max' | 'average'; size: number; stride: number }
  | { kind: 'activation'; function: 'relu' | 'sigmoid' | 'tanh' }
  /** Response norm across the channels of one tower: x / (k + alpha · Σ x²)^beta, Σ over 2·radius+1 channels. */
  | { kind: 'norm'; radius: number; k: number; alpha: number; beta: number }
  /** Response norm within each map: x / (k + alpha · Σ x²)^beta, Σ over a size × size window. */
  | { kind: 'mapNorm'; size: number; k: number; alpha: number; beta: number }
  /** `scale`: when the factor `keep` is applied, `test` as in 2012 or `train` (divided by it), as most do today. */
  | { kind: 'dropout'; name: string; keep: number; scale: 'test' | 'train' };

/** A net's table and what it was drawn up for. */
export interface Table {
  inputSize: number;
  inputChannels: number;
  classes: number;
  layers: readonly Layer[];
}

/** Which net: a table, and how it departs from it. */
export interface NetOptions {
  table: TableName;
  /** Factor on every count of kernels and units. */
  width: number;
  /** Height and width of the input in pixels. */
  inputSize: number;
  inputChannels: number;
  classes: number;
  /** Initial values: the table's, or He's (normal, variance 2 / fan-in) or Xavier's (uniform), both with biases 0. */
  init: 'table' | 'he' | 'xavier';
  dropout: boolean;
  /** Replaces the activation of every layer. */
  activation?: 'relu' | 'sigmoid' | 'tanh';
  /** `false` leaves the response norms out. */
  norm?: boolean;
  /** `false` has pools whose windows overlap take windows as large as their stride. */
  overlap?: boolean;
}

/** [height, width, channels of one tower]; after the first dense layer [1, 1, units of one tower]. */
export type Shape = readonly [number, number, number];

/** A layer in its place. `input` is what it reads (both towers' channels, when its reach is `both`). */
export type PlacedLayer = Layer & { input: Shape; output: Shape };

export interface Net {
  options: NetOptions;
  layers: readonly PlacedLayer[];
}

/** The layers that have parameters. */
export type WeightedLayer = Extract<PlacedLayer, { kind: 'conv' | 'dense' }>;

/** A parameter: `tower0/conv1/kernel` and the like. */
export interface Parameter {
  name: string;
  tower: TowerIndex;
  layer: string;
  role: 'kernel' | 'bias';
  /** Kernels: HWIO, or [in, out] of a dense layer. Biases: [out]. */
  shape: readonly number[];
  /** Inputs that one output sums over. */
  fanIn: number;
  /** Outputs, of both towers, that one input goes into. */
  fanOut: number;
  init: InitialValues;
}

/** A place where activations cross, named by the layer that reads them. */
export interface Site {
  name: string;
  /** Shape of what one tower sends. */
  shape: Shape;
  /** The tower that alone reads it, for a layer with a home. */
  home?: TowerIndex;
}

/**
 * Works a table out for an input size, a width and a number of classes.
 * @throws ConfigError when the geometry does not fit, with the layer and the sizes.
 */
export function buildNet(options: NetOptions): Net {
  const table = TABLES[options.table];
  const fail = (layer: string, text: string): never => {
    throw new ConfigError(
      `Cannot build the net "${options.table}" at ${options.inputSize}×${options.inputSize} pixels: ${layer} ${text}; choose a larger --input-size`,
    );
  };
  checkOptions(options);
  let shape: Shape = [options.inputSize, options.inputSize, options.inputChannels];
  let joined = true; // every tower reads the whole input image
  const layers: PlacedLayer[] = [];
  for (const row of table.layers) {
    if (isLeftOut(row, options)) continue;
    const layer = scaled(row, options);
    const reach = layer.kind === 'conv' || layer.kind === 'dense' ? layer.reach : 'own';
    const input: Shape = reach === 'both' && !joined ? [shape[0], shape[1], shape[2] * 2] : shape;
    const output = outputShape(layer, input, options, fail);
    const placed: PlacedLayer = { ...layer, input, output };
    layers.push(placed);
    shape = output;
    if (isWeighted(placed)) joined = homeOf(placed) !== undefined; // what follows on one tower has all of it there
  }
  return { options, layers };
}

/** Zero rows (and columns) before and after the input of a convolution that it takes. */
export function padding(layer: { size: number; stride: number; pad: Pad }, input: number): [number, number] {
  if (layer.pad !== 'ceil') return [layer.pad, layer.pad];
  if (input < layer.size) return [0, 0]; // not even one window starts and ends inside
  const windows = Math.ceil((input - layer.size) / layer.stride) + 1;
  return [0, (windows - 1) * layer.stride + layer.size - input];
}

/** The parameters, in the order of the layers, tower 0 before tower 1. Those of one tower when `tower` is given. */
export function parametersOf(net: Net, tower?: TowerIndex): Parameter[] {
  return net.layers.filter(isWeighted).flatMap((layer) =>
    towersOf(layer)
      .filter((each) => tower === undefined || each === tower)
      .flatMap((each): Parameter[] => {
        const out = layer.output[2];
        const [fanIn, kernel, receptive] =
          layer.kind === 'conv'
            ? [layer.size ** 2 * layer.input[2], [layer.size, layer.size, layer.input[2], out], layer.size ** 2]
            : [volume(layer.input), [volume(layer.input), out], 1];
        const readers = layer.reach === 'both' || layer === net.layers[0] ? towersOf(layer).length : 1;
        const fanOut = out * readers * receptive;
        const common = { tower: each, layer: layer.name, fanIn, fanOut, init: layer.init };
        const prefix = `tower${each}/${layer.name}`;
        return [
          { ...common, name: `${prefix}/kernel`, role: 'kernel', shape: kernel },
          { ...common, name: `${prefix}/bias`, role: 'bias', shape: [out] },
        ];
      }),
  );
}

/** The sites, in the order of the forward pass. */
export function sitesOf(net: Net): Site[] {
  let joined = true; // as in buildNet
  return net.layers.flatMap((layer) => {
    if (!isWeighted(layer)) return [];
    const crosses = layer.reach === 'both' && !joined;
    joined = homeOf(layer) !== undefined;
    if (!crosses) return [];
    const [height, width, channels] = layer.input;
    const shape: Shape = [height, width, channels / 2];
    return [{ name: layer.name, shape, ...(homeOf(layer) === undefined ? {} : { home: homeOf(layer)! }) }];
  });
}

/** Whether the layer has parameters. */
export function isWeighted(layer: PlacedLayer): layer is WeightedLayer {
  return layer.kind === 'conv' || layer.kind === 'dense';
}

/** The towers that hold the layer. */
export function towersOf(layer: WeightedLayer): TowerIndex[] {
  const home = homeOf(layer);
  return home === undefined ? [0, 1] : [home];
}

/** The tower that alone holds the layer; undefined when both do. */
export function homeOf(layer: PlacedLayer): TowerIndex | undefined {
  return isWeighted(layer) ? layer.home : undefined;
}

/** The home of each layer; one without parameters is where what it reads is. */
export function homesOf(layers: readonly PlacedLayer[]): (TowerIndex | undefined)[] {
  let home: TowerIndex | undefined;
  return layers.map((layer) => {
    if (isWeighted(layer)) home = homeOf(layer);
    return home;
  });
}

/** Whether the net is one column: all of it is on one tower, so it cannot be split. */
export function isOneColumn(net: Net): boolean {
  return net.layers.filter(isWeighted).every((layer) => homeOf(layer) !== undefined);
}

/** Number of values in a shape. */
export function volume(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function checkOptions({ width, inputSize, inputChannels, classes }: NetOptions): void {
  const counts: [string, number, number][] = [
    ['input size', inputSize, 1],
    ['number of input channels', inputChannels, 1],
    ['number of classes', classes, 2],
  ];
  for (const [what, value, least] of counts) {
    if (!Number.isInteger(value) || value < least) {
      throw new ConfigError(`Cannot build the net: its ${what} is ${value}, expected a whole number from ${least} up`);
    }
  }
  if (!(width > 0 && width <= 8)) {
    throw new ConfigError(`Cannot build the net: its width is ${width}, expected a factor above 0 and up to 8`);
  }
}

function isLeftOut({ kind }: Layer, { dropout, norm }: NetOptions): boolean {
  return (kind === 'dropout' && !dropout) || ((kind === 'norm' || kind === 'mapNorm') && norm === false);
}

/** The row with its counts for this width, per net still; a tower's part must be a whole number of at least one. */
function scaled(row: Layer, { width, classes, activation, overlap }: NetOptions): Layer {
  const towers = 'home' in row ? 1 : 2;
  const count = (full: number) => Math.max(1, Math.round((full * width) / towers)) * towers;
  if (row.kind === 'conv') return { ...row, kernels: count(row.kernels) };
  if (row.kind === 'dense') return { ...row, units: row.units === 'classes' ? classes : count(row.units) };
  if (row.kind === 'activation' && activation) return { ...row, function: activation };
  if (row.kind === 'pool' && overlap === false) return { ...row, size: Math.min(row.size, row.stride) };
  return row;
}

function outputShape(
  layer: Layer,
  input: Shape,
  { classes }: NetOptions,
  fail: (layer: string, text: string) => never,
): Shape {
  const [height, width, channels] = input;
  switch (layer.kind) {
    case 'conv':
    case 'pool': {
      const [before, after] = layer.kind === 'conv' ? padding(layer, height) : [0, 0];
      const padded = height + before + after;
      if (padded < layer.size)
        fail(layer.name, `has a ${layer.size}×${layer.size} window on ${padded}×${padded} pixels`);
      const out = Math.floor((padded - layer.size) / layer.stride) + 1;
      if (layer.kind === 'pool') return [out, out, channels];
      return [out, out, layer.home === undefined ? layer.kernels / 2 : layer.kernels];
    }
    case 'dense': {
      const units = layer.units === 'classes' ? classes : layer.units;
      return [1, 1, layer.home === undefined ? units / 2 : units];
    }
    case 'mapNorm':
    case 'norm':
    case 'activation':
    case 'dropout':
      return [height, width, channels];
  }
}
