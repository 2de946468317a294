/** `--print-config`: the settings of a run as the JSON that `--config` reads. */
import type { Config } from '../config/config.js';
import { anySets, type ConfigLayer } from '../config/layers.js';
import { jsonText } from '../printable.js';
import { resolveHere } from './machine.js';
import type { Services } from './services.js';

/**
 * Prints the settings on stdout, and notes about them on stderr. A name that nobody chose is left out, because it is made of
 * the time: each run that uses the file gets its own.
 * @returns the exit code 0.
 * @throws ConfigError for settings that cannot be used. The folder of the images may be missing.
 */
export async function printConfig(services: Services, layers: readonly ConfigLayer[]): Promise<number> {
  const { config, notes } = await resolveHere(services, layers, { needsData: false, quiet: true });
  services.stderr.print(...notes);
  const { run, ...others } = config;
  const printed: Partial<Config> = anySets(layers, 'run') ? config : others;
  services.stdout.print(...jsonText(printed, 2).split('\n'));
  return 0;
}
