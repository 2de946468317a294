/** Opens data sets of every kind. */
import { join } from 'node:path';
import { ConfigError, DataError } from '../../errors.js';
import { remarksOnStored, type Stored } from '../images/stored.js';
import { isPacked, packedClasses, readPacked } from '../shards/packed-dataset.js';
import { CIFAR_SOURCE, cifarKind, isCifar, loadCifar } from './cifar.js';
import { namesOfClasses, readClassFolders, undividedPart, type ValChoice } from './class-folders.js';
import type { Dataset, FileDataset } from './dataset.js';
import { loadDataset } from './idx-dataset.js';
import { isIdxFolder } from './idx-files.js';
import { imageClasses, isImageFolder, readImageFolder } from './image-folder.js';
import { withLimit } from './limit.js';
import { type ListedFolders, listAhead } from './list-ahead.js';
import { partsOf } from './list-folder.js';
import { isSynthetic, makeSynthetic } from './synthetic.js';

/** Which images of a data set are used, and as what. */
export interface Selection {
  /** Share of each class for tests, if the data has no test images of its own. */
  readonly valShare?: number | undefined;
  /** Number of training images; all if absent. */
  readonly limit?: number | undefined;
  /** Size in pixels of images that are made, and that packed images must have at least. */
  readonly resize?: number | undefined;
  /** How images are scaled, if the packed ones are to be compared with it. */
  readonly interpolation?: Stored['interpolation'] | undefined;
  /** Whether they are turned by EXIF, the same. */
  readonly upright?: boolean | undefined;
  /** For all choices. */
  readonly seed: number;
  /** From {@link listImages}: a disk or a server then answers for several folders at a time. */
  readonly listed?: ListedFolders | undefined;
}

const ALL: Selection = { seed: 0 };

/**
 * Opens a data set of every kind.
 * @param source `embedded`, `fashion-mnist`, `cifar-10`, `synthetic`, or a folder of IDX files, of CIFAR-10's files, of images in class
 * folders, or of shards.
 * @param channels of the net's input: CIFAR-10's images become grey for 1. Image files become so when they are decoded.
 * @throws DataError for data that cannot be used; ConfigError if images have another number of `classes`.
 */
export function openDataset(source: string, classes: number, channels: 1 | 3 = 3, selection = ALL): Dataset {
  const { limit, seed } = selection;
  const dataset = openWhole(source, classes, channels, selection);
  return limit === undefined ? dataset : withLimit(dataset, limit, seed);
}

function openWhole(source: string, classes: number, channels: 1 | 3, selection: Selection): Dataset {
  const { resize: size = 256, seed } = selection;
  if (isSynthetic(source)) return makeSynthetic(source, { classes, channels, size, seed });
  const isFolder = isPacked(source) || isImageFolder(source) || isUndivided(source, selection);
  if (!isFolder) return isCifarData(source) ? loadCifar(source, classes, channels) : loadDataset(source, classes);
  const dataset = withRemarks(openImages(source, selection), selection);
  if (dataset.classNames.length === classes) return dataset;
  throw new ConfigError(
    `Cannot use ${source} for ${classes} classes: net.classes is ${classes}, expected ${dataset.classNames.length}, the classes of the data; choose other data, or leave net.classes out of a new run: it is then taken from the data`,
  );
}

/**
 * Lists the folders that {@link openDataset} will walk, several at a time; none if the data are not a folder of images.
 * Opens no image, and refuses nothing: opening does.
 */
export async function listImages(source: string, { valShare }: Pick<Selection, 'valShare'> = {}) {
  return listAhead(imageParts(source, valShare).map((part) => join(source, part)));
}

/** The folders of images in a folder, such as train and val. */
function imageParts(source: string, valShare: number | undefined): string[] {
  if (isSynthetic(source) || isPacked(source) || isInMemory(source)) return [];
  const { train, val } = partsOf(source);
  if (train !== undefined && val !== undefined) return [train, val];
  const part = valShare === undefined ? undefined : undividedPart(source);
  return part === undefined ? [] : [part];
}

/** @throws ConfigError for images that are stored smaller than they are wanted. */
function withRemarks(dataset: FileDataset, { resize, ...wanted }: Selection): FileDataset {
  const { source, stored, remarks = [] } = dataset;
  if (!stored || resize === undefined) return dataset;
  return { ...dataset, remarks: [...remarks, ...remarksOnStored(source, stored, resize, wanted)] };
}

/** Opens a folder of images, packed or not. */
export function openImages(source: string, { valShare, seed, listed }: Selection = ALL): FileDataset {
  if (isPacked(source)) return readPacked(source);
  const part = valShare === undefined ? undefined : undividedPart(source);
  return part === undefined
    ? readImageFolder(source, listed)
    : readClassFolders(source, part, { valShare: valShare!, seed }, listed);
}

function isUndivided(source: string, { valShare }: Selection): boolean {
  return valShare !== undefined && !isInMemory(source) && undividedPart(source) !== undefined;
}

/**
 * Opens class folders without test images: a folder `train` without `val`, or class folders alone.
 * @param choice of test images; without it there are none.
 * @returns the part of {@link undividedPart} too; undefined for other data.
 */
export function openClassFolders(source: string, choice?: ValChoice) {
  const part = isPacked(source) || isInMemory(source) ? undefined : undividedPart(source);
  return part === undefined ? undefined : { part, dataset: readClassFolders(source, part, choice) };
}

/**
 * Opens class folders whose images are to be divided.
 * @throws DataError for anything else.
 */
export function openUndivided(source: string, choice: ValChoice): { part: string; dataset: FileDataset } {
  const found = openClassFolders(source, choice);
  if (found) return found;
  openImages(source); // says what is wrong with it
  throw new DataError(
    `Cannot divide ${source}: its images are divided already, expected class folders without a folder val; use it as it is, with --data`,
  );
}

/** Number of classes of CIFAR-10 or a folder of images, without listing the images; undefined for other data. */
export function countClasses(source: string): number | undefined {
  if (isSynthetic(source)) return undefined;
  if (isPacked(source)) return packedClasses(source);
  if (isImageFolder(source)) return imageClasses(source).length || undefined;
  if (isCifarData(source)) return cifarKind(source).classNames.length;
  const part = isIdxFolder(source) ? undefined : undividedPart(source);
  return part === undefined ? undefined : namesOfClasses(source, part).length;
}

/** Whether a source is CIFAR-10's files. In a folder that also has IDX files, those count. */
export function isCifarData(source: string): boolean {
  return source === CIFAR_SOURCE || (isCifar(source) && !isIdxFolder(source));
}

function isInMemory(source: string): boolean {
  return isIdxFolder(source) || isCifarData(source);
}

/** Whether data has test images of its own; undefined if there is no such data. */
export function hasTestImages(source: string): boolean | undefined {
  if (source === 'embedded' || source === 'fashion-mnist' || isSynthetic(source) || isPacked(source)) return true;
  if (isInMemory(source)) return true;
  if (undividedPart(source) !== undefined) return false;
  return isImageFolder(source) ? true : undefined;
}
