/** The images of an ablation: of the sample there are too few to test on. */
import { type Config, resolveConfig } from '../config/config.js';
import { anySets, type ConfigLayer, valueAt } from '../config/layers.js';
import { isAblation, readAblation } from './ablation.js';
import type { resolveHere } from './machine.js';
import { runFolder } from './run-folder.js';

const SAMPLE = 'embedded';
const WHOLE = 'fashion-mnist';

/** An error near that of the nets here. */
const SAMPLE_TEXT =
  'data embedded: with its 1,000 test images alone, the difference of two errors near 15 % is uncertain by up to ±3.1 points; `alexnet-split data fetch fashion-mnist` brings 60,000 training and 10,000 test images, which ablate then uses';

/**
 * Chooses the images, unless the user did: those of the ablation that is resumed, or the whole Fashion-MNIST instead of the
 * sample, if it is there.
 * @throws SplitError if the file of an earlier ablation cannot be read.
 */
export function withBestData(
  { config, notes, machine }: Awaited<ReturnType<typeof resolveHere>>,
  layers: readonly ConfigLayer[],
): { config: Config; notes: readonly string[] } {
  if (anySets(layers, 'data', 'source')) return { config, notes };
  const folder = runFolder(config);
  const before =
    anySets(layers, 'run') && isAblation(folder)
      ? valueAt(readAblation(folder, 'resume the ablation in', 'choose another --run').settings, ['data', 'source'])
      : undefined;
  const isSample = config.data.source === SAMPLE;
  const source = before ?? (isSample && machine.fashionMnist ? WHOLE : config.data.source);
  const chosen =
    source === config.data.source
      ? config
      : resolveConfig([{ values: { data: { source } } }, ...layers], machine).config;
  const note =
    source === SAMPLE
      ? [SAMPLE_TEXT]
      : isSample && source === WHOLE
        ? [
            'data fashion-mnist: 10,000 test images, instead of the 1,000 of the sample; --data embedded takes the sample',
          ]
        : [];
  return { config: chosen, notes: [...notes, ...note] };
}
