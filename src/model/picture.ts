/** Draws the two towers of a net in ASCII. */
import { isOneColumn, type Net, type PlacedLayer, type Site } from './net.js';
import { layerName, shapeText } from './summary.js';

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
