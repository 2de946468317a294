/** Data sets of every kind, by what a source turns out to be. */
import { ConfigError } from '../../errors.js';
import type { FileDataset } from '../images/reader.js';
import { isPacked, packedClasses, readPacked } from '../shards/packed-dataset.js';
import { type Dataset, loadDataset } from './idx-dataset.js';
import { imageClasses, isImageFolder, readImageFolder } from './image-folder.js';

/**
 * Opens a data set.
 * @param source `embedded`, `fashion-mnist`, or a folder: of IDX files, of image files in class folders, or of shards that
 * such a folder was packed into.
 * @param classes how many the net tells apart.
 * @throws DataError for what is no data; ConfigError when a folder of images has another number of classes.
 */
export function openDataset(source: string, classes: number): Dataset {
  if (!isPacked(source) && !isImageFolder(source)) return loadDataset(source, classes);
  const dataset = openImages(source);
  if (dataset.classNames.length === classes) return dataset;
  throw new ConfigError(
    `Cannot use ${source} for ${classes} classes: net.classes is ${classes}, expected ${dataset.classNames.length}, the classes of the data; name other data, or leave net.classes out of a new run, and it follows them`,
  );
}

/** Images in files, packed or not, without a net. @throws DataError for another folder. */
export function openImages(source: string): FileDataset {
  return isPacked(source) ? readPacked(source) : readImageFolder(source);
}

/** The number of classes of a folder of images, without listing them; nothing for other data, or a folder without any. */
export function countClasses(source: string): number | undefined {
  if (isPacked(source)) return packedClasses(source);
  if (!isImageFolder(source)) return undefined;
  return imageClasses(source).length || undefined;
}
