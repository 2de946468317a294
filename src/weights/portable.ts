/**
 * A net's parameters as other frameworks have them: both towers in one tensor, in PyTorch's layouts. A kernel is
 * [outputs, inputs of a group, height, width] for a convolution, and [outputs, inputs of a group] for a dense layer, whose
 * inputs are in the order channel, row, column. Here a kernel is [height, width, inputs, outputs of one tower], flattened
 * for a dense layer.
 */
import { isWeighted, type Net, type Parameter, parametersOf, type WeightedLayer } from '../model/net.js';

/** One tower's part of a joined tensor. */
export interface Part {
  parameter: Parameter;
  /** The parameter's first output in the joined tensor. */
  at: number;
}

/** A tensor that joins the towers; its name is `conv1.weight` or `conv1.bias`. */
export interface Portable {
  name: string;
  layer: string;
  role: Parameter['role'];
  shape: readonly number[];
  /** Height times width of what one output reads, and its channels. */
  window: number;
  inputs: number;
  /** Tower 0's part first. */
  parts: readonly Part[];
}

/** The joined tensors of a net, in the order of its layers. */
export function portablesOf(net: Net): Portable[] {
  const parameters = parametersOf(net);
  return net.layers.filter(isWeighted).flatMap((layer) =>
    (['kernel', 'bias'] as const).map((role): Portable => {
      let outputs = 0;
      const parts = parameters
        .filter((each) => each.layer === layer.name && each.role === role)
        .map((parameter) => {
          const at = outputs;
          outputs += parameter.shape.at(-1)!;
          return { parameter, at };
        });
      const window = layer.kind === 'conv' ? layer.size ** 2 : layer.input[0] * layer.input[1];
      const inputs = layer.input[2];
      const kernel = layer.kind === 'conv' ? [inputs, layer.size, layer.size] : [inputs * window];
      return {
        name: `${layer.name}.${role === 'kernel' ? 'weight' : 'bias'}`,
        ...{ layer: layer.name, role, window, inputs, parts },
        shape: role === 'kernel' ? [outputs, ...kernel] : [outputs],
      };
    }),
  );
}

/** PyTorch's `groups`: two if each tower reads only its own channels. */
export function groupsOf(net: Net, layer: WeightedLayer): number {
  return layer.reach === 'both' || layer === net.layers[0] ? 1 : layer.towers.length;
}

/** Copies a parameter's values `own` into the joined tensor; both row-major. */
export function join(portable: Portable, part: Part, own: Float32Array, joined: Float32Array): void {
  eachRow(portable, part, (row, step, from, count) => {
    for (let o = 0; o < count; o++) joined[row + o * step] = own[from + o]!;
  });
}

/** Copies a parameter's values out of the joined tensor into `own`. */
export function separate(portable: Portable, part: Part, joined: Float32Array, own: Float32Array): void {
  eachRow(portable, part, (row, step, from, count) => {
    for (let o = 0; o < count; o++) own[from + o] = joined[row + o * step]!;
  });
}

/** How many outputs are copied at once, so that source and target stay in the cache. */
const BLOCK = 32;

/**
 * Visits each input with {@link BLOCK} outputs, which are adjacent in the parameter.
 * @param visit gets the index and the stride of outputs in the joined tensor, the index in the parameter, and their number.
 */
function eachRow(
  { role, window, inputs }: Portable,
  { parameter, at }: Part,
  visit: (row: number, step: number, from: number, count: number) => void,
): void {
  const outputs = parameter.shape.at(-1)!;
  if (role === 'bias') {
    visit(at, 1, 0, outputs);
    return;
  }
  const step = inputs * window;
  for (let first = 0; first < outputs; first += BLOCK) {
    const count = Math.min(BLOCK, outputs - first);
    for (let w = 0; w < window; w++) {
      for (let i = 0; i < inputs; i++) {
        visit((at + first) * step + i * window + w, step, (w * inputs + i) * outputs + first, count);
      }
    }
  }
}

/** An image [H, W, C] as [C, H, W]. */
export function channelsFirst(values: Float32Array, channels: number): Float32Array {
  const pixels = values.length / channels;
  return values.map((_, i) => values[(i % pixels) * channels + Math.floor(i / pixels)]!);
}

/** An image [C, H, W] as [H, W, C]. */
export function channelsLast(values: Float32Array, channels: number): Float32Array {
  return channelsFirst(values, values.length / channels);
}
