/**
 * A net's parameters as other frameworks have them: the towers joined, and PyTorch's layouts. A kernel is
 * [outputs, inputs of a group, height, width], or [outputs, inputs of a group] of a dense layer, whose inputs come in the
 * order channel, row, column. Ours are [height, width, inputs, outputs of one tower]: a dense layer's too, flattened.
 */
import { isWeighted, type Net, type Parameter, parametersOf, type WeightedLayer } from '../model/net.js';

/** A parameter's place in a joined tensor. */
export interface Part {
  parameter: Parameter;
  /** The joined tensor's first output that is this parameter's. */
  at: number;
}

/** A joined tensor. */
export interface Portable {
  /** `conv1.weight`, `conv1.bias`. */
  name: string;
  layer: string;
  role: Parameter['role'];
  shape: readonly number[];
  /** Height times width of what one output reads, and channels of that. */
  window: number;
  inputs: number;
  /** Tower 0's before tower 1's. */
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

/** In how many groups a layer's outputs read its inputs: two where each tower reads its own channels. */
export function groupsOf(net: Net, layer: WeightedLayer): number {
  if (layer.reach === 'both' || layer === net.layers[0]) return 1;
  return parametersOf(net).filter((each) => each.layer === layer.name && each.role === 'bias').length;
}

/**
 * Writes a parameter's values into the joined tensor's.
 * @param own of the part's parameter, row-major; @param joined of the whole tensor.
 */
export function join(portable: Portable, part: Part, own: Float32Array, joined: Float32Array): void {
  eachRow(portable, part, (row, step, from, count) => {
    for (let o = 0; o < count; o++) joined[row + o * step] = own[from + o]!;
  });
}

/** The other way round: fills `own` from the joined tensor. */
export function separate(portable: Portable, part: Part, joined: Float32Array, own: Float32Array): void {
  eachRow(portable, part, (row, step, from, count) => {
    for (let o = 0; o < count; o++) own[from + o] = joined[row + o * step]!;
  });
}

/** Outputs that are copied at once: what is read and what is written stays in the cache. */
const BLOCK = 32;

/**
 * Tells for each input and some outputs where they lie.
 * @param visit takes the place of the first in the joined tensor, the step from one output to the next there, the place in
 * the parameter, where outputs stand side by side, and their number.
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

/** An image's values [H, W, C] as [C, H, W]. */
export function channelsFirst(values: Float32Array, channels: number): Float32Array {
  const pixels = values.length / channels;
  return values.map((_, i) => values[(i % pixels) * channels + Math.floor(i / pixels)]!);
}

/** The other way round. */
export function channelsLast(values: Float32Array, channels: number): Float32Array {
  return channelsFirst(values, values.length / channels);
}
