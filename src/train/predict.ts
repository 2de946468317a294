/** Predicts the classes of image files with a run's weights. */
import { checkTensors } from '../checkpoint/weights-files.js';
import type { Config } from '../config/config.js';
import {
  channelsFor,
  cifarKind,
  createSlot,
  type ImageSize,
  isCifarData,
  isIdxFolder,
  layoutOf,
  loadDataset,
  openFileTransform,
  type PixelDataset,
  slotViews,
  type Views,
} from '../data/index.js';
import { buildNet, parametersOf } from '../model/net.js';
import { bytesToAlignment } from '../native/c/copy.js';
import { count as counted } from '../numbers.js';
import { addProbabilities } from './evaluate.js';
import { knownLevels } from './levels.js';
import type { Busy } from './progress.js';
import { runClasses, runStatistics } from './run-data.js';
import { runWeights, type UsedWeights, type WeightsOptions } from './run-weights.js';
import { openTeam } from './team.js';

export interface Guess {
  name: string;
  label: number;
  probability: number;
}

/** The classes of a file, the likeliest first, and the weights used; or the reason why it could not be read. */
export type Prediction = ({ file: string; classes: Guess[] } & UsedWeights) | { file: string; reason: string };

/**
 * Predicts the classes of image files from the centre of each, prepared as the run prepared its images.
 * @param top the number of classes to return for each file.
 * @param tenView averages the probabilities of ten views of each image, instead of taking its centre.
 * @returns the predictions in the order of the files.
 * @throws CheckpointError if there are no weights or they belong to another net; DataError without sharp's binary;
 * ConfigError for ten views of images no larger than the window.
 */
export async function predictFiles(
  config: Config,
  folder: string,
  files: readonly string[],
  top: number,
  tenView = false,
  options: WeightsOptions & { busy?: Busy } = {},
): Promise<Prediction[]> {
  const { inputSize, inputChannels, classes } = config.net;
  const { files: weights, used, home } = runWeights(config, folder, options);
  checkTensors(weights, parametersOf(buildNet(config.net)));
  const { size, names } = imagesOf(config, home);
  const data = knownLevels(config, home);
  const mean = runStatistics(home, config)?.mean;
  const views: Views = tenView ? 10 : 1;
  const filesAtOnce = Math.max(1, Math.min(Math.floor(config.batchSize / views), files.length));
  const batchSize = filesAtOnce * views;
  const layout = layoutOf(size, data, { batchSize, inputSize, inputChannels }, mean);
  const transform = await openFileTransform(size, data, layout, mean, views);
  const slot = createSlot(layout, bytesToAlignment);
  const slotted = slotViews(slot, layout);
  const logits = new SharedArrayBuffer(4 * batchSize * classes);
  options.busy?.(`opening ${config.devices.join(' and ')}`);
  const team = await openTeam({ ...config, replicas: 1, batchSize, weights: null }, { slots: [slot], layout });
  try {
    await team.ask({ kind: 'load', files: weights });
    const predictions: Prediction[] = [];
    options.busy?.(() => `classifying: ${counted(predictions.length)} of ${counted(files.length)} files`);
    for (let from = 0; from < files.length; from += filesAtOnce) {
      const batch: { file: string; reason: string | undefined; row: number }[] = [];
      let count = 0;
      for (const file of files.slice(from, from + filesAtOnce)) {
        const reason = await transform(slotted, count, file);
        batch.push({ file, reason, row: count });
        if (reason === undefined) count += views;
      }
      if (count > 0) await team.ask({ kind: 'evaluate', slot: 0, count, step: 1 }, logits);
      for (const { file, reason, row } of batch) {
        if (reason !== undefined) {
          predictions.push({ file, reason });
          continue;
        }
        const probabilities = new Float64Array(classes);
        for (let view = row; view < row + views; view++) {
          addProbabilities(probabilities, new Float32Array(logits, 4 * view * classes, classes), classes, 1 / views);
        }
        predictions.push({ file, classes: best(probabilities, names, top), ...used });
      }
    }
    return predictions;
  } finally {
    await team.close();
  }
}

/** The classes with the highest probabilities; of equal ones the first. */
function best(probabilities: Float64Array, names: readonly string[], top: number): Guess[] {
  return Array.from(probabilities, (probability, label) => ({ name: names[label] ?? `${label}`, label, probability }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, top);
}

const FASHION_CLASSES = 10;

type ImagesInMemory = ImageSize & Pick<PixelDataset, 'classNames'>;

/** The size that the run resized images to (that of images in memory, if square), and the names of its classes. */
function imagesOf({ data, net }: Config, folder: string): { size: ImageSize; names: readonly string[] } {
  const forNet = channelsFor(net.inputChannels);
  const dataset = imagesInMemory(data.source, net.classes, forNet);
  const channels = dataset?.channels ?? forNet;
  const isSquare = dataset && dataset.height === dataset.width;
  const size: ImageSize = isSquare ? dataset : { height: data.resize, width: data.resize, channels };
  return { size, names: runClasses(folder) ?? dataset?.classNames ?? [] };
}

/**
 * What is known of the data set that the settings name, if its images are in memory and it has the net's classes: an
 * imported net's settings name one by default. The embedded sample stands for Fashion-MNIST.
 */
function imagesInMemory(source: string, classes: number, channels: 1 | 3): ImagesInMemory | undefined {
  if (source === '') return undefined; // an imported net's data is not known
  const isFashion = source === 'embedded' || source === 'fashion-mnist';
  if (!isFashion && isCifarData(source)) return fitting({ ...cifarKind(source), channels });
  if (!isFashion && !isIdxFolder(source)) return undefined;
  return fitting(isFashion ? loadDataset('embedded', FASHION_CLASSES) : loadDataset(source, classes));

  function fitting(found: ImagesInMemory): ImagesInMemory | undefined {
    return found.classNames.length === classes ? found : undefined;
  }
}
