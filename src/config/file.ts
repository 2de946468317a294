/** The config file. */
import { ConfigError, truncate } from '../errors.js';
import { expandHome } from '../paths.js';
import { parseJson, readText } from '../read-json.js';
import { FLAGS } from './flags.js';
import { type ConfigLayer, valueAt } from './layers.js';

/** All settings together have some two thousand. */
const MAX_BYTES = 2 ** 20;

/**
 * Reads a config file: JSON with some or all keys of a {@link Config}, such as a run's own `config.json`.
 * @throws ConfigError that names the file, if it cannot be read or is no JSON object.
 */
export function readConfigFile(file: string): ConfigLayer {
  let values: unknown;
  try {
    values = parseJson(readText(file, { limit: MAX_BYTES, pipe: true }).replace(/^\uFEFF/, ''));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const found = code === 'ENOENT' ? 'there is no such file' : message;
    throw new ConfigError(`Cannot read the config file ${file}: ${found}, expected JSON`);
  }
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw new ConfigError(
      `Cannot read the config file ${file}: it has ${truncate(JSON.stringify(values), 40)}, expected a JSON object`,
    );
  }
  const { $schema: _, ...settings } = values as Record<string, unknown>; // for editors
  const kept = withoutRetired(settings);
  expandPaths(kept, file);
  return { file, values: kept };
}

/**
 * Settings as this version has them: earlier ones wrote settings into their files whose choice is now automatic, and `fault`,
 * which was for tests.
 */
export function withoutRetired({ fault: _, ...values }: Record<string, unknown>): Record<string, unknown> {
  const { exchange, compile } = values;
  const kept = { ...values, ...(compile === 'grappler' && { compile: 'on' }) };
  if (typeof exchange !== 'object' || exchange === null || !('overlap' in exchange)) return kept;
  const { overlap: __, ...others } = exchange;
  return { ...kept, exchange: others };
}

/** Replaces `~` by the home folder. @throws ConfigError if there is no home folder. */
function expandPaths(values: Record<string, unknown>, file: string): void {
  for (const { path } of FLAGS.filter(({ kind }) => kind === 'path')) {
    const keys = path.split('.');
    const given = valueAt(values, keys);
    if (typeof given !== 'string') continue;
    const holder = valueAt(values, keys.slice(0, -1)) as Record<string, unknown>;
    holder[keys.at(-1)!] = expandHome(given, `${path} of ${file},`);
  }
}
