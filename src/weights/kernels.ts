/** The kernels of a net's first layer: how much of them is colour, tower by tower, and what they look like. */
import { withTensors } from '../checkpoint/weights-files.js';
import { ConfigError } from '../errors.js';
import { type Net, parametersOf, type TowerIndex } from '../model/net.js';

/** One tower's kernels of the first layer. */
export interface TowerKernels {
  tower: TowerIndex;
  /** One a kernel: [size, size, channels], row-major. */
  kernels: readonly Float32Array[];
}

/** The first layer's kernels. */
export interface FirstLayer {
  layer: string;
  /** Height and width of a kernel. */
  size: number;
  /** Of the image: 1, or 3 for red, green and blue. */
  channels: number;
  towers: readonly TowerKernels[];
}

/** How much of some kernels is colour. */
export interface Energy {
  kernels: number;
  /** Sums over the kernels of what is on the grey axis and what is off it; see {@link energyOf}. */
  grey: number;
  colour: number;
  /** colour / (grey + colour); 0 of kernels without any values. */
  colourShare: number;
  /** Kernels that are more colour than grey. */
  mostlyColour: number;
}

/**
 * Reads the first layer's kernels from a run's weights.
 * @throws ConfigError when that layer is no convolution; CheckpointError for weights of another net.
 */
export function firstLayerOf(net: Net, files: readonly string[]): FirstLayer {
  const [layer] = net.layers;
  if (layer?.kind !== 'conv') {
    throw new ConfigError(
      `Cannot show the kernels of the net ${net.options.table}: its first layer is ${layer?.kind}, expected a convolution; choose another run`,
    );
  }
  const { name, size } = layer;
  const channels = layer.input[2];
  return withTensors(files, (source) => {
    const towers = parametersOf(net)
      .filter((each) => each.layer === name && each.role === 'kernel')
      .map(({ name: parameter, shape, tower }): TowerKernels => {
        return { tower, kernels: columnsOf(source.read(parameter, shape), shape.at(-1)!) };
      });
    return { layer: name, size, channels, towers };
  });
}

/** Each output's values of [..., outputs]. */
function columnsOf(values: Float32Array, outputs: number): Float32Array[] {
  return Array.from({ length: outputs }, (_, o) =>
    Float32Array.from({ length: values.length / outputs }, (_, i) => values[i * outputs + o]!),
  );
}

/**
 * A kernel's energy, the sum of its squares, in two parts: of its grey, the mean of a pixel's channels repeated in each,
 * and of its colour, what is left. They are at right angles, so the two add up to the whole.
 */
export function energyOf(kernel: Float32Array, channels: number): { grey: number; colour: number } {
  let [grey, colour] = [0, 0];
  for (let at = 0; at < kernel.length; at += channels) {
    const pixel = kernel.subarray(at, at + channels);
    const mean = pixel.reduce((sum, value) => sum + value, 0) / channels;
    grey += channels * mean ** 2;
    colour += pixel.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  }
  return { grey, colour };
}

/** The energies of a tower's kernels together. */
export function towerEnergy({ kernels }: TowerKernels, channels: number): Energy {
  const energies = kernels.map((kernel) => energyOf(kernel, channels));
  const grey = energies.reduce((sum, each) => sum + each.grey, 0);
  const colour = energies.reduce((sum, each) => sum + each.colour, 0);
  const whole = grey + colour;
  return {
    ...{ kernels: kernels.length, grey, colour },
    colourShare: whole === 0 ? 0 : colour / whole,
    mostlyColour: energies.filter((each) => each.colour > each.grey).length,
  };
}
