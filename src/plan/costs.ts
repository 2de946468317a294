/** What the layers of a net cost, layer by layer: work, values, bytes of parameters and of messages. */
import { type Net, type PlacedLayer, padding, parametersOf, type TowerIndex, volume } from '../model/net.js';
import { layerName, summarize } from '../model/summary.js';

export const FLOAT_BYTES = 4;

export type LayerKind = PlacedLayer['kind'] | 'gather';

/** A layer of one tower. `gather`: joining both halves at a cross-connection, and splitting the gradient. */
export interface LayerCost {
  /** `conv1`, `relu`, …; of a gather the layer that reads. */
  name: string;
  kind: LayerKind;
  /** The layer; of a gather the one that reads. */
  layer: PlacedLayer;
  /** Equal for layers with equal work: `conv 27x27x48 27x27x128 5/1`. */
  key: string;
  towers: readonly TowerIndex[];
  /** Of a forward pass of one image. */
  multiplyAdds: number;
  /** Values that a forward pass of one image reads and writes, without parameters. */
  values: number;
  /** Bytes of one tower's parameters. */
  parameterBytes: number;
  hasInputGradient: boolean;
  /** At a cross-connection: bytes that one tower sends of one image, forward and backward; float32. */
  site?: { name: string; bytes: number; home: boolean };
}

/** The layers of a net in order; a gather before each layer that reads both towers. */
export function costsOf(net: Net): LayerCost[] {
  const rows = summarize(net, 1);
  return net.layers.flatMap((layer, i): LayerCost[] => {
    const row = rows[i]!;
    const { towers, site } = layer;
    const cost: LayerCost = {
      ...{ name: layerName(layer), kind: layer.kind, layer, key: layerKey(layer), towers },
      multiplyAdds: row.multiplyAdds[0],
      values: volume(layer.input) + volume(layer.output),
      parameterBytes: row.parameters[0] * FLOAT_BYTES,
      hasInputGradient: i > 0, // nobody needs the gradient of the images
    };
    if (!site) return [cost];
    const half = volume(site.shape);
    const gather: LayerCost = {
      ...{ name: site.name, kind: 'gather', layer, key: `gather ${site.shape.join('x')}`, towers },
      ...{ multiplyAdds: 0, values: 4 * half, parameterBytes: 0, hasInputGradient: true },
      site: { name: site.name, bytes: half * FLOAT_BYTES, home: site.home !== undefined },
    };
    return [gather, cost];
  });
}

/** Says what decides a layer's time on a device. */
function layerKey(layer: PlacedLayer): string {
  const { kind, input, output } = layer;
  const sizes = `${input.join('x')} ${output.join('x')}`;
  if (layer.kind === 'conv') return `conv ${sizes} ${layer.size}/${layer.stride} ${padding(layer, input[0]).join('+')}`;
  if (layer.kind === 'pool') return `pool ${layer.op} ${sizes} ${layer.size}/${layer.stride}`;
  if (layer.kind === 'norm') return `norm ${sizes} ${layer.radius}`;
  if (layer.kind === 'mapNorm') return `mapNorm ${sizes} ${layer.size}`;
  if (layer.kind === 'dense' || layer.kind === 'dropout') return `${kind} ${volume(input)} ${volume(output)}`;
  return `${layerName(layer)} ${sizes}`;
}

/** Bytes of the parameters of one tower, or of the whole net. */
export function parameterBytes(net: Net, tower?: TowerIndex): number {
  return parametersOf(net, tower).reduce((total, { shape }) => total + volume(shape), 0) * FLOAT_BYTES;
}

/** Values of one image as the net reads it. */
export function imageValues({ options: { inputSize, inputChannels } }: Net): number {
  return inputSize ** 2 * inputChannels;
}
