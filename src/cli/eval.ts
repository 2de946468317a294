/** `eval`: a finished run's weights on the test images. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkRunName, resolveConfig } from '../config/config.js';
import { readConfigFile } from '../config/file.js';
import { type Layer, sets } from '../config/layers.js';
import { PRESETS } from '../config/presets.js';
import { ConfigError } from '../errors.js';
import { visible } from '../log.js';
import { count } from './format.js';
import { lookAround } from './machine.js';
import { runFolder } from './run-folder.js';
import type { Services } from './services.js';

/**
 * Evaluates the run that the flags name, with the settings it was trained with; flags change where, not what.
 * @throws ConfigError without such a run; CheckpointError or DataError for its weights and the images.
 */
export async function evalCommand(flags: Layer, { json }: { json?: boolean }, services: Services): Promise<number> {
  const { run, out = PRESETS.mini.out } = flags.values as { run: string; out?: string };
  checkRunName(run);
  const folder = runFolder({ run, out });
  const file = join(folder, 'config.json');
  if (!existsSync(file)) {
    throw new ConfigError(
      `Cannot evaluate the run ${run}: there is no ${file}; choose another --run, or the folder of the runs with --out`,
    );
  }
  const saved = readConfigFile(file);
  const values: Record<string, unknown> = { ...saved.values, fault: null };
  // Another placement needs another number of devices.
  if (sets(flags, 'placement') && !sets(flags, 'devices')) delete values.devices;
  const layers = [{ ...saved, values }, { values: { ...flags.values, run, out } }];
  const { config } = resolveConfig(layers, await lookAround(services));
  const result = await (await services.trainRoom()).evaluateRun(config, folder, (text) =>
    services.stderr.write(`warning: ${text}\n`),
  );
  const line = json
    ? JSON.stringify(visible(result))
    : `${folder}: loss ${result.loss.toFixed(4)}  top-1 ${result.top1.toFixed(4)}  top-5 ${result.top5.toFixed(4)}  (${count(result.images)} test images)`;
  services.stdout.write(`${line}\n`);
  return 0;
}
