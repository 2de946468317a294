/**
 * `data.mean` and `data.scale` as the word `data`: the levels of the training images take its place before a run begins, so
 * that its settings, and whatever is made of the run later, have numbers.
 */
import type { Config } from '../config/config.js';
import type { MeasuredData } from '../config/schema.js';
import { channelsFor, type Dataset, type Levels, levelsOf } from '../data/index.js';
import { CheckpointError, DataError } from '../errors.js';
import { usableCores } from '../limits.js';
import { count } from '../numbers.js';

/** A mean that is further from the images' than this many of their deviations is not meant for them. */
const FAR = 0.5;

export function isMeasured(data: Config['data']): data is MeasuredData {
  return data.mean !== 'data' && data.scale !== 'data';
}

interface LevelsUi {
  note: (text: string) => void;
  /** Receives a sentence if the settings' mean is far from the images'. Absent: that is not examined. */
  warn?: ((message: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Puts the mean of the training images, and 1 / their deviation, in the place of `data`, and says so. Rounded: an image more
 * or less does not change them.
 * @throws DataError if the images cannot be read.
 */
export async function measured(
  config: Config,
  dataset: Dataset,
  { note, warn, signal }: LevelsUi,
): Promise<MeasuredData> {
  const { data, net } = config;
  const settled = isMeasured(data) ? data : undefined;
  // Without a mean, as in the presets of the book, none is expected to fit.
  if (settled && (!warn || data.meanImage || settled.mean.every((level) => level === 0))) return settled;
  const { resize, interpolation, upright } = data;
  const channels = channelsFor(net.inputChannels);
  const decoding = { resize, interpolation, upright, channels };
  const options = { ...decoding, concurrency: usableCores(), ...(signal && { signal }) } as const;
  if (settled) {
    const levels = await levelsOrNone(() => levelsOf(dataset, options), signal);
    const message = levels && farMean(settled.mean, ownMean(levels, net.inputChannels), levels);
    if (message !== undefined) warn!(message);
    return settled;
  }
  const levels = await levelsOf(dataset, options);
  const own = ownMean(levels, net.inputChannels);
  const scale = Number((1 / Math.max(levels.deviation, 1)).toPrecision(4));
  const parts = [
    ...(data.mean === 'data' ? [`mean ${own.slice(0, levels.mean.length).join(', ')}`] : []),
    ...(data.scale === 'data' ? [`deviation ${levels.deviation.toFixed(1)}`] : []),
  ];
  const all = levels.images === dataset.train.count ? 'all ' : '';
  note(`${parts.join(' and ')} of ${all}${count(levels.images)} training images`);
  return {
    ...data,
    mean: data.mean === 'data' ? own : data.mean,
    scale: data.scale === 'data' ? scale : data.scale,
  };
}

async function levelsOrNone(
  measure: () => Promise<Levels> | Levels,
  signal?: AbortSignal,
): Promise<Levels | undefined> {
  try {
    return await measure();
  } catch (error) {
    if (!(error instanceof DataError) || signal?.aborted) throw error;
    return undefined;
  }
}

/** A level for each channel of the net's input, to a tenth. */
function ownMean({ mean }: Levels, inputChannels: number): number[] {
  return Array.from({ length: inputChannels }, (_, c) => Math.round(10 * mean[c % mean.length]!) / 10);
}

/** A warning about a mean that is not that of the images; undefined if it is near enough. */
export function farMean(
  mean: readonly number[],
  own: readonly number[],
  { deviation, images }: Pick<Levels, 'deviation' | 'images'>,
): string | undefined {
  if (own.every((level, c) => Math.abs(level - mean[c]!) <= FAR * deviation)) return undefined;
  const text = (levels: readonly number[]) => [...new Set(levels)].join(', ');
  return `the mean of ${count(images)} training images is ${text(own)}, and ${text(mean)} is subtracted: --mean data subtracts their own`;
}

/** The settings of a resumed run: `data` stands for the levels with which it was trained so far. */
export function levelsToContinue(config: Config, saved: Readonly<Record<string, unknown>>): Config {
  const { mean, scale } = (saved.data ?? {}) as Partial<Config['data']>;
  const data = {
    ...config.data,
    ...(config.data.mean === 'data' && mean !== undefined && { mean }),
    ...(config.data.scale === 'data' && scale !== undefined && { scale }),
  };
  return isMeasured(config.data) ? config : { ...config, data };
}

/** The levels that a run was trained with. @throws CheckpointError if its settings have none, because somebody edited them. */
export function knownLevels({ data }: Pick<Config, 'data'>, folder: string): MeasuredData {
  if (isMeasured(data)) return data;
  throw new CheckpointError(
    `Cannot use the run ${folder}: data.mean or data.scale in its config.json is "data", expected the numbers that the training put there; restore the file`,
    folder,
  );
}
