/**
 * Works out a net from its table: which tower has what, the shape of every tensor, and where activations cross.
 *
 * Legend: B batch; H, W height and width; C channels of one tower; K kernels or units of one tower. A tower's *site* is
 * the input of a layer that reads both towers, unless the tower has all channels already.
 */
import { ConfigError } from '../errors.js';
import { type InitialValues, type Layer, type Pad, TABLES, type TableName, type TowerIndex } from './tables.js';

export type { Layer, TowerIndex } from './tables.js';

/** Which net: a table, and how to change it. */
export interface NetOptions {
  table: TableName;
  /** Factor on every count of kernels and units. */
  width: number;
  /** Height and width of the input in pixels. */
  inputSize: number;
  inputChannels: number;
  classes: number;
  /**
   * Initial values: the table's; He's (normal, variance 2 / fan-in) or Xavier's (uniform), both with biases 0; or PyTorch's
   * default, uniform within 1 / √fan-in for kernels and biases.
   */
  init: 'table' | 'he' | 'xavier' | 'pytorch';
  dropout: boolean;
  /** Replaces the activation of every layer. */
  activation?: 'relu' | 'sigmoid' | 'tanh';
  /** `false` leaves out the response norms. */
  norm?: boolean;
  /** `false` shrinks the windows of overlapping pools to their stride. */
  overlap?: boolean;
}

/** [H, W, C]; [1, 1, C] after the first dense layer. */
export type Shape = readonly [number, number, number];

/** A place where activations cross, named after the layer that reads them. */
export interface Site {
  name: string;
  /** [H, W, C], what one tower sends. */
  shape: Shape;
  /** Tower 0 alone reads it: the layer has a home. */
  home?: 0;
}

/** A layer of a net. */
export type PlacedLayer = Layer & {
  /** What one tower reads: [H, W, C], or [H, W, 2C] at a site. */
  input: Shape;
  /** What one tower computes: [H', W', K]. */
  output: Shape;
  /** The towers that have the layer. */
  towers: readonly TowerIndex[];
  /** Where the input crosses, if it does. */
  site?: Site;
};

/** A layer with parameters. */
export type WeightedLayer = Extract<PlacedLayer, { kind: 'conv' | 'dense' }>;

export type Net = { options: NetOptions; layers: readonly PlacedLayer[] };

/** A parameter, `tower0/conv1/kernel` for example. */
export interface Parameter {
  name: string;
  tower: TowerIndex;
  layer: string;
  role: 'kernel' | 'bias';
  /** Whether it is of the last layer, which gives the classes. */
  isHead: boolean;
  /** Kernels: [height, width, in, out] of a convolution, [in, out] of a dense layer. Biases: [out]. */
  shape: readonly number[];
  /** Number of inputs that one output sums over. */
  fanIn: number;
  /** Number of outputs, of both towers, that one input contributes to. */
  fanOut: number;
  init: InitialValues;
}

/**
 * Builds a net for an input size, a width and a number of classes.
 * @throws ConfigError if an option is out of range, or a window is larger than the map that it slides over.
 */
export function buildNet(options: NetOptions): Net {
  checkOptions(options);
  let shape: Shape = [options.inputSize, options.inputSize, options.inputChannels];
  let towers: readonly TowerIndex[] = [0, 1];
  let hasAllChannels = true; // whether each of `towers` does: every tower reads the whole image
  const rows = TABLES[options.table].layers.filter((row) => !isLeftOut(row, options));
  const layers = rows.map((row): PlacedLayer => {
    const layer = withOptions(row, options);
    let input = shape;
    let site: Site | undefined;
    if (layer.kind === 'conv' || layer.kind === 'dense') {
      const { name, reach, home } = layer;
      if (reach === 'both' && !hasAllChannels) {
        site = { name, shape, ...(home !== undefined && { home }) };
        input = [shape[0], shape[1], shape[2] * 2]; // [H, W, C] → [H, W, 2C]
      }
      towers = home === undefined ? [0, 1] : [home];
      hasAllChannels = home !== undefined; // what follows a layer with a home is on the same tower
    }
    shape = outputShape(layer, input, towers.length, options);
    return { ...layer, input, output: shape, towers, ...(site && { site }) };
  });
  return { options, layers };
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

/** A row of the table with the options applied. Each tower gets a whole number of kernels or units, at least one. */
function withOptions(row: Layer, { width, classes, activation, overlap }: NetOptions): Layer {
  const towers = 'home' in row ? 1 : 2;
  const scaled = (count: number) => Math.max(1, Math.round((count * width) / towers)) * towers;
  if (row.kind === 'conv') return { ...row, kernels: scaled(row.kernels) };
  if (row.kind === 'dense') return { ...row, units: row.units === 'classes' ? classes : scaled(row.units) };
  if (row.kind === 'activation' && activation) return { ...row, function: activation };
  if (row.kind === 'pool' && overlap === false) return { ...row, size: Math.min(row.size, row.stride) };
  return row;
}

/** @param towers how many towers have the layer. @returns [H', W', K] */
function outputShape(layer: Layer, input: Shape, towers: number, { table, inputSize, classes }: NetOptions): Shape {
  const [height, , channels] = input;
  if (layer.kind === 'dense') return [1, 1, (layer.units === 'classes' ? classes : layer.units) / towers];
  if (layer.kind !== 'conv' && layer.kind !== 'pool') return input;
  const [before, after] = layer.kind === 'conv' ? padding(layer, height) : [0, 0];
  const { name, size, stride } = layer;
  const padded = height + before + after;
  if (padded < size) {
    throw new ConfigError(
      `Cannot build the net "${table}" at ${inputSize}×${inputSize} pixels: ${name} has a ${size}×${size} window on ${padded}×${padded} pixels; choose a larger --input-size`,
    );
  }
  const windows = Math.floor((padded - size) / stride) + 1;
  return [windows, windows, layer.kind === 'pool' ? channels : layer.kernels / towers];
}

/** Number of zero rows (and columns) before and after the input of a convolution. */
export function padding(layer: { size: number; stride: number; pad: Pad }, input: number): [number, number] {
  if (layer.pad !== 'ceil') return [layer.pad, layer.pad];
  if (input < layer.size) return [0, 0]; // not even one window starts and ends inside
  const windows = Math.ceil((input - layer.size) / layer.stride) + 1;
  return [0, (windows - 1) * layer.stride + layer.size - input];
}

/** The parameters, in the order of the layers, tower 0 before tower 1. @param tower returns only those of this tower. */
export function parametersOf(net: Net, tower?: TowerIndex): Parameter[] {
  const head = headOf(net);
  return net.layers.filter(isWeighted).flatMap((layer) => {
    const window = layer.kind === 'conv' ? [layer.size, layer.size] : [];
    const inputs = layer.kind === 'conv' ? layer.input[2] : volume(layer.input);
    const outputs = layer.output[2];
    const readers = layer.reach === 'both' || layer === net.layers[0] ? layer.towers.length : 1;
    const common = {
      ...{ layer: layer.name, init: layer.init, isHead: layer === head },
      ...{ fanIn: volume(window) * inputs, fanOut: volume(window) * outputs * readers },
    };
    const towers = layer.towers.filter((each) => tower === undefined || each === tower);
    return towers.flatMap((tower): Parameter[] => {
      const name = `tower${tower}/${layer.name}`;
      return [
        { ...common, tower, name: `${name}/kernel`, role: 'kernel', shape: [...window, inputs, outputs] },
        { ...common, tower, name: `${name}/bias`, role: 'bias', shape: [outputs] },
      ];
    });
  });
}

/** The last layer, which gives the classes: fc8, for example. */
export function headOf(net: Net): WeightedLayer {
  return net.layers.findLast(isWeighted)!;
}

/** The sites, in the order of the forward pass. */
export function sitesOf(net: Net): Site[] {
  return net.layers.flatMap(({ site }) => site ?? []);
}

/** Whether the layer has parameters. */
export function isWeighted(layer: PlacedLayer): layer is WeightedLayer {
  return layer.kind === 'conv' || layer.kind === 'dense';
}

/** Whether the whole net is on one tower, so that it cannot be split. */
export function isOneColumn(net: Net): boolean {
  return net.layers.every(({ towers }) => towers.length === 1);
}

/** Number of values in a shape. */
export function volume(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
