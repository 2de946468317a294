/** Segments as a tower runs them: with the names of what they take besides their input. */
import type * as tf from '@tensorflow/tfjs';
import {
  type EarlySegment,
  earlySegment,
  OWN_KERNEL,
  OWN_PART,
  PEER_KERNEL,
  runOwnPart,
  runRest,
} from '../model/early.js';
import type { Run } from '../model/forward.js';
import { homesOf, isWeighted, type Net, type PlacedLayer, parametersOf, type TowerIndex } from '../model/net.js';
import { referenceForward } from '../model/reference.js';
import { runSegment, type Segment, segmentsOf } from '../model/segments.js';

/** A segment as a tower runs it; the whole net is one. */
export interface OwnSegment extends Segment {
  key: string;
  /** Names of its parameters. */
  names: readonly string[];
  /** Its dropout layers, once for each tower that it has of them. */
  dropouts: readonly { layer: string; tower: TowerIndex; keep: number }[];
  isFirst: boolean;
  isLast: boolean;
  compute(x: tf.Tensor, run: Run): tf.Tensor;
  /** Its two parts, when it can be run on the own half first. */
  early?: { segment: EarlySegment; ownPart: OwnSegment; rest: OwnSegment };
}

/** A tower's segments. */
export function ownSegments(net: Net, tower: TowerIndex): OwnSegment[] {
  const segments = segmentsOf(net);
  return segments.map((segment, i) => {
    const own: OwnSegment = {
      ...segment,
      key: String(i),
      names: namesOf(net, segment.layers, [tower]),
      dropouts: dropoutsOf(segment.layers).filter((each) => each.tower === tower),
      isFirst: i === 0,
      isLast: i === segments.length - 1,
      compute: (x, run) => runSegment(segment, tower, x, run),
    };
    const early = earlySegment(segment, tower);
    return early ? { ...own, early: { segment: early, ...partsOf(own, early, tower) } } : own;
  });
}

function partsOf(own: OwnSegment, early: EarlySegment, tower: TowerIndex): { ownPart: OwnSegment; rest: OwnSegment } {
  const ownPart: OwnSegment = {
    ...own,
    key: `${own.key} own half`,
    names: [OWN_KERNEL, early.bias],
    dropouts: [],
    isLast: false,
    compute: (x, run) => runOwnPart(early, x, run),
  };
  const rest: OwnSegment = {
    ...own,
    key: `${own.key} rest`,
    names: [PEER_KERNEL, OWN_PART, ...own.names.filter((name) => name !== early.kernel && name !== early.bias)],
    compute: (x, run) => runRest(early, tower, x, run),
  };
  return { ownPart, rest };
}

/** The whole net as one segment. */
export function wholeNet(net: Net): OwnSegment {
  return {
    key: 'whole',
    layers: net.layers,
    names: namesOf(net, net.layers, [0, 1]),
    dropouts: dropoutsOf(net.layers),
    isFirst: true,
    isLast: true,
    compute: (x, run) => referenceForward(net, x as tf.Tensor4D, run),
  };
}

function namesOf(net: Net, layers: readonly PlacedLayer[], towers: readonly TowerIndex[]): string[] {
  const names = new Set(layers.filter(isWeighted).map(({ name }) => name));
  return parametersOf(net)
    .filter(({ layer, tower }) => names.has(layer) && towers.includes(tower))
    .map(({ name }) => name);
}

function dropoutsOf(layers: readonly PlacedLayer[]): OwnSegment['dropouts'] {
  const homes = homesOf(layers);
  return layers.flatMap((each, i) => {
    if (each.kind !== 'dropout') return [];
    const towers: readonly TowerIndex[] = homes[i] === undefined ? [0, 1] : [homes[i]];
    return towers.map((tower) => ({ layer: each.name, tower, keep: each.keep }));
  });
}
