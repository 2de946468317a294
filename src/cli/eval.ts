/** `eval`: a finished run's weights on the test images. */
import { resolveConfig } from '../config/config.js';
import { type Layer, sets } from '../config/layers.js';
import { visible } from '../log.js';
import { count } from './format.js';
import { locateRun } from './locate-run.js';
import { lookAround } from './machine.js';
import type { Services } from './services.js';

/**
 * Evaluates the run that the flags name, with the settings it was trained with; flags change where, not what.
 * @throws ConfigError without such a run; CheckpointError or DataError for its weights and the images.
 */
export async function evalCommand(
  flags: Layer,
  { json, tenView = false }: { json?: boolean; tenView?: boolean },
  services: Services,
): Promise<number> {
  // The folder that is found may have been moved or renamed since: name and place stay those of the training.
  const { run, out, ...where } = flags.values as { run: string; out?: string };
  const { folder, saved } = locateRun(run, 'evaluate', out);
  const values: Record<string, unknown> = { ...saved.values, fault: null };
  // Another placement needs another number of devices.
  if (sets(flags, 'placement') && !sets(flags, 'devices')) delete values.devices;
  const layers = [{ ...saved, values }, { values: where }];
  const { config } = resolveConfig(layers, await lookAround(services));
  const result = await (await services.trainRoom()).evaluateRun(config, folder, tenView);
  const line = json
    ? JSON.stringify(visible(result))
    : `${folder}: loss ${result.loss.toFixed(4)}  top-1 ${result.top1.toFixed(4)}  top-5 ${result.top5.toFixed(4)}  (${count(result.images)} test images${tenView ? ', ten views each' : ''})`;
  services.stdout.write(`${line}\n`);
  return 0;
}
