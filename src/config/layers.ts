/** Layers of settings: a config file and the flags, each of which overrides settings of the layers before it. */

/** Settings that somebody gave: a part of a {@link Config}, not yet validated. */
export interface ConfigLayer {
  /** A config file's path; absent for the flags. */
  readonly file?: string;
  readonly values: Readonly<Record<string, unknown>>;
  /** The user's command line or config file; absent for what the program adds. */
  readonly by?: 'line' | 'file';
}

/** Whether the layer gives a value at that path. */
export function sets(layer: ConfigLayer, ...path: readonly PropertyKey[]): boolean {
  return valueAt(layer.values, path) !== undefined;
}

export function anySets(layers: readonly ConfigLayer[], ...path: readonly PropertyKey[]): boolean {
  return layers.some((layer) => sets(layer, ...path));
}

/** The strongest layer's value at that path; undefined if none has one. */
export function lastValue(layers: readonly ConfigLayer[], ...path: readonly PropertyKey[]): unknown {
  return valueAt(layers.findLast((layer) => sets(layer, ...path))?.values, path);
}

/** Whether layers over the settings of a run change the number of its towers, without naming devices for them. */
export function needsOtherDevices(saved: Readonly<Record<string, unknown>>, layers: readonly ConfigLayer[]): boolean {
  if (anySets(layers, 'devices')) return false;
  const isOther = (key: string, otherwise?: unknown) =>
    anySets(layers, key) && lastValue(layers, key) !== (saved[key] ?? otherwise);
  const servers = lastValue(layers, 'servers');
  return isOther('placement') || isOther('replicas', 1) || (Array.isArray(servers) && servers.length > 0);
}

/** The value at that path; undefined if there is none. Inherited properties (`constructor`) do not count. */
export function valueAt(values: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (isObject(value) || Array.isArray(value) ? own(value as Record<string, unknown>, key) : undefined),
    values,
  );
}

/**
 * Overrides settings by those of a layer. Objects are merged key by key; lists and other values are replaced. Two settings
 * follow others: a new input size scales the size before the crop, and a length in epochs replaces one in steps.
 */
export function mergeLayer(base: Record<string, unknown>, layer: ConfigLayer): Record<string, unknown> {
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
  // A schedule of another kind has other keys, so it replaces the whole schedule.
  if (base.kind !== undefined && over.kind !== undefined && over.kind !== base.kind) return over;
  const keys = [...new Set([...Object.keys(base), ...Object.keys(over)])];
  const merged = keys.map((key) => [key, merge(own(base, key), own(over, key))] as const);
  return Object.fromEntries(merged.filter(([, value]) => value !== undefined));
}

/** An own property only: a file may have the key `__proto__` or `constructor`. */
function own(object: Record<PropertyKey, unknown>, key: PropertyKey): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

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
