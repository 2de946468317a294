import { ConfigError } from '../../errors.js';
import { isPacked, packedClasses, readPacked } from '../shards/packed-dataset.js';
import type { Dataset, FileDataset } from './dataset.js';
import { loadDataset } from './idx-dataset.js';
import { imageClasses, isImageFolder, readImageFolder } from './image-folder.js';

/**
 * Opens a data set of every kind.
 * @param source `embedded`, `fashion-mnist`, or a folder of IDX files, of images in class folders, or of shards.
 * @throws DataError for data that cannot be used; ConfigError if a folder of images has another number of `classes`.
 */
export function openDataset(source: string, classes: number): Dataset {
  if (!isPacked(source) && !isImageFolder(source)) return loadDataset(source, classes);
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

/** Number of classes of a folder of images, without listing the images; undefined for other data. */
export function countClasses(source: string): number | undefined {
  if (isPacked(source)) return packedClasses(source);
  return isImageFolder(source) ? imageClasses(source).length || undefined : undefined;
}
