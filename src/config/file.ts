/** The config file. */
import { ConfigError, truncate } from '../errors.js';
import { expandHome } from '../paths.js';
import { parseJson, readText } from '../read-json.js';
import { FLAGS } from './flags.js';
import { type Layer, valueAt } from './layers.js';

/** All settings have some two thousand. */
const MAX_BYTES = 2 ** 20;

/**
 * Reads a config file: JSON with the keys of a {@link Config}, or some of them. A run's own `config.json` is one.
 * @throws ConfigError that names the file, when it cannot be read or holds no JSON object.
 */
export function readConfigFile(file: string): Layer {
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
      `Cannot read the config file ${file}: it holds ${truncate(JSON.stringify(values), 40)}, expected a JSON object`,
    );
  }
  return { file, values: withHome(withoutRetired(values as Record<string, unknown>), file) };
}

/** Paths with the home folder in place of `~`. @throws ConfigError for one that names none. */
function withHome(values: Record<string, unknown>, file: string): Record<string, unknown> {
  let expanded = values;
  for (const { path } of FLAGS.filter(({ kind }) => kind === 'path')) {
    const given = valueAt(values, path.split('.'));
    if (typeof given !== 'string') continue;
    expanded = withValue(expanded, path.split('.'), expandHome(given, `${path} of ${file},`));
  }
  return expanded;
}

function withValue(
  values: Record<string, unknown>,
  [key = '', ...below]: string[],
  value: string,
): Record<string, unknown> {
  const own = below.length === 0 ? value : withValue(values[key] as Record<string, unknown>, below, value);
  return { ...values, [key]: own };
}

/** Settings that earlier versions had and wrote into each run's `config.json`; what they chose is chosen by itself now. */
function withoutRetired(values: Record<string, unknown>): Record<string, unknown> {
  const { exchange, compile } = values;
  const kept = { ...values, ...(compile === 'grappler' && { compile: 'on' }) };
  if (typeof exchange !== 'object' || exchange === null || !('overlap' in exchange)) return kept;
  const { overlap: _, ...others } = exchange;
  return { ...kept, exchange: others };
}
