/** `predict`: classifies image files with a run's weights. */
import { nonFiniteAsStrings } from '../log.js';
import { usedText } from '../train/run-weights.js';
import type { EvalOptions } from './eval.js';
import { openRun } from './find-run.js';
import { oneLine } from './format.js';
import type { Input, Services } from './services.js';
import { announce, breakSilence } from './silence.js';

interface PredictOptions extends EvalOptions {
  top: number;
}

/**
 * Prints a line for each file, in their order, or a sentence on stderr for a file that is not an image.
 * @returns 1 if a file was not an image, else 0.
 * @throws ConfigError if there is no such run; CheckpointError for its weights.
 */
export async function run(
  { argument: files, layers, options }: Input<PredictOptions, readonly string[]>,
  services: Services,
): Promise<number> {
  // One net is enough, however many replicas trained it.
  const one = [...layers.slice(0, -1), { values: { replicas: 1 } }, ...layers.slice(-1)];
  const { config, folder } = await openRun(one, 'ask', services, false);
  const { top, tenView = false, checkpoint, json } = options;
  const { stdout, stderr } = services;
  const { predictFiles } = await services.loadTrain();
  const note = (text: string) => stderr.print(text);
  const { busy, end } = breakSilence((text) => json || announce(services, text));
  const asked = predictFiles(config, folder, files, top, tenView, { checkpoint, note, busy });
  const predictions = await asked.finally(end);
  const used = usedText(predictions.find((each) => 'classes' in each) ?? {});
  if (json) stdout.print(JSON.stringify(nonFiniteAsStrings(predictions)));
  else if (used !== '') note(used);
  for (const prediction of predictions) {
    if ('reason' in prediction) {
      const { file, reason } = prediction;
      stderr.print(`error: Cannot use ${file}: ${oneLine(reason)}, expected a JPEG, PNG, GIF or WebP image`);
    } else if (!json) {
      const classes = prediction.classes.map(({ name, probability }) => `${name} ${probability.toFixed(4)}`);
      stdout.print(`${prediction.file}: ${classes.join(', ')}`);
    }
  }
  return predictions.some((each) => 'reason' in each) ? 1 : 0;
}
