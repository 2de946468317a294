/** From merged settings to a Config, or to one sentence that says which setting is wrong and where it stands. */
import type { z } from 'zod';
import { ConfigError, truncate } from '../errors.js';
import type { Config } from './config.js';
import { FLAGS } from './flags.js';
import { type Layer, sets, valueAt } from './layers.js';
import { nearest } from './nearest.js';
import { CONFIG_SCHEMA, keysAt } from './schema.js';

/**
 * The settings as a Config, its keys in the schema's order.
 * @param layers where they came from, for the message.
 * @throws ConfigError for the first setting that is unknown or out of its range.
 */
export function validate(merged: Record<string, unknown>, layers: readonly Layer[]): Config {
  const parsed = CONFIG_SCHEMA.safeParse(merged);
  if (parsed.success) return parsed.data as Config;
  throw new ConfigError(sentence(parsed.error.issues[0]!, merged, layers));
}

function sentence(issue: z.core.$ZodIssue, merged: Record<string, unknown>, layers: readonly Layer[]): string {
  if (issue.code === 'unrecognized_keys') {
    const path = [...issue.path, issue.keys[0]!];
    const known = keysAt(issue.path);
    const near = nearest(issue.keys[0]!, known);
    const hint = near ? `did you mean "${near}"?` : `there are ${known.join(', ')}`;
    return `Cannot use the unknown key ${place(path, layers)}; ${hint}`;
  }
  const value = valueAt(merged, issue.path);
  const found = value === undefined ? 'missing' : shown(value);
  return `${place(issue.path, layers)} is ${found}, expected ${issue.message}`;
}

/** The setting's name for whoever gave it: its flag, or its path and the file. */
function place(path: readonly PropertyKey[], layers: readonly Layer[]): string {
  const name = truncate(path.join('.'), 120);
  const layer = giver(path, layers);
  if (layer === undefined) return name;
  if (layer.file !== undefined) return `${name} in ${layer.file}`;
  return FLAGS.find((flag) => name === flag.path || name.startsWith(`${flag.path}.`))?.name ?? name;
}

/** The strongest layer with a value at the path, or at the longest part of it that any has. */
function giver(path: readonly PropertyKey[], layers: readonly Layer[]): Layer | undefined {
  for (let length = path.length; length > 0; length--) {
    const layer = layers.findLast((each) => sets(each, ...path.slice(0, length)));
    if (layer) return layer;
  }
  return undefined;
}

/** A value as a message shows it: JSON, cut short; numbers that JSON has no word for as they are. */
export function shown(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value));
  return truncate(text);
}
