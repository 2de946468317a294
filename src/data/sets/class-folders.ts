/**
 * Class folders without test images: a share of each class becomes the test images. An image is a test image if the hash of
 * its path and the seed is below the share, as in TensorFlow's `retrain.py`. So the choice does not depend on the other
 * images: a new image moves no other one from one part to the other.
 */
import { createHash } from 'node:crypto';
import { basename, join, resolve } from 'node:path';
import type { FileDataset } from './dataset.js';
import { duplicateImages, filesByClass, ignoredFiles, listClasses } from './image-folder.js';
import type { ListedFolders } from './list-ahead.js';
import { foldersIn, partsOf } from './list-folder.js';
import { normalizeName } from './names.js';
import { classFoldersOf } from './other-formats.js';
import { ignoredImages } from './walk.js';

/** Which images are test images. */
export interface ValChoice {
  /** Share of each class, between 0 and 1. */
  readonly valShare: number;
  readonly seed: number;
}

/** The folder with the class folders of a data set without test images: `train`, or '' for the folder itself. */
export function undividedPart(folder: string): string | undefined {
  const { train, val } = partsOf(folder);
  if (val !== undefined && (train !== undefined || !/^test/i.test(val))) return undefined;
  return train ?? (classFoldersOf(folder).length >= 2 ? '' : undefined);
}

/** The classes of {@link readClassFolders}, without listing images. */
export function namesOfClasses(folder: string, part: string): string[] {
  return foldersIn(join(folder, part)).map(normalizeName).sort();
}

/**
 * Lists the images of class folders, and takes a share of each class as test images.
 * @param part from {@link undividedPart}.
 * @param choice without it all images are training images.
 * @param listed folders that were listed ahead.
 * @throws DataError for a folder without two classes, or a class without images.
 */
export function readClassFolders(
  folder: string,
  part: string,
  choice?: ValChoice,
  listed?: ListedFolders,
): FileDataset {
  const passedOver: Record<string, number> = {};
  const otherImages: string[] = [];
  const { classes, byClass } = listClasses(folder, part, { passedOver, otherImages, listed });
  const divided = byClass.map((paths) => (choice ? divide(paths, part, choice) : { train: paths, test: [] }));
  const classNames = [...classes.keys()];
  const single = classNames.filter((_, label) => byClass[label]!.length === 1);
  const remarks = [
    choice &&
      single.length > 0 &&
      `${some(single)}: one image, which is trained with, so no test image is of this class`,
    ignoredImages(folder, passedOver, otherImages),
    duplicateImages(byClass),
  ];
  return {
    ...{ kind: 'files', name: basename(resolve(folder)), source: folder, folder, classNames },
    ...(choice && { valShare: choice.valShare }),
    train: filesByClass(divided.map(({ train }) => train)),
    test: filesByClass(divided.map(({ test }) => test)),
    ...ignoredFiles(passedOver, otherImages),
    remarks: remarks.filter((remark) => typeof remark === 'string'),
  };
}

/**
 * Divides the images of a class. Each part gets at least one image if there are two: if all are on one side, the one with
 * the hash that is nearest to the other side changes.
 * @param paths sorted. @param part the beginning of the paths that does not count, so that moving the class folders into a
 * folder `train` changes nothing.
 */
export function divide(paths: readonly string[], part: string, { valShare, seed }: ValChoice) {
  const skipped = part === '' ? 0 : part.length + 1;
  const places = paths.map((path) => placeOf(path.slice(skipped), seed));
  const isTest = places.map((place) => place < valShare);
  if (paths.length > 1 && !isTest.includes(true)) isTest[places.indexOf(Math.min(...places))] = true;
  if (!isTest.includes(false)) isTest[places.indexOf(Math.max(...places))] = false;
  return { train: paths.filter((_, i) => !isTest[i]), test: paths.filter((_, i) => isTest[i]) };
}

/** A number from 0 to below 1 for a path and a seed, evenly distributed. The form of the path's characters does not count. */
function placeOf(path: string, seed: number): number {
  const hash = createHash('sha256')
    .update(`${seed}\0${normalizeName(path)}`)
    .digest();
  return hash.readUIntBE(0, 6) / 2 ** 48;
}

function some(names: readonly string[]): string {
  return names.length <= 3 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;
}
