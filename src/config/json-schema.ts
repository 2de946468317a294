/** The config file's format as JSON Schema, for editors: what a file may set, and what each setting means. */
import { z } from 'zod';
import { byPreset, defaultOf, isNothing } from './defaults.js';
import { FLAGS } from './flags.js';
import { valueAt } from './layers.js';
import { PRESETS } from './presets.js';
import { CONFIG_SCHEMA, PRESET_NAMES } from './schema.js';

/** A schema, of which this file uses these keywords. */
type Schema = z.core.JSONSchema.BaseSchema;

/**
 * The schema (draft-07, which editors know best) of a config file. A file may set a part of the settings, so no key of an
 * object is required, except in lists, which replace the preset's.
 */
export function configJsonSchema(): Schema {
  const { $schema, ...whole } = z.toJSONSchema(CONFIG_SCHEMA, { target: 'draft-7', io: 'input' });
  const settings = forFile(whole, '');
  const { preset, ...others } = settings.properties as Record<string, Schema>;
  return {
    $schema: $schema!,
    title: 'Settings of alexnet-split',
    description: 'The file of --config. A setting that is absent has the value of the preset.',
    ...settings,
    properties: {
      $schema: { type: 'string', description: 'where an editor finds this schema; the program ignores it' },
      preset: { ...preset, enum: ['auto', ...PRESET_NAMES] },
      ...others,
    },
  };
}

/** A part of the schema as a file may have it. @param path its place in the settings, with dots between the keys. */
function forFile({ oneOf, anyOf, properties, required: _, ...schema }: Schema, path: string): Schema {
  // Without required keys, several kinds of a schedule may match.
  const kinds = oneOf ?? anyOf;
  return {
    ...schema,
    ...described(schema, path),
    ...(kinds && { anyOf: kinds.map((each) => forFile(each, `${path}|`)) }),
    ...(properties && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([key, each]) => [key, forFile(each as Schema, path ? `${path}.${key}` : key)]),
      ),
    }),
  };
}

/** What the setting means, its flag, and its default; a value that all presets have is also the keyword `default`. */
function described({ description }: Schema, path: string): Schema {
  const values = new Set(Object.values(PRESETS).map((preset) => JSON.stringify(valueAt(preset, path.split('.')))));
  const [value] = values;
  const flag = FLAGS.find((each) => each.path === path);
  const meaning = description ?? flag?.help;
  if (meaning === undefined) return {};
  const isFlagsOwn = flag !== undefined && flag.kind !== 'on' && flag.kind !== 'off';
  const preset = byPreset(path, (each) => (isNothing(each) ? 'none' : JSON.stringify(each).replaceAll('"', '')));
  const text = isFlagsOwn ? defaultOf(flag) : preset;
  const isAbsent = values.size === 1 && value === undefined; // from all presets
  const facts = [flag?.name, isAbsent && !isFlagsOwn ? undefined : `default: ${text}`].filter(
    (each) => each !== undefined,
  );
  const isSame = values.size === 1 && value !== undefined && path !== 'preset';
  return {
    description: facts.length === 0 ? meaning : `${meaning} (${facts.join('; ')})`,
    ...(isSame && { default: JSON.parse(value) }),
  };
}
