/** The two towers as a picture in ASCII, drawn from the net's table. */
import {
  homesOf,
  isOneColumn,
  isWeighted,
  type Net,
  type PlacedLayer,
  type Site,
  sitesOf,
  type TowerIndex,
} from './net.js';
import { layerName, shapeText } from './summary.js';

const BOX = 37;
const GAP = ' '.repeat(3);
/** Column of a box's middle. */
const MIDDLE = (BOX - 1) / 2;
/** Columns between the two middles. */
const BETWEEN = BOX + GAP.length - 1;
const MARGIN = ' '.repeat(MIDDLE);

/** The layers from a site to the next. The first segment reads the image, and has no site. */
interface Segment {
  site?: Site;
  layers: PlacedLayer[];
}

/**
 * The picture, 77 columns wide: for each segment a box a tower, with a line for each named layer and what one tower
 * makes; between the boxes what crosses at each site, with the shape that one tower sends.
 */
export function towersPicture(net: Net): string {
  const { inputSize, inputChannels } = net.options;
  const segments = segmentsOf(net);
  const image = `image ${shapeText([inputSize, inputSize, inputChannels])}`;
  const alone = isOneColumn(net) ? homesOf(net.layers)[0] : undefined;
  const lines =
    alone === undefined
      ? [centered(image, BOX * 2 + GAP.length), `${MARGIN}+${centered('+', BETWEEN, '-')}+`]
      : [centered(image, BOX), `${MARGIN}|`];
  segments.forEach(({ site, layers }, i) => {
    const home = site?.home ?? alone;
    if (site) lines.push(...crossing(site));
    lines.push(beside(home, edge(site ? '+' : ' tower 0 '), edge(site ? '+' : ' tower 1 ')));
    for (const line of contentOf(layers)) lines.push(beside(home, line));
    lines.push(beside(home, edge(i === segments.length - 1 ? '-' : '+')));
  });
  return lines.map((line) => line.trimEnd()).join('\n');
}

function segmentsOf(net: Net): Segment[] {
  const sites = new Map(sitesOf(net).map((site) => [site.name, site]));
  const segments: Segment[] = [{ layers: [] }];
  for (const layer of net.layers) {
    const site = isWeighted(layer) ? sites.get(layer.name) : undefined;
    if (site) segments.push({ site, layers: [] });
    segments.at(-1)!.layers.push(layer);
  }
  return segments;
}

/** What crosses at a site: both towers' halves, or to a layer with a home only the other tower's. */
function crossing({ name, shape, home }: Site): string[] {
  const half = (BETWEEN - 1) / 2; // columns on each side of the X
  const shaft = '-'.repeat(half - 2);
  const toRight = home === 0 ? [' ', ' ', '/', ' ', ' '] : ['.', '\\', 'X', '\\', "'"];
  const toLeft = home === 1 ? [' ', ' ', '\\', ' ', ' '] : ['.', '/', 'X', '/', "'"];
  const middle = home === undefined ? 'X' : home === 0 ? toRight[2] : toLeft[2];
  const [left, right] = [home === 1 ? ' ' : '|', home === 0 ? ' ' : '|'];
  const blank = ' '.repeat(shaft.length);
  const from = (sends: boolean) => (sends ? shaft : blank);
  return [
    `${home === 1 ? "'" : '|'}${from(home !== 0)}${toRight[0]}   ${toLeft[0]}${from(home !== 1)}${home === 0 ? "'" : '|'}`,
    `${left}${blank} ${toRight[1]} ${toLeft[1]} ${blank}${right}`,
    `${left}${centered(name, half)}${middle}${centered(shapeText(shape), half)}${right}`,
    `${left}${blank} ${toLeft[3]} ${toRight[3]} ${blank}${right}`,
    `${left}${home === 1 ? blank : `<${shaft.slice(1)}`}${toLeft[4]}   ${toRight[4]}${home === 0 ? blank : `${shaft.slice(1)}>`}${right}`,
  ].map((line) => MARGIN + line);
}

/** A line for each named layer with the unnamed ones after it, wrapped where it is too long. */
function contentOf(layers: readonly PlacedLayer[]): string[] {
  const groups: PlacedLayer[][] = [];
  for (const layer of layers) {
    const named = layer.kind !== 'activation' && layer.kind !== 'norm' && layer.kind !== 'mapNorm';
    if (named || groups.length === 0) groups.push([layer]);
    else groups.at(-1)!.push(layer);
  }
  return groups.flatMap((group) => {
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

/** `conv1 11x11/4`: the window, and its stride when it is not one. */
function wordsOf(layer: PlacedLayer): string {
  if (layer.kind !== 'conv' && layer.kind !== 'pool') return layerName(layer);
  const stride = layer.stride === 1 ? '' : `/${layer.stride}`;
  return `${layer.name} ${layer.size}x${layer.size}${stride}`;
}

/** A line of tower 0's box beside one of tower 1's; a box that is not there stays blank. */
function beside(home: TowerIndex | undefined, left: string, right = left): string {
  const blank = ' '.repeat(BOX);
  return `${home === 1 ? blank : left}${GAP}${home === 0 ? blank : right}`;
}

/** A box's upper or lower side with `middle` in it. */
function edge(middle: string): string {
  return `+${centered(middle, BOX - 2, '-')}+`;
}

function centered(text: string, width: number, fill = ' '): string {
  const left = Math.floor((width - text.length) / 2);
  return fill.repeat(left) + text + fill.repeat(width - text.length - left);
}
