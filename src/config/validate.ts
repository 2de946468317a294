/** Turns merged settings into a {@link Config}, or into one sentence that says which setting is wrong and where. */
import type { z } from 'zod';
import { ConfigError, truncate } from '../errors.js';
import { nearest } from '../nearest.js';
import { FLAGS } from './flags.js';
import { type ConfigLayer, sets, valueAt } from './layers.js';
import { CONFIG_SCHEMA, type Config } from './schema.js';

/**
 * Returns the settings as a Config, with the keys in the schema's order.
 * @param layers where the settings came from, for the message.
 * @throws ConfigError for the first setting that is unknown or out of its range.
 */
export function validate(merged: Record<string, unknown>, layers: readonly ConfigLayer[]): Config {
  const parsed = CONFIG_SCHEMA.safeParse(merged);
  if (parsed.success) return parsed.data;
  throw new ConfigError(sentence(parsed.error.issues[0]!, merged, layers));
}

function sentence(issue: z.core.$ZodIssue, merged: Record<string, unknown>, layers: readonly ConfigLayer[]): string {
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const near = nearest(truncate(key), issue.message.split(', ')); // a key may be huge
    const hint = near ? `did you mean "${near}"?` : `known keys: ${issue.message}`;
    return `Cannot use the unknown key ${place([...issue.path, key], layers)}; ${hint}`;
  }
  const value = valueAt(merged, issue.path);
  const found = value === undefined ? 'missing' : shortText(value);
  const names = issue.code === 'invalid_value' && typeof value === 'string' ? issue.values.map(String) : [];
  const near = nearest(truncate(String(value)), names);
  const hint = near === undefined ? '' : `; did you mean ${near}?`;
  return `${place(issue.path, layers)} is ${found}, expected ${issue.message}${hint}`;
}

/** The setting's name as the user knows it: its flag, or its path and the file. */
function place(path: readonly PropertyKey[], layers: readonly ConfigLayer[]): string {
  const name = truncate(path.join('.'), 120);
  const source = sourceOf(path, layers);
  if (source === undefined) return name;
  if (source.file !== undefined) return `${name} in ${source.file}`;
  return FLAGS.find((flag) => name === flag.path || name.startsWith(`${flag.path}.`))?.name ?? name;
}

/** The strongest layer with a value at the path, or at the longest beginning of it that any layer has. */
function sourceOf(path: readonly PropertyKey[], layers: readonly ConfigLayer[]): ConfigLayer | undefined {
  for (let length = path.length; length > 0; length--) {
    const layer = layers.findLast((each) => sets(each, ...path.slice(0, length)));
    if (layer) return layer;
  }
  return undefined;
}

/** A value for a message: JSON, truncated; NaN and the infinities as they are. */
export function shortText(value: unknown): string {
  return truncate(typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value)));
}
