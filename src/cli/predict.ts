/** `predict`: a run's classes of image files. */
import type { ConfigLayer } from '../config/layers.js';
import { ConfigError } from '../errors.js';
import { nonFiniteAsStrings } from '../log.js';
import { usedText } from '../train/run-weights.js';
import { oneLine } from './format.js';
import { openRun } from './locate-run.js';
import type { Services } from './services.js';

export interface PredictFlags {
  top: number | string;
  tenView?: boolean;
  checkpoint?: string;
  json?: boolean;
}

/**
 * Prints a line for each file, in their order; of one that is no image, a sentence on stderr.
 * @returns 1 when a file had no image, else 0.
 * @throws ConfigError without such a run; CheckpointError for its weights.
 */
export async function predictCommand(
  files: readonly string[],
  flags: ConfigLayer,
  { top, tenView = false, checkpoint, json }: PredictFlags,
  services: Services,
): Promise<number> {
  if (typeof top !== 'number' || !Number.isInteger(top) || top < 1) {
    throw new ConfigError(`--top is ${top}, expected a whole number from 1 up`);
  }
  const { config, folder } = await openRun(flags, 'ask', services, false);
  const note = (text: string) => services.stderr.write(`${text}\n`);
  const { predictFiles } = await services.trainRoom();
  const predictions = await predictFiles(config, folder, files, top, tenView, { checkpoint, note });
  if (json) services.stdout.write(`${JSON.stringify(nonFiniteAsStrings(predictions))}\n`);
  const used = usedText(predictions.find((each) => 'classes' in each) ?? {});
  if (used !== '' && !json) note(used);
  let failed = false;
  for (const prediction of predictions) {
    if ('reason' in prediction) {
      failed = true;
      const { file, reason } = prediction;
      services.stderr.write(`error: Cannot use ${file}: ${oneLine(reason)}, expected a JPEG, PNG, GIF or WebP image\n`);
    } else if (!json) {
      const classes = prediction.classes.map(({ name, probability }) => `${name} ${probability.toFixed(4)}`);
      services.stdout.write(`${prediction.file}: ${classes.join(', ')}\n`);
    }
  }
  return failed ? 1 : 0;
}
