/**
 * Lists the images of a folder: `train/` and `val/` with a folder for each class, as ImageNet is stored, or a `val/` with
 * all images in one folder and a file of their labels.
 */
import { basename, join, resolve } from 'node:path';
import { DataError } from '../../errors.js';
import { convertHeic, HEIC_ENDING } from '../images/heic.js';
import { type FileDataset, type ImageFiles, imageFiles } from './dataset.js';
import type { ListedFolders } from './list-ahead.js';
import { exists, foldersIn, namesIn, partsOf, realPath } from './list-folder.js';
import { findDuplicate, normalizeName } from './names.js';
import { noFolderError, otherFormatError, splitAdvice } from './other-formats.js';
import { findLabelsFile, LABEL_FILES, readLabels } from './val-labels.js';
import {
  describeEndings,
  IMAGE_ENDING,
  ignoredImages,
  openWalk,
  type PartWalk,
  type Visited,
  type WalkOptions,
} from './walk.js';

/** Labels have 16 bits. */
export const MAX_CLASSES = 65_536;
const EXPECTED = 'class folders with images under train and the same ones under val';

/** The error for a folder in which there is nothing to train on. */
function withoutClasses(folder: string): DataError {
  const names = namesIn(folder).filter((name) => !name.startsWith('.'));
  const isFlat = names.some((name) => IMAGE_ENDING.test(name));
  const found = isFlat ? 'it holds images side by side, and no class folders' : 'it has no class folders with images';
  return new DataError(
    `Cannot use the images of ${folder}: ${names.length === 0 ? 'it is empty' : found}, expected a folder of images for each class, in it or in a folder train; sort the images into such folders, docs/data.md says more`,
  );
}

/** Whether the folder looks like one of image files, complete or not. */
export function isImageFolder(folder: string): boolean {
  const { train, val } = partsOf(folder);
  return train !== undefined || (val !== undefined && !/^test/i.test(val));
}

/** The classes: names of train's folders, sorted by code units. Empty without a folder train. */
export function imageClasses(folder: string): string[] {
  const { train } = partsOf(folder);
  return train === undefined ? [] : foldersIn(join(folder, train)).map(normalizeName).sort();
}

/** What is known once train has been listed. */
interface Listing {
  folder: string;
  train: string;
  val: string;
  /** Folder names by class, sorted. */
  classes: ReadonlyMap<string, string>;
  passedOver: Record<string, number>;
}

/** The images of a part with class folders. */
export interface ClassImages {
  /** Folder names by class, sorted. */
  classes: ReadonlyMap<string, string>;
  /** Paths by label, relative to the data set's folder. */
  byClass: readonly (readonly string[])[];
}

/**
 * Lists images and labels; opens no image. Ignores names that start with a dot.
 * @param listed folders that were listed ahead.
 * @throws DataError for a folder without classes or images, or if `val` has other classes than `train`.
 */
export function readImageFolder(folder: string, listed?: ListedFolders): FileDataset {
  const { train, val } = partsOf(folder);
  if (train === undefined) {
    throw otherFormatError(folder) ?? noFolderError(folder) ?? withoutClasses(folder);
  }
  if (val === undefined) {
    throw refusal(folder, 'there is no folder val (nor valid, validation or test)', splitAdvice(folder));
  }
  const passedOver: Record<string, number> = {};
  const otherImages: string[] = [];
  const isSame = realPath(join(folder, train)) === realPath(join(folder, val));
  const visited: Visited = new Map();
  const optionsFor = (other: string) => ({ passedOver, otherImages, listed, ...(!isSame && { visited, other }) });
  const { classes, byClass } = listClasses(folder, train, optionsFor(val));
  const classNames = [...classes.keys()];
  const test = testImages({ folder, train, val, classes, passedOver }, openWalk(folder, val, optionsFor(train)));
  if (test.count === 0) throw refusal(folder, `${val} holds no image`);
  const remarks = [
    isSame &&
      `${val} and ${train} are the same folder: the net is tested on the very images that it learns from, so its test results say nothing about others`,
    val !== 'val' && `there is no folder val: the test images are those in ${val}`,
    ignoredImages(folder, passedOver, otherImages),
    duplicateImages(byClass),
  ];
  return {
    ...{ kind: 'files', name: basename(resolve(folder)), source: folder, folder, classNames },
    train: filesByClass(byClass),
    test,
    ...ignoredFiles(passedOver, otherImages),
    remarks: remarks.filter((remark) => typeof remark === 'string'),
  };
}

/** What was found beside the images. */
export function ignoredFiles(passedOver: Record<string, number>, otherImages: readonly string[]) {
  const ignored = Object.values(passedOver).reduce((sum, count) => sum + count, 0);
  return { ignored, passedOver, otherImages };
}

/**
 * Lists the images of a part by class.
 * @param part a folder in `folder`; '' if the class folders are in `folder` itself.
 * @throws DataError without two classes, or for a class without images.
 */
export function listClasses(folder: string, part: string, options: WalkOptions): ClassImages {
  const walk = openWalk(folder, part, options);
  const classes = trainClasses(folder, part || 'it', walk);
  const byClass = [...classes.values()].map((name) => walk.images(name));
  const empty = byClass.findIndex((paths) => paths.length === 0);
  if (empty < 0) return { classes, byClass };
  const others = describeEndings(Object.entries(options.passedOver ?? {}));
  const why = others && `; ignored in the class folders: ${others}`;
  const path = [part, [...classes.keys()][empty]].filter(Boolean).join('/');
  const heic = options.otherImages?.find((each) => HEIC_ENDING.test(each));
  const remedy = heic === undefined ? undefined : `convert the images: ${convertHeic(join(folder, heic))}`;
  throw refusal(folder, `the class folder ${path} holds no image${why}`, remedy);
}

function trainClasses(folder: string, train: string, walk: PartWalk): Map<string, string> {
  const names = walk.folders();
  if (names.length === 0) {
    if (walk.images().length > 0) throw refusal(folder, `${train} holds images side by side, and no class folders`);
    const other = otherFormatError(join(folder, train));
    if (other) throw other;
  }
  if (names.length < 2) throw refusal(folder, `${train} holds ${count(names.length, 'class folder')}, too few`);
  if (names.length > MAX_CLASSES) {
    throw refusal(folder, `${train} holds ${names.length} class folders, more than ${MAX_CLASSES}`);
  }
  return byNormalName(folder, train, names);
}

/** Folder names by class, sorted by code units. */
function byNormalName(folder: string, part: string, names: readonly string[]): Map<string, string> {
  const duplicate = findDuplicate(names);
  const byName = names.map((name) => [normalizeName(name), name] as const);
  if (duplicate === undefined) return new Map(byName.sort(([a], [b]) => (a < b ? -1 : 1)));
  throw new DataError(
    `Cannot use the images of ${folder}: ${part} has two folders ${normalizeName(duplicate)} that look alike, one with composed and one with decomposed characters (as macOS writes them), expected one for each class; put their images into one`,
  );
}

function testImages(listing: Listing, walk: PartWalk): ImageFiles {
  const { folder, train, val, classes } = listing;
  const classNames = [...classes.keys()];
  const folders = byNormalName(folder, val, walk.folders());
  const isSorted = classNames.some((name) => folders.has(name));
  // Tiny ImageNet has all of them in a folder `images`.
  const isFlat = !isSorted && (folders.size === 0 || findLabelsFile(folder, val) || folders.has('images'));
  if (isFlat) return flatTestImages(listing, walk);
  const missing = classNames.filter((name) => !folders.has(name));
  const added = [...folders.keys()].filter((name) => !classes.has(name));
  if (missing.length > 0 || added.length > 0) {
    const differences = [
      missing.length > 0 && `${val} lacks ${some(missing)}`,
      added.length > 0 && `${val} has ${some(added)}, which ${train} does not have`,
    ].filter(Boolean);
    const twin = missing.find((name) => added.some((each) => each.toLowerCase() === name.toLowerCase()));
    const hint = twin === undefined ? '' : ` (${twin} differs in case only)`;
    throw refusal(folder, `${train} and ${val} have different classes: ${differences.join(', and ')}${hint}`);
  }
  return filesByClass(classNames.map((name) => walk.images(folders.get(name))));
}

function flatTestImages({ folder, val, classes, passedOver }: Listing, walk: PartWalk): ImageFiles {
  const paths = walk.images();
  const file = findLabelsFile(folder, val);
  if (paths.length === 0) return imageFiles([], []);
  if (file === undefined) {
    const unlabelled = /^test/i.test(val) ? ', as in test sets that are published without labels' : '';
    throw new DataError(
      `Cannot use the images of ${folder}: ${val} holds ${count(paths.length, 'image')} side by side, so nothing says their classes${unlabelled}, expected class folders as in train, or a file of labels (${LABEL_FILES.join(', ')}) beside ${val}, with a line "<file> <class>" for each; sort them into folders, add that file, or make a folder val of some of train's images`,
    );
  }
  if (exists(join(folder, val, basename(file)))) {
    const ending = file.slice(file.lastIndexOf('.') + 1);
    passedOver[ending] = (passedOver[ending] ?? 1) - 1; // a folder of that name is not counted
    if (passedOver[ending] === 0) delete passedOver[ending];
  }
  return imageFiles(paths, readLabels(file, [...classes.keys()], paths));
}

/** A sentence about the first two image paths that look alike. */
export function duplicateImages(byClass: readonly (readonly string[])[]): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: only names beyond ASCII have several forms
  const duplicate = findDuplicate(byClass.flatMap((paths) => paths.filter((path) => /[^\x00-\x7f]/.test(path))));
  if (duplicate === undefined) return undefined;
  return `${normalizeName(duplicate)} exists twice, with composed and with decomposed characters: both count`;
}

export function filesByClass(byClass: readonly (readonly string[])[]): ImageFiles {
  const labels = new Uint16Array(byClass.reduce((images, { length }) => images + length, 0));
  let at = 0;
  for (const [label, { length }] of byClass.entries()) {
    labels.fill(label, at, at + length);
    at += length;
  }
  return imageFiles(byClass.flat(), labels);
}

function some(names: readonly string[]): string {
  return names.length <= 3 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function refusal(folder: string, found: string, remedy = 'bring it into that form, docs/data.md says more'): DataError {
  return new DataError(`Cannot use the images of ${folder}: ${found}, expected ${EXPECTED}; ${remedy}`);
}
