/** What a net costs (parameters, multiply-adds and exchanged bytes, by layer and by tower), and a picture of it. */
import {
  isOneColumn,
  type Net,
  type PlacedLayer,
  parametersOf,
  type Shape,
  type Site,
  type TowerIndex,
  volume,
} from './net.js';

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

const BOX = 37;
const GAP = ' '.repeat(3);
/** Columns between the middles of the two boxes. */
const BETWEEN = BOX + GAP.length - 1;
/** What is left of the middle of the left box. */
const MARGIN = ' '.repeat((BOX - 1) / 2);

/**
 * Returns the picture, 77 columns wide. Each tower is a box from site to site, with a line for each named layer and the
 * shape that one tower computes. Arrows between the boxes give the name of the site and the shape that one tower sends.
 */
export function towersPicture(net: Net): string {
  const { inputSize, inputChannels } = net.options;
  const image = `image ${shapeText([inputSize, inputSize, inputChannels])}`;
  const lines = isOneColumn(net)
    ? [centered(image, BOX), `${MARGIN}|`]
    : [centered(image, BOX * 2 + GAP.length), `${MARGIN}+${centered('+', BETWEEN, '-')}+`];
  const segments = split(net.layers, ({ site }) => site !== undefined);
  for (const layers of segments) {
    const { site, towers } = layers[0]!;
    if (site) lines.push(...crossing(site));
    lines.push(beside(towers, edge(site ? '+' : ' tower 0 '), edge(site ? '+' : ' tower 1 ')));
    for (const line of contentOf(layers)) lines.push(beside(towers, line));
    lines.push(beside(towers, edge(layers === segments.at(-1) ? '-' : '+')));
  }
  return lines.map((line) => line.trimEnd()).join('\n');
}

/** Splits the layers before each one that `isStart`. */
function split(layers: readonly PlacedLayer[], isStart: (layer: PlacedLayer) => boolean): (readonly PlacedLayer[])[] {
  const starts = layers.flatMap((layer, i) => (i === 0 || isStart(layer) ? [i] : []));
  return starts.map((start, i) => layers.slice(start, starts[i + 1]));
}

/** The arrows at a site: both ways, or only to the home of the layer. */
function crossing({ name, shape, home }: Site): string[] {
  const half = (BETWEEN - 1) / 2;
  const [shaft, blank] = ['-'.repeat(half - 2), ' '.repeat(half - 2)];
  const texts = (middle: string) => `${centered(name, half)}${middle}${centered(shapeText(shape), half)}`;
  const bothWays = [
    `|${shaft}.   .${shaft}|`,
    `|${blank} \\ / ${blank}|`,
    `|${texts('X')}|`,
    `|${blank} / \\ ${blank}|`,
    `|<${shaft.slice(1)}'   '${shaft.slice(1)}>|`,
  ];
  const toHome = [`|${blank}    .${shaft}'`, `|${blank}   /`, `|${texts('/')}`, `|${blank} /`, `|<${shaft.slice(1)}'`];
  return (home === undefined ? bothWays : toHome).map((line) => MARGIN + line);
}

/** A line for each named layer and the unnamed ones after it, wrapped if it is too long. */
function contentOf(layers: readonly PlacedLayer[]): string[] {
  return split(layers, (layer) => 'name' in layer).flatMap((group) => {
    const shape = shapeText(group.at(-1)!.output);
    const lines = [''];
    for (const word of group.map(wordsOf)) {
      const longer = lines.at(-1) === '' ? word : `${lines.at(-1)}, ${word}`;
      if (longer.length + shape.length + 1 <= BOX - 4) lines[lines.length - 1] = longer;
      else lines.push(`  ${word}`);
    }
    return lines.map((line, i) => {
      const right = i === lines.length - 1 ? shape : '';
      return `| ${line.padEnd(BOX - 4 - right.length)}${right} |`;
    });
  });
}

/** `conv1 11x11/4`: the window, and its stride if that is not 1. */
function wordsOf(layer: PlacedLayer): string {
  if (layer.kind !== 'conv' && layer.kind !== 'pool') return layerName(layer);
  const stride = layer.stride === 1 ? '' : `/${layer.stride}`;
  return `${layer.name} ${layer.size}x${layer.size}${stride}`;
}

/** A line of the two boxes; of a tower that does not have the layers, blank. */
function beside(towers: PlacedLayer['towers'], left: string, right = left): string {
  const blank = ' '.repeat(BOX);
  return `${towers.includes(0) ? left : blank}${GAP}${towers.includes(1) ? right : blank}`;
}

/** The upper or lower edge of a box, with `middle` in it. */
function edge(middle: string): string {
  return `+${centered(middle, BOX - 2, '-')}+`;
}

function centered(text: string, width: number, fill = ' '): string {
  const left = Math.floor((width - text.length) / 2);
  return fill.repeat(left) + text + fill.repeat(width - text.length - left);
}
