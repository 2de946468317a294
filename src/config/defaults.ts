/** What a setting is if nobody sets it, in words: for the help, and for the page of all flags. */
import type { Flag } from './flags.js';
import { valueAt } from './layers.js';
import { PRESETS } from './presets.js';
import { scheduleText } from './schedule-text.js';

/**
 * The default of a flag: `1`, or by preset `0.01; mini: 0.02; lenet: 0.9`, where the first value is that of every preset that
 * is not named, if more than half have the same. A switch is `on` where it changes nothing.
 */
export function defaultOf({ kind, path, otherwise }: Flag): string {
  if (otherwise !== undefined) return otherwise;
  if (kind === 'on' || kind === 'off') return byPreset(path, (value) => (value === (kind === 'on') ? 'on' : 'off'));
  if (kind === 'numbers') return byPreset(path, numbersText);
  if (kind === 'schedule') return byPreset(path, (value) => scheduleText(value, true));
  return byPreset(path, (value) => (isNothing(value) ? 'none' : String(value)));
}

/** One number or several, to six digits. */
export function numbersText(value: unknown): string {
  return [value]
    .flat()
    .map((each) => (typeof each === 'number' ? Number(each.toPrecision(6)) : each))
    .join(',');
}

export function isNothing(value: unknown): boolean {
  return value === undefined || value === null || value === '';
}

/** The values of a setting in the presets, as one line. @param path with dots between the keys. */
export function byPreset(path: string, textOf: (value: unknown) => string): string {
  const names = new Map<string, string[]>();
  for (const [name, preset] of Object.entries(PRESETS)) {
    const text = textOf(valueAt(preset, path.split('.')));
    names.set(text, [...(names.get(text) ?? []), name]);
  }
  const [first, ...rest] = [...names].sort(([, a], [, b]) => b.length - a.length);
  const isCommon = first![1].length > Object.keys(PRESETS).length / 2;
  const others = isCommon ? rest : [...names];
  return [...(isCommon ? [first![0]] : []), ...others.map(([text, which]) => `${together(which)}: ${text}`)].join('; ');
}

const FAMILY = 'imagenet';

/** The names with a comma between them; `imagenet*` for all presets whose name begins with that. */
function together(names: readonly string[]): string {
  const isMember = (name: string) => name.startsWith(FAMILY);
  const isWhole = Object.keys(PRESETS)
    .filter(isMember)
    .every((name) => names.includes(name));
  const shown = isWhole ? [...names.filter((name) => !isMember(name)), `${FAMILY}*`] : names;
  return shown.join(', ');
}
