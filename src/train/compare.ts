/** Compares what two teams computed in the same step, tensor by tensor. */
import { volume } from '../model/net.js';
import type { TensorInfo, TensorKind } from '../tower/protocol.js';
import type { Team } from './team.js';

/** How far a tensor of one side is from the other's. */
export interface Difference {
  name: string;
  layer: string;
  kind: TensorKind;
  /** Largest difference of two values. */
  absolute: number;
  /** That, as a share of the largest value of the reference; NaN where either side has NaN. */
  relative: number;
}

const FLOAT_BYTES = 4;
const KINDS: readonly TensorKind[] = ['input', 'activation', 'gradient', 'parameter'];

/**
 * The differences in the order in which the values come about: activations forward, gradients backward, parameters.
 * Both teams have run the same step with `keep`.
 */
export async function compareTeams(split: Team, reference: Team): Promise<Difference[]> {
  const lists = await split.ask({ kind: 'list' });
  const owned = lists.flatMap((list, tower) => list.map((info) => ({ info, tower })));
  const differences: Difference[] = [];
  for (const { info, tower } of inOrder(owned)) {
    const command = { kind: 'fetch', what: info.kind, name: info.name } as const;
    const [a, b] = [
      new SharedArrayBuffer(FLOAT_BYTES * volume(info.shape)),
      new SharedArrayBuffer(FLOAT_BYTES * volume(info.shape)),
    ];
    await Promise.all([split.towers[tower]!.ask(command, a), reference.towers[0]!.ask(command, b)]);
    const { name, layer, kind } = info;
    differences.push({ name, layer, kind, ...difference(new Float32Array(a), new Float32Array(b)) });
  }
  return differences;
}

/** The largest absolute difference, and its share of the largest value of `b`. */
export function difference(a: Float32Array, b: Float32Array): { absolute: number; relative: number } {
  let absolute = 0;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const distance = Math.abs(a[i]! - b[i]!);
    if (!(distance <= absolute)) absolute = distance; // NaN too
    if (Number.isNaN(absolute)) return { absolute, relative: Number.NaN };
    const value = Math.abs(b[i]!);
    if (value > largest) largest = value;
  }
  return { absolute, relative: absolute === 0 ? 0 : absolute / largest };
}

/** Activations of both towers layer by layer, then the gradients, then the parameters. */
function inOrder<T extends { info: TensorInfo }>(owned: readonly T[]): T[] {
  const layers = [...new Set(owned.map(({ info }) => info.layer))];
  const backward = [...layers].reverse();
  const rank = ({ info: { kind, layer } }: T): number => {
    const phase = Math.max(1, KINDS.indexOf(kind));
    return phase * 10_000 + (kind === 'gradient' ? backward : layers).indexOf(layer);
  };
  // The sort is stable: an input stays before its layer's activation, tower 0 before tower 1.
  return [...owned].sort((a, b) => rank(a) - rank(b));
}
