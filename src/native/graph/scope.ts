/**
 * Scopes say what ops belong to, such as `tower0/conv1/forward`: the names of recorded nodes begin with it. What tfjs's tape
 * notes within a scope has another one when it is differentiated, so the gradient of an op leads to the op's layer.
 */
import tf = require('@tensorflow/tfjs');

import { currentBinding } from '../binding/backend.js';

export interface Scope {
  forward: string;
  /** Of the gradients of what is computed in it. */
  backward: string;
}

/** Receives what ran in a scope but in no inner one, with `performance.now()` at its start and end. */
export type ScopeWatcher = (scope: string, start: number, end: number) => void;

interface TapeNode {
  gradient?: (dys: tf.Tensor[]) => Record<string, () => tf.Tensor>;
}

let current: string | undefined;
let watcher: ScopeWatcher | undefined;
/** When the thread entered the current scope. */
let since = 0;

/** What the name of a node begins with: the scope and a slash, or nothing. */
export function scopePrefix(): string {
  return current === undefined ? '' : `${current}/`;
}

/** Runs `action` in a scope. An inner scope takes the place of an outer one. */
export function inScope<T>({ forward, backward }: Scope, action: () => T): T {
  if (!currentBinding().isRecording && !watcher) return action(); // nobody would see it
  const { activeTape } = (tf.engine() as unknown as { state: { activeTape: TapeNode[] | null } }).state;
  const before = activeTape?.length ?? 0;
  const result = within(forward, action);
  for (const node of activeTape?.slice(before) ?? []) {
    const { gradient } = node;
    if (!gradient) continue;
    node.gradient = (dys) => {
      const found = within(backward, () => gradient(dys));
      return Object.fromEntries(Object.entries(found).map(([name, fn]) => [name, () => within(backward, fn)]));
    };
  }
  return result;
}

/** Runs `action` outside of the scopes around it. */
export function outOfScope<T>(action: () => T): T {
  return within(undefined, action);
}

/** While `action` runs, ops in a scope are watched, in this thread. For ops that are run, not recorded. */
export function watchScopes<T>(watch: ScopeWatcher | undefined, action: () => T): T {
  const before = watcher;
  watcher = watch;
  try {
    return action();
  } finally {
    watcher = before;
  }
}

function within<T>(scope: string | undefined, action: () => T): T {
  const outer = current;
  enter(scope);
  try {
    return action();
  } finally {
    enter(outer);
  }
}

/** Moves to another scope, and tells the watcher what ran since the last move. */
function enter(scope: string | undefined): void {
  if (watcher) {
    const now = performance.now();
    if (current !== undefined) watcher(current, since, now);
    since = now;
  }
  current = scope;
}
