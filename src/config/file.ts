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
  replaceRetired(values as Record<string, unknown>);
  expandPaths(values as Record<string, unknown>, file);
  return { file, values: values as Record<string, unknown> };
}

/** Replaces settings of earlier versions, which their runs have in `config.json`. What they chose is now automatic. */
function replaceRetired(values: Record<string, unknown>): void {
  if (values.compile === 'grappler') values.compile = 'on';
  const { exchange } = values;
  if (typeof exchange === 'object' && exchange !== null && 'overlap' in exchange) delete exchange.overlap;
}

/** Puts the home folder in place of `~`. @throws ConfigError if there is no home folder. */
function expandPaths(values: Record<string, unknown>, file: string): void {
  for (const { path } of FLAGS.filter(({ kind }) => kind === 'path')) {
    const keys = path.split('.');
    const given = valueAt(values, keys);
    if (typeof given !== 'string') continue;
    const holder = valueAt(values, keys.slice(0, -1)) as Record<string, unknown>;
    holder[keys.at(-1)!] = expandHome(given, `${path} of ${file},`);
  }
}
