/** A run's classes of image files. */
import { checkTensors } from '../checkpoint/weights-files.js';
import type { Config } from '../config/config.js';
import {
  createSlot,
  type ImageSize,
  isIdxFolder,
  loadDataset,
  openFilePainter,
  type PixelDataset,
  slotViews,
  type Views,
} from '../data/index.js';
import { buildNet, parametersOf } from '../model/net.js';
import { bytesToAlignment } from '../native/c/copy.js';
import { addProbabilities } from './evaluate.js';
import { runClasses, runStatistics } from './run-data.js';
import { runWeights, type UsedWeights, type WeightsOptions } from './run-weights.js';
import { openTeam } from './team.js';

/** A class of an image. */
export interface Guess {
  name: string;
  label: number;
  probability: number;
}

/** What became of a file: its classes, the likeliest first, and of which weights, or the reason why there are none. */
export type Prediction = ({ file: string; classes: Guess[] } & UsedWeights) | { file: string; reason: string };

/**
 * Asks a run's net about image files: the middle of each, prepared as the run prepared its images.
 * @param top how many classes of each.
 * @param tenView takes ten views of each in place of the middle, and the mean of their probabilities.
 * @param options which weights; without it the newest ones.
 * @returns in the order of the files.
 * @throws CheckpointError for weights that are none or another net's; DataError without sharp's binary; ConfigError for ten
 * views of images that are no larger than the window.
 */
export async function predictFiles(
  config: Config,
  folder: string,
  files: readonly string[],
  top: number,
  tenView = false,
  options: WeightsOptions = {},
): Promise<Prediction[]> {
  const { inputSize, inputChannels, classes } = config.net;
  const { files: weights, used, home } = runWeights(config, folder, options);
  checkTensors(weights, parametersOf(buildNet(config.net)));
  const { size, names } = imagesOf(config, home);
  const mean = runStatistics(home, config)?.mean;
  const views: Views = tenView ? 10 : 1;
  const paint = await openFilePainter(size, config.data, inputSize, inputChannels, mean, views);
  const filesAtOnce = Math.max(1, Math.min(Math.floor(config.batchSize / views), files.length));
  const batchSize = filesAtOnce * views;
  const slot = createSlot(batchSize, inputSize, inputChannels, bytesToAlignment);
  const { images } = slotViews(slot, batchSize, inputSize, inputChannels);
  const logits = new SharedArrayBuffer(4 * batchSize * classes);
  const team = await openTeam({ ...config, batchSize, weights: null }, [slot]);
  try {
    await team.ask({ kind: 'load', files: weights });
    const predictions: Prediction[] = [];
    for (let from = 0; from < files.length; from += filesAtOnce) {
      const batch = files.slice(from, from + filesAtOnce);
      const reasons: (string | undefined)[] = [];
      let count = 0;
      for (const file of batch) {
        const reason = await paint(images, count * inputSize ** 2 * inputChannels, file);
        reasons.push(reason);
        if (reason === undefined) count += views;
      }
      if (count > 0) await team.ask({ kind: 'evaluate', slot: 0, count, step: 1 }, logits);
      const probabilities = new Float64Array(count * classes);
      addProbabilities(probabilities, new Float32Array(logits, 0, count * classes), classes, 1 / views);
      let row = 0;
      for (const [i, file] of batch.entries()) {
        const reason = reasons[i];
        if (reason !== undefined) {
          predictions.push({ file, reason });
          continue;
        }
        const own = probabilities.subarray(row * classes, (row + views) * classes);
        predictions.push({ file, classes: best(sumOfRows(own, classes), names, top), ...used });
        row += views;
      }
    }
    return predictions;
  } finally {
    await team.close();
  }
}

function sumOfRows(values: Float64Array, length: number): Float64Array {
  const sum = new Float64Array(length);
  for (const [i, value] of values.entries()) sum[i % length]! += value;
  return sum;
}

/** The highest first; of equal ones the first. */
function best(probabilities: Float64Array, names: readonly string[], top: number): Guess[] {
  return Array.from(probabilities, (probability, label) => ({ name: names[label] ?? `${label}`, label, probability }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, top);
}

const FASHION_CLASSES = 10;

/**
 * What the run's images were, and the names of its classes: those it wrote, or its data's. Data in IDX files are grey, and
 * of one size; of any other the size is that after the first step of its preparation.
 */
function imagesOf({ data, net }: Config, folder: string): { size: ImageSize; names: readonly string[] } {
  const saved = runClasses(folder);
  const dataset = idxDataset(data.source, net.classes);
  const channels = net.inputChannels === 1 ? 1 : 3;
  const whole = { height: data.resize, width: data.resize, channels: dataset?.channels ?? channels } as const;
  const size = dataset && dataset.height === dataset.width ? dataset : whole;
  return { size, names: saved ?? dataset?.classNames ?? [] };
}

/**
 * The data in IDX files that the settings name; undefined when it is other data, or has other classes: then the setting is
 * a default, of a net that was imported. Fashion-MNIST is like its sample.
 */
function idxDataset(source: string, classes: number): PixelDataset | undefined {
  if (source === '') return undefined; // nothing says where it is
  const isFashion = source === 'embedded' || source === 'fashion-mnist';
  if (!isFashion && !isIdxFolder(source)) return undefined;
  const dataset = isFashion ? loadDataset('embedded', FASHION_CLASSES) : loadDataset(source, classes);
  return dataset.classNames.length === classes ? dataset : undefined;
}
