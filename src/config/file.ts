/** The config file. */
import { readFileSync } from 'node:fs';
import { ConfigError } from '../errors.js';
import type { Layer } from './layers.js';

/**
 * Reads a config file: JSON with the keys of a {@link Config}, or some of them. A run's own `config.json` is one.
 * @throws ConfigError that names the file, when it cannot be read or holds no JSON object.
 */
export function readConfigFile(file: string): Layer {
  let values: unknown;
  try {
    values = JSON.parse(readFileSync(file, 'utf8').replace(/^\uFEFF/, ''));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const found = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : message;
    throw new ConfigError(`Cannot read the config file ${file}: ${found}, expected JSON`);
  }
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw new ConfigError(
      `Cannot read the config file ${file}: it holds ${JSON.stringify(values).slice(0, 40)}, expected a JSON object`,
    );
  }
  return { file, values: values as Record<string, unknown> };
}
