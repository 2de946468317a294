/** The memory that a tower needs on its device. */
import { isWeighted, type Net, type TowerIndex, volume } from '../model/net.js';
import { sumOf } from '../numbers.js';
import { costsOf, FLOAT_BYTES, imageBytes } from './costs.js';

/** Bytes. */
export interface Memory {
  parameters: number;
  gradients: number;
  /** Of the momentum. */
  velocities: number;
  /** What the forward pass keeps for the backward pass. */
  activations: number;
  images: number;
  /** The largest that a single layer needs besides. */
  workspace: number;
  total: number;
}

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
  const activations = own.reduce((total, layer) => {
    // Where both towers' halves are joined, the joined input is kept besides the halves.
    const joined = layer.site && isWeighted(layer) ? volume(layer.input) : 0;
    return total + bytesOf(volume(layer.output) + joined);
  }, 0);
  const images = batchSize * imageBytes(net);
  const workspace = Math.max(0, ...own.map((layer) => bytesOf(2 * (volume(layer.input) + volume(layer.output)))));
  const velocities = hasMomentum ? parameters : 0;
  const parts = { parameters, gradients: parameters, velocities, activations, images, workspace };
  return { ...parts, total: Object.values(parts).reduce((sum, bytes) => sum + bytes, 0) };
}
