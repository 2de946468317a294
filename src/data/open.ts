/** Data sets of every kind, by what a source turns out to be. */
import { ConfigError } from '../errors.js';
import { type Dataset, loadDataset } from './dataset.js';
import { imageClasses, isImageFolder, readImageFolder } from './image-folder.js';

/**
 * Opens a data set.
 * @param source `embedded`, `fashion-mnist`, or a folder: of IDX files, or of image files in class folders.
 * @param classes how many the net tells apart.
 * @throws DataError for what is no data; ConfigError when a folder of images has another number of classes.
 */
export function openDataset(source: string, classes: number): Dataset {
  if (!isImageFolder(source)) return loadDataset(source, classes);
  const dataset = readImageFolder(source);
  if (dataset.classNames.length === classes) return dataset;
  throw new ConfigError(
    `Cannot train ${classes} classes on ${source}: net.classes is ${classes}, expected ${dataset.classNames.length}, the classes of the data; leave net.classes out, and it follows the data`,
  );
}

/** The number of classes of a folder of images, without listing them; nothing for other data, or a folder without any. */
export function countClasses(source: string): number | undefined {
  if (!isImageFolder(source)) return undefined;
  return imageClasses(source).length || undefined;
}
