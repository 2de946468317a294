/** The memory that a tower needs on its device. */
import { isWeighted, type Net, type PlacedLayer, type TowerIndex, volume } from '../model/net.js';
import { sumOf } from '../numbers.js';
import { costsOf, FLOAT_BYTES, imageValues } from './costs.js';

/** Bytes. */
export interface Memory {
  parameters: number;
  gradients: number;
  /** Of the momentum. */
  velocities: number;
  /** What the forward pass keeps for the backward pass. */
  activations: number;
  images: number;
  /** What a single layer needs besides, at most. */
  workspace: number;
  total: number;
}

/**
 * What a layer keeps for its gradient, as a multiple of what it computes: a norm keeps its result, the sum of squares and
 * two roots of it, a pool also a byte for the place of each maximum, dropout its mask.
 */
const KEPT: Record<PlacedLayer['kind'], number> = {
  ...{ conv: 1, dense: 1, activation: 1, norm: 4, mapNorm: 4, pool: 1.25, dropout: 2 },
};

/**
 * @param towers one, or both on one device.
 * @param denseShare the share of the dense layers' parameters that the device has.
 */
export function memoryOf(
  net: Net,
  batchSize: number,
  towers: readonly TowerIndex[],
  hasMomentum: boolean,
  denseShare = 1,
): Memory {
  const parameters = sumOf(costsOf(net), ({ kind, towers: all, parameterBytes }) => {
    const share = kind === 'dense' ? denseShare : 1;
    return share * parameterBytes * all.filter((tower) => towers.includes(tower)).length;
  });
  const own = net.layers.flatMap((layer) => layer.towers.filter((tower) => towers.includes(tower)).map(() => layer));
  const bytesOf = (values: number) => values * batchSize * FLOAT_BYTES;
  const activations = sumOf(own, (layer) => {
    // Where both towers' halves are joined, the joined input is kept besides the halves.
    const joined = layer.site && isWeighted(layer) ? volume(layer.input) : 0;
    return bytesOf(KEPT[layer.kind] * volume(layer.output) + joined);
  });
  const images = bytesOf(imageValues(net));
  const workspace = sumOf(towers, (tower) => {
    const layers = net.layers.filter((layer) => layer.towers.includes(tower));
    return Math.max(0, ...layers.map(({ input, output }) => bytesOf(2 * (volume(input) + volume(output)))));
  });
  const velocities = hasMomentum ? parameters : 0;
  const parts = { parameters, gradients: parameters, velocities, activations, images, workspace };
  return { ...parts, total: Object.values(parts).reduce((sum, bytes) => sum + bytes, 0) };
}
