/** `eval`: measures a run's weights on the test images, or on training images. */
import { nonFiniteAsStrings } from '../log.js';
import { plural } from '../numbers.js';
import { usedText } from '../train/run-weights.js';
import { openRun } from './find-run.js';
import type { Input, Services } from './services.js';
import { announce, breakSilence } from './silence.js';

export interface EvalOptions {
  tenView?: boolean;
  on?: 'test' | 'train';
  checkpoint?: string;
  json?: boolean;
}

/**
 * Evaluates the run that the flags name, with the settings it was trained with. The flags change where it runs.
 * @throws ConfigError if there is no such run or checkpoint; CheckpointError or DataError for its weights and the images.
 */
export async function run(
  { layers, options: { json, tenView = false, on = 'test', checkpoint } }: Input<EvalOptions>,
  services: Services,
): Promise<number> {
  const { config, folder } = await openRun(layers, 'evaluate', services);
  const { evaluateRun } = await services.loadTrain();
  const note = (text: string) => services.stderr.print(text);
  const { busy, end } = breakSilence((text) => json || announce(services, text));
  const result = await evaluateRun(config, folder, { tenView, on, checkpoint, note, busy }).finally(end);
  const { images, loss, top1, top5 } = result;
  const facts = [
    plural(images, `${on === 'train' ? 'training' : 'test'} image`),
    tenView ? 'ten views each' : '',
    usedText(result),
  ].filter(Boolean);
  services.stdout.print(
    json
      ? JSON.stringify(nonFiniteAsStrings({ on, ...result }))
      : `${folder}: loss ${loss.toFixed(4)}  top-1 ${top1.toFixed(4)}  top-5 ${top5.toFixed(4)}  (${facts.join(', ')})`,
  );
  return 0;
}
