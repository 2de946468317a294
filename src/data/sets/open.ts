import { ConfigError } from '../../errors.js';
import { isPacked, packedClasses, readPacked } from '../shards/packed-dataset.js';
import { CIFAR_SOURCE, cifarKind, isCifar, loadCifar } from './cifar.js';
import type { Dataset, FileDataset } from './dataset.js';
import { loadDataset } from './idx-dataset.js';
import { isIdxFolder } from './idx-files.js';
import { imageClasses, isImageFolder, readImageFolder } from './image-folder.js';

/**
 * Opens a data set of every kind.
 * @param source `embedded`, `fashion-mnist`, `cifar-10`, or a folder of IDX files, of CIFAR-10's files, of images in class
 * folders, or of shards.
 * @param channels of the net's input: CIFAR-10's images become grey for 1. Image files become so when they are decoded.
 * @throws DataError for data that cannot be used; ConfigError if images have another number of `classes`.
 */
export function openDataset(source: string, classes: number, channels: 1 | 3 = 3): Dataset {
  if (!isPacked(source) && !isImageFolder(source)) {
    return isCifarData(source) ? loadCifar(source, classes, channels) : loadDataset(source, classes);
  }
  const dataset = openImages(source);
  if (dataset.classNames.length === classes) return dataset;
  throw new ConfigError(
    `Cannot use ${source} for ${classes} classes: net.classes is ${classes}, expected ${dataset.classNames.length}, the classes of the data; choose other data, or leave net.classes out of a new run: it is then taken from the data`,
  );
}

/** Opens a folder of images, packed or not. */
export function openImages(source: string): FileDataset {
  return isPacked(source) ? readPacked(source) : readImageFolder(source);
}

/** Number of classes of CIFAR-10 or a folder of images, without listing the images; undefined for other data. */
export function countClasses(source: string): number | undefined {
  if (isPacked(source)) return packedClasses(source);
  if (isImageFolder(source)) return imageClasses(source).length || undefined;
  return isCifarData(source) ? cifarKind(source).classNames.length : undefined;
}

/** Whether a source is CIFAR-10's files. In a folder that also has IDX files, those count. */
export function isCifarData(source: string): boolean {
  return source === CIFAR_SOURCE || (isCifar(source) && !isIdxFolder(source));
}
