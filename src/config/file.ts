/** The config file, and the cluster file. */
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
  const { $schema: _, ...settings } = readObject(file, 'config'); // for editors
  const kept = withoutRetired(settings);
  expandPaths(kept, file);
  return { file, values: kept };
}

/** The settings of a cluster file. */
const CLUSTER_KEYS = ['servers', 'coordinator', 'devices'];

/**
 * Reads a cluster file: JSON with the servers, where they reach this process, and the devices to use.
 * @throws ConfigError that names the file, if it cannot be read, is no JSON object, or has other keys.
 */
export function readClusterFile(file: string): ConfigLayer {
  const values = readObject(file, 'cluster');
  const unknown = Object.keys(values).find((key) => !CLUSTER_KEYS.includes(key));
  if (unknown === undefined) return { file, values, by: 'file' };
  throw new ConfigError(
    `Cannot use the unknown key ${truncate(unknown, 120)} in ${file}; known keys: ${CLUSTER_KEYS.join(', ')}; other settings go into the file of --config`,
  );
}

/** @param kind of the file, for messages. */
function readObject(file: string, kind: string): Record<string, unknown> {
  let values: unknown;
  try {
    values = parseJson(readText(file, { limit: MAX_BYTES, pipe: true }).replace(/^\uFEFF/, ''));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const found = code === 'ENOENT' ? 'there is no such file' : message;
    throw new ConfigError(`Cannot read the ${kind} file ${file}: ${found}, expected JSON`);
  }
  if (typeof values === 'object' && values !== null && !Array.isArray(values)) return values as Record<string, unknown>;
  throw new ConfigError(
    `Cannot read the ${kind} file ${file}: it has ${truncate(JSON.stringify(values), 40)}, expected a JSON object`,
  );
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
