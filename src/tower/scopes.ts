/** Names of what a tower computes, which lead from an op of TensorFlow to its tower, layer and phase. */
import type { Scope } from '../native/graph/scope.js';

export const PHASES = ['forward', 'backward', 'exchange', 'update'] as const;

export interface ScopeName {
  /** The tower that computes: see `towerNumber`. */
  tower: number;
  /** The layer, `loss`, `gradients` (what concerns all of them) or the cross-connection. */
  layer: string;
  phase: (typeof PHASES)[number];
}

/** The scope of what `layer` computes. @param phases of the pass, and of its gradient. */
export function scopeOf(tower: number, layer: string, ...[forward, backward]: [Phase, Phase]): Scope {
  return { forward: `tower${tower}/${layer}/${forward}`, backward: `tower${tower}/${layer}/${backward}` };
}

type Phase = ScopeName['phase'];

const SCOPE = new RegExp(`(?:^|[/:])tower(\\d+)/([^/:]+)/(${PHASES.join('|')})(?:/|$)`);

/** Finds the scope in the name of a node, also of one that TensorFlow has rewritten. */
export function scopeIn(name: string): ScopeName | undefined {
  const found = SCOPE.exec(name);
  if (!found) return undefined;
  return { tower: Number(found[1]), layer: found[2]!, phase: found[3] as Phase };
}
