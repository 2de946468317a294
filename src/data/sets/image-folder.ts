/**
 * Reads which images a folder holds: `train/` and `val/` with a folder for each class, as ImageNet is kept, or a `val/`
 * with all images side by side and a file of their labels.
 */
import { basename, join, resolve } from 'node:path';
import { DataError } from '../../errors.js';
import { describeMissing } from '../../file-kind.js';
import type { FileDataset, ImageFiles } from '../images/reader.js';
import { alike, composed } from './classes.js';
import { foldersIn, isFolder, isThere, lostAt, realOf } from './list-folder.js';
import { packNames } from './names.js';
import { recognised } from './other-formats.js';
import { type Parts, partsOf, partsRemark, sameRemark } from './parts.js';
import { findLabelsFile, LABEL_FILES, readLabels } from './val-labels.js';
import { endings, openWalk, type PartWalk, passedOverImages, type Seen } from './walk.js';

/** Labels have 16 bits. */
export const MAX_CLASSES = 65_536;
const EXPECTED = 'class folders with images under train and the same ones under val';

/** Whether the folder looks like one of image files, whole or not. */
export function isImageFolder(folder: string): boolean {
  const { train, val } = partsOf(folder);
  return train !== undefined || (val !== undefined && !/^test/i.test(val));
}

/** The classes: the names of train's folders, sorted by their characters' codes. Nothing when it has no such folder. */
export function imageClasses(folder: string): string[] {
  const { train } = partsOf(folder);
  return train === undefined ? [] : foldersIn(join(folder, train)).map(composed).sort();
}

/** A folder that is read. */
interface Reading {
  folder: string;
  parts: Required<{ [part in keyof Parts]: string }>;
  /** Folders' names by class, and the classes' names, sorted. */
  classes: ReadonlyMap<string, string>;
  classNames: readonly string[];
  passedOver: Record<string, number>;
  /** Where the walk of train was; nothing where val is train. */
  seen: Seen | undefined;
}

/**
 * Lists the images of a folder and their labels; opens none. Names that start with a dot are passed over.
 * @throws DataError for a folder without classes or images, or with other classes in `val` than in `train`.
 */
export function readImageFolder(folder: string): FileDataset {
  const { train, val } = partsOf(folder);
  if (train === undefined) throw recognised(folder) ?? noFolder(folder) ?? refusal(folder, 'there is no folder train');
  if (val === undefined) throw refusal(folder, 'there is no folder val (nor valid, validation or test)');
  const passedOver: Record<string, number> = {};
  const isSame = realOf(join(folder, train)) === realOf(join(folder, val));
  const seen: Seen | undefined = isSame ? undefined : new Map();
  const walk = openWalk(folder, train, { passedOver, ...(seen && { seen, other: val }) });
  const classes = trainClasses(folder, train, walk);
  const reading = { folder, parts: { train, val }, classes, classNames: [...classes.keys()].sort(), passedOver, seen };
  const byClass = reading.classNames.map((name) => walk.images(classes.get(name)));
  const empty = byClass.findIndex((paths) => paths.length === 0);
  if (empty >= 0) {
    const others = endings(Object.entries(passedOver));
    const why = others && `; passed over in the class folders: ${others}`;
    throw refusal(folder, `the class folder ${train}/${reading.classNames[empty]} holds no image${why}`);
  }
  const test = testImages(reading);
  if (test.count === 0) throw refusal(folder, `${val} holds no image`);
  const tested = isSame ? sameRemark({ train, val }) : undefined;
  const remarks = [tested, partsRemark({ train, val }), passedOverImages(passedOver), twins(byClass)];
  return {
    kind: 'files',
    name: basename(resolve(folder)),
    source: folder,
    folder,
    train: filesOf(byClass),
    test,
    classNames: reading.classNames,
    ignored: Object.values(passedOver).reduce((sum, count) => sum + count, 0),
    passedOver,
    remarks: remarks.filter((remark) => remark !== undefined),
  };
}

/** The error for what is no folder at all. */
function noFolder(folder: string): DataError | undefined {
  if (isFolder(folder)) return undefined;
  const lost = lostAt(folder) === undefined ? 'there is no such folder' : describeMissing(folder);
  const found = isThere(folder) ? 'it is a file, no folder' : lost;
  return new DataError(
    `Cannot use the images of ${folder}: ${found}, expected a folder with ${EXPECTED}; name another`,
  );
}

/** The folders' names by class. */
function trainClasses(folder: string, train: string, walk: PartWalk): Map<string, string> {
  const names = walk.folders();
  if (names.length === 0) {
    if (walk.images().length > 0) throw refusal(folder, `${train} holds images side by side, and no class folders`);
    const packed = recognised(join(folder, train));
    if (packed) throw packed;
  }
  if (names.length < 2) throw refusal(folder, `${train} holds ${count(names.length, 'class folder')}, too few`);
  if (names.length > MAX_CLASSES) {
    throw refusal(folder, `${train} holds ${names.length} class folders, more than ${MAX_CLASSES}`);
  }
  return byForm(folder, train, names);
}

/** Folders' names by the form in which they are compared. */
function byForm(folder: string, part: string, names: readonly string[]): Map<string, string> {
  const twin = alike(names);
  if (twin === undefined) return new Map(names.map((name) => [composed(name), name]));
  throw new DataError(
    `Cannot use the images of ${folder}: ${part} has two folders ${composed(twin)} that look alike, one with composed and one with decomposed characters (as macOS writes them), expected one a class; put their images into one`,
  );
}

function testImages(reading: Reading): ImageFiles {
  const { folder, parts, classNames, passedOver, seen } = reading;
  const walk = openWalk(folder, parts.val, { passedOver, ...(seen && { seen, other: parts.train }) });
  const folders = byForm(folder, parts.val, walk.folders());
  const isSorted = classNames.some((name) => folders.has(name));
  // Tiny ImageNet has all of them in a folder `images`.
  const isFlat = !isSorted && (folders.size === 0 || findLabelsFile(folder, parts.val) || folders.has('images'));
  if (isFlat) return flatTest(reading, walk);
  const [lacking, added] = [missing(classNames, folders), missing([...folders.keys()].sort(), reading.classes)];
  if (lacking.length > 0 || added.length > 0) {
    const { train, val } = parts;
    const differences = [
      ...(lacking.length > 0 ? [`${val} lacks ${some(lacking)}`] : []),
      ...(added.length > 0 ? [`${val} has ${some(added)}, which ${train} has not`] : []),
    ];
    const twin = lacking.find((name) => added.some((each) => each.toLowerCase() === name.toLowerCase()));
    const hint = twin === undefined ? '' : ` (${twin} and its like differ in capital letters alone)`;
    throw refusal(folder, `${train} and ${val} have different classes: ${differences.join(', and ')}${hint}`);
  }
  return filesOf(classNames.map((name) => walk.images(folders.get(name))));
}

/** All images side by side: their labels stand in a file. */
function flatTest({ folder, parts: { val }, classNames, passedOver }: Reading, walk: PartWalk): ImageFiles {
  const paths = walk.images();
  const file = findLabelsFile(folder, val);
  if (paths.length > 0 && file === undefined) {
    const unlabelled = /^test/i.test(val) ? `, as test images without answers are given out` : '';
    throw new DataError(
      `Cannot use the images of ${folder}: ${val} holds ${count(paths.length, 'image')} side by side, so nothing says their classes${unlabelled}, expected class folders as in train, or a file of labels (${LABEL_FILES.join(', ')}) beside ${val}, with a line "<file> <class>" for each; sort them into folders, add that file, or make a folder val of some of train's images`,
    );
  }
  if (file === undefined) return filesOf(classNames.map(() => []));
  if (isThere(join(folder, val, basename(file)))) {
    const ending = file.slice(file.lastIndexOf('.') + 1);
    passedOver[ending] = (passedOver[ending] ?? 1) - 1;
    if (passedOver[ending] === 0) delete passedOver[ending];
  }
  return withLabels(paths, readLabels(file, classNames, paths));
}

/** Files of one folder whose names look alike; a sentence of the first. */
function twins(byClass: readonly (readonly string[])[]): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: names of others than ASCII alone have several forms
  const twin = alike(byClass.flat().filter((path) => /[^\x00-\x7f]/.test(path)));
  if (twin === undefined) return undefined;
  return `${composed(twin)} is there twice, with composed and with decomposed characters: both count`;
}

function filesOf(byClass: readonly (readonly string[])[]): ImageFiles {
  const paths = byClass.flat();
  const labels = byClass.flatMap((each, label) => each.map(() => label));
  return withLabels(paths, labels);
}

/** The list as it is shared with the data threads. */
export function withLabels(paths: readonly string[], labels: ArrayLike<number>): ImageFiles {
  const shared = new Uint16Array(new SharedArrayBuffer(2 * paths.length));
  shared.set(labels);
  return { count: paths.length, labels: shared, names: packNames(paths) };
}

function missing(from: readonly string[], among: ReadonlyMap<string, string>): string[] {
  return from.filter((name) => !among.has(name));
}

function some(names: readonly string[]): string {
  return names.length <= 3 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function refusal(folder: string, found: string): DataError {
  return new DataError(
    `Cannot use the images of ${folder}: ${found}, expected ${EXPECTED}; bring it into that form, docs/data.md says more`,
  );
}
