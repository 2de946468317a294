/** What a net costs: parameters, multiply-adds and exchanged bytes, by layer and by tower. */
import { type Net, type PlacedLayer, parametersOf, type Shape, type TowerIndex, volume } from './net.js';

/** A value for tower 0 and one for tower 1. */
export type PerTower = readonly [number, number];

/** One layer. */
export interface Row {
  /** See {@link layerName}. */
  layer: string;
  kind: PlacedLayer['kind'];
  /** The towers that have it. */
  towers: readonly TowerIndex[];
  /** What one tower reads and computes, [H, W, C]; the input has both towers' channels at a site. */
  input: Shape;
  output: Shape;
  parameters: PerTower;
  /** Multiply-adds of convolutions and dense layers, in a forward pass of one image. */
  multiplyAdds: PerTower;
  /** At a site: bytes that each tower sends in one step, activations forward and gradients backward; no headers. */
  exchange?: { forward: PerTower; backward: PerTower };
}

/** Sums over the rows; `sentBytes` is what each tower sends in one step. */
export type Totals = Record<'parameters' | 'multiplyAdds' | 'sentBytes', PerTower>;

const FLOAT_BYTES = 4;

/** The net's layers, in order. @param batchSize images in a step, for the exchanged bytes. */
export function summarize(net: Net, batchSize: number): Row[] {
  const parameters = parametersOf(net);
  return net.layers.map((layer): Row => {
    const { kind, towers, input, output, site } = layer;
    const name = layerName(layer);
    const has = (tower: TowerIndex) => towers.includes(tower);
    const own = (tower: TowerIndex) => parameters.filter((each) => each.layer === name && each.tower === tower);
    const bytes = site ? volume(site.shape) * batchSize * FLOAT_BYTES : 0;
    return {
      ...{ layer: name, kind, towers, input, output },
      parameters: perTower((tower) => own(tower).reduce((sum, { shape }) => sum + volume(shape), 0)),
      multiplyAdds: perTower((tower) => (has(tower) ? multiplyAdds(layer) : 0)),
      ...(site && {
        exchange: {
          forward: perTower((tower) => (has(tower === 0 ? 1 : 0) ? bytes : 0)), // to the peer, if it has the layer
          backward: perTower((tower) => (has(tower) ? bytes : 0)),
        },
      }),
    };
  });
}

export function totalsOf(rows: readonly Row[]): Totals {
  const sum = (value: (row: Row, tower: TowerIndex) => number) =>
    perTower((tower) => rows.reduce((total, row) => total + value(row, tower), 0));
  return {
    parameters: sum((row, tower) => row.parameters[tower]),
    multiplyAdds: sum((row, tower) => row.multiplyAdds[tower]),
    sentBytes: sum(({ exchange }, tower) => (exchange ? exchange.forward[tower] + exchange.backward[tower] : 0)),
  };
}

/** The layer's name; its function if it has none: `relu`, `norm`, `mapNorm`. */
export function layerName(layer: PlacedLayer): string {
  if ('name' in layer) return layer.name;
  return layer.kind === 'activation' ? layer.function : layer.kind;
}

/** `13x13x128`; only the units after the first dense layer. */
export function shapeText([height, width, channels]: Shape): string {
  return height === 1 && width === 1 ? String(channels) : `${height}x${width}x${channels}`;
}

/** Each output value is a sum over the window and its channels. */
function multiplyAdds(layer: PlacedLayer): number {
  if (layer.kind === 'dense') return volume(layer.input) * volume(layer.output);
  if (layer.kind === 'conv') return volume(layer.output) * layer.size ** 2 * layer.input[2];
  return 0;
}

function perTower(value: (tower: TowerIndex) => number): PerTower {
  return [value(0), value(1)];
}
