/** Layers of settings laid one over another. */

/** Settings that somebody gave: a part of a {@link Config}'s shape, not yet validated. */
export interface Layer {
  /** A config file's path; absent for the flags. */
  readonly file?: string;
  readonly values: Readonly<Record<string, unknown>>;
  /** Who gave it: the command line, or the user's config file; absent for what the program puts together. */
  readonly by?: 'line' | 'file';
}

/** Whether the layer gives a value at that path. */
export function sets(layer: Layer, ...path: readonly PropertyKey[]): boolean {
  return valueAt(layer.values, path) !== undefined;
}

/** The value at that path; undefined when there is none. What every object inherits, `constructor`, is none. */
export function valueAt(values: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (isObject(value) || Array.isArray(value) ? own(value as Record<string, unknown>, key) : undefined),
    values,
  );
}

/**
 * Lays a layer over settings. Objects are merged key by key, lists and the rest replaced. What a layer leaves out but
 * makes untrue goes with it: another input size scales the size before the crop, and a length in epochs ends one in
 * steps.
 */
export function mergeLayer(base: Record<string, unknown>, layer: Layer): Record<string, unknown> {
  const merged = merge(base, layer.values) as Record<string, unknown>;
  if (sets(layer, 'epochs') && !sets(layer, 'steps')) merged.steps = null;
  const size = valueAt(layer.values, ['net', 'inputSize']);
  if (typeof size === 'number' && !sets(layer, 'data', 'resize') && isObject(merged.data)) {
    const [before, resize] = [valueAt(base, ['net', 'inputSize']), valueAt(base, ['data', 'resize'])];
    if (typeof before === 'number' && typeof resize === 'number') {
      merged.data = { ...merged.data, resize: Math.round((size * resize) / before) };
    }
  }
  return merged;
}

function merge(base: unknown, over: unknown): unknown {
  if (over === undefined) return base;
  if (!isObject(base) || !isObject(over)) return over;
  // Another kind of schedule has other keys: it replaces the old one whole.
  if (base.kind !== undefined && over.kind !== undefined && over.kind !== base.kind) return over;
  const keys = new Set([...Object.keys(base), ...Object.keys(over)]);
  return Object.fromEntries([...keys].map((key) => [key, merge(own(base, key), own(over, key))]));
}

/** A file may have a key `__proto__`, or `constructor`: only own properties count. */
function own(object: Record<PropertyKey, unknown>, key: PropertyKey): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Freezes a value and all that it holds; returns it. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const each of Object.values(value)) deepFreeze(each);
  }
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
