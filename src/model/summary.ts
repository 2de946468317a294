/**
 * What a net costs: parameters, multiply-adds and exchanged bytes, layer by layer and by tower.
 * H height, W width, C channels of one tower.
 */
import {
  homesOf,
  isWeighted,
  type Net,
  type PlacedLayer,
  parametersOf,
  type Shape,
  sitesOf,
  type TowerIndex,
  volume,
} from './net.js';

/** A value for tower 0 and one for tower 1. */
export type PerTower = readonly [number, number];

/** What crosses at a site in one step: the bytes that each tower sends, as float32 and without headers. */
export interface Exchange {
  /** Activations. A tower that alone reads them (a layer's home) sends none. */
  forward: PerTower;
  /** Gradients, the other way round. */
  backward: PerTower;
}

/** One layer. */
export interface Row {
  /** Its name, or what it does when it has none: `relu`, `norm`, `mapNorm`. */
  layer: string;
  kind: PlacedLayer['kind'];
  /** The towers that have it. */
  towers: readonly TowerIndex[];
  /** What one tower reads, [H, W, C]; both towers' channels where the input crosses. */
  input: Shape;
  /** What one tower makes. */
  output: Shape;
  /** Of each tower. */
  parameters: PerTower;
  /** Multiplications with addition in a forward pass of one image, of each tower; convolutions and dense layers only. */
  multiplyAdds: PerTower;
  /** Only where the input crosses. */
  exchange?: Exchange;
}

/** Sums over the rows. */
export interface Totals {
  parameters: PerTower;
  multiplyAdds: PerTower;
  /** Bytes that each tower sends in one step, forward and backward. */
  sentBytes: PerTower;
}

const FLOAT_BYTES = 4;

/** The net's layers, in order. @param batchSize images a step, for the exchanged bytes. */
export function summarize(net: Net, batchSize: number): Row[] {
  const sites = new Map(sitesOf(net).map((site) => [site.name, site]));
  const homes = homesOf(net.layers);
  return net.layers.map((layer, i): Row => {
    const home = homes[i];
    const towers: TowerIndex[] = home === undefined ? [0, 1] : [home];
    const site = isWeighted(layer) ? sites.get(layer.name) : undefined;
    const bytes = site ? volume(site.shape) * batchSize * FLOAT_BYTES : 0;
    const reads = (tower: TowerIndex) => site?.home === undefined || site.home === tower;
    return {
      layer: layerName(layer),
      kind: layer.kind,
      towers,
      input: layer.input,
      output: layer.output,
      parameters: perTower((tower) => (isWeighted(layer) ? parameterCount(net, layer.name, tower) : 0)),
      multiplyAdds: perTower((tower) => (towers.includes(tower) ? multiplyAdds(layer) : 0)),
      ...(site && {
        exchange: {
          forward: perTower((tower) => (reads(other(tower)) ? bytes : 0)),
          backward: perTower((tower) => (reads(tower) ? bytes : 0)),
        },
      }),
    };
  });
}

/** The sums by tower. */
export function totalsOf(rows: readonly Row[]): Totals {
  const sum = (value: (row: Row, tower: TowerIndex) => number) =>
    perTower((tower) => rows.reduce((total, row) => total + value(row, tower), 0));
  return {
    parameters: sum((row, tower) => row.parameters[tower]),
    multiplyAdds: sum((row, tower) => row.multiplyAdds[tower]),
    sentBytes: sum(({ exchange }, tower) => (exchange ? exchange.forward[tower] + exchange.backward[tower] : 0)),
  };
}

/** A layer's name, or what it does when it has none. */
export function layerName(layer: PlacedLayer): string {
  if ('name' in layer) return layer.name;
  return layer.kind === 'activation' ? layer.function : layer.kind;
}

/** `13x13x128`; after the first dense layer only the units. */
export function shapeText([height, width, channels]: Shape): string {
  return height === 1 && width === 1 ? String(channels) : `${height}x${width}x${channels}`;
}

/** Each output value is a sum over the window and the channels read. */
function multiplyAdds(layer: PlacedLayer): number {
  if (layer.kind === 'dense') return volume(layer.input) * volume(layer.output);
  if (layer.kind === 'conv') return volume(layer.output) * layer.size ** 2 * layer.input[2];
  return 0;
}

function parameterCount(net: Net, layer: string, tower: TowerIndex): number {
  return parametersOf(net, tower)
    .filter((parameter) => parameter.layer === layer)
    .reduce((total, { shape }) => total + volume(shape), 0);
}

function perTower(value: (tower: TowerIndex) => number): PerTower {
  return [value(0), value(1)];
}

function other(tower: TowerIndex): TowerIndex {
  return tower === 0 ? 1 : 0;
}
