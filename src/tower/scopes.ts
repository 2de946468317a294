/** Names of what a tower computes, which lead from an op of TensorFlow to its tower, layer and phase. */
import type { Scope } from '../native/graph/scope.js';
import type { Part } from './protocol.js';

export const PHASES = ['forward', 'backward', 'exchange', 'update'] as const;

export interface ScopeName {
  /** The tower that computes; 0 for the whole net. */
  tower: 0 | 1;
  /** The layer, `loss`, `gradients` (what concerns all of them) or the cross-connection. */
  layer: string;
  phase: (typeof PHASES)[number];
}

/** The scope of what `layer` computes. @param phases of the pass, and of its gradient. */
export function scopeOf(part: Part, layer: string, ...[forward, backward]: [Phase, Phase]): Scope {
  const tower = part === 'whole' ? 0 : part;
  return { forward: `tower${tower}/${layer}/${forward}`, backward: `tower${tower}/${layer}/${backward}` };
}

type Phase = ScopeName['phase'];

const SCOPE = new RegExp(`(?:^|[/:])tower([01])/([^/:]+)/(${PHASES.join('|')})(?:/|$)`);

/** Finds the scope in the name of a node, also of one that TensorFlow has rewritten. */
export function scopeIn(name: string): ScopeName | undefined {
  const found = SCOPE.exec(name);
  if (!found) return undefined;
  return { tower: Number(found[1]) as 0 | 1, layer: found[2]!, phase: found[3] as Phase };
}
