/** `eval`: a finished run's weights on the test images. */
import type { ConfigLayer } from '../config/layers.js';
import { nonFiniteAsStrings } from '../log.js';
import { usedText } from '../train/run-weights.js';
import { count } from './format.js';
import { openRun } from './locate-run.js';
import type { Services } from './services.js';

/**
 * Evaluates the run that the flags name, with the settings it was trained with; flags change where, not what.
 * @throws ConfigError without such a run or checkpoint; CheckpointError or DataError for its weights and the images.
 */
export async function evalCommand(
  flags: ConfigLayer,
  { json, tenView = false, checkpoint }: { json?: boolean; tenView?: boolean; checkpoint?: string },
  services: Services,
): Promise<number> {
  const { config, folder } = await openRun(flags, 'evaluate', services);
  const result = await (await services.trainRoom()).evaluateRun(config, folder, {
    ...{ tenView, checkpoint },
    note: (text) => services.stderr.write(`${text}\n`),
  });
  const of = [`${count(result.images)} test images`, tenView ? 'ten views each' : '', usedText(result)].filter(Boolean);
  const line = json
    ? JSON.stringify(nonFiniteAsStrings(result))
    : `${folder}: loss ${result.loss.toFixed(4)}  top-1 ${result.top1.toFixed(4)}  top-5 ${result.top5.toFixed(4)}  (${of.join(', ')})`;
  services.stdout.write(`${line}\n`);
  return 0;
}
