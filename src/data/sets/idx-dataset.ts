/** Data sets of four IDX files, as Fashion-MNIST has them (Xiao, Rasul, Vollgraf, arXiv:1708.07747), and where they lie. */
import { existsSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DataError } from '../../errors.js';
import type { FileDataset } from '../images/reader.js';
import { readIdxImages, readIdxLabels } from './idx.js';
import { DATA_FILES, type DataFile, findFashion, findIdx, isWhole } from './idx-files.js';
import { recognised } from './other-formats.js';

/** Images in memory and their labels, both on SharedArrayBuffers. */
export interface Images {
  readonly count: number;
  /** [count, height, width, channels], grey levels 0 to 255. */
  readonly images: Uint8Array;
  /** [count] */
  readonly labels: Uint8Array;
}

/** A data set that is held in memory. */
export interface PixelDataset {
  readonly kind: 'pixels';
  readonly name: string;
  /** Where it comes from, for people: a folder, or `embedded sample`. */
  readonly source: string;
  readonly height: number;
  readonly width: number;
  readonly channels: 1;
  readonly train: Images;
  readonly test: Images;
  /** By label. */
  readonly classNames: readonly string[];
  /** How the files were understood where that is not plain, for people. */
  readonly remarks?: readonly string[];
}

export type Dataset = PixelDataset | FileDataset;

/**
 * Where Fashion-MNIST is looked for: by hand, by hand beside other data, both in the folder of this package too, from where
 * npm's scripts are not started; Debian's package dataset-fashion-mnist.
 */
const FOLDERS = [
  ...['data', 'data/fashion-mnist'],
  ...['data', 'data/fashion-mnist'].map((path) => fileURLToPath(new URL(`../../../../${path}`, import.meta.url))),
  '/usr/share/datasets/fashion-mnist',
];

const FASHION_CLASSES = [
  'T-shirt/top',
  'trouser',
  'pullover',
  'dress',
  'coat',
  'sandal',
  'shirt',
  'sneaker',
  'bag',
  'ankle boot',
] as const;

const FILES_EXPECTED = `the four files ${DATA_FILES.join(', ')} (plain or .gz)`;

/** The first folder that holds Fashion-MNIST's four files, if any does. */
export function findFashionMnist(): string | undefined {
  return FOLDERS.find(findFashion);
}

/**
 * Reads a data set of IDX files into shared memory.
 * @param source `embedded`, `fashion-mnist` (see {@link findFashionMnist}), or a folder with the four files.
 * @param classes how many the net tells apart: labels are below this.
 * @throws DataError when the files are not there, not whole, or do not fit one another or the net.
 */
export function loadDataset(source: string, classes: number): PixelDataset {
  if (source === 'embedded') {
    const sample = readFolder(embeddedFolder(), classes);
    return { ...sample, name: 'fashion-mnist-sample', source: 'embedded sample', classNames: FASHION_CLASSES };
  }
  if (source !== 'fashion-mnist') {
    return readFolder(source, classes);
  }
  const folder = findFashionMnist();
  const files = folder === undefined ? undefined : findFashion(folder);
  if (folder !== undefined && files) {
    return { ...readFolder(folder, classes, files), name: 'fashion-mnist', classNames: FASHION_CLASSES };
  }
  throw new DataError(
    `Cannot find Fashion-MNIST: neither ${FOLDERS.join(' nor ')} holds it, expected ${FILES_EXPECTED}; put them in data, install Debian's package dataset-fashion-mnist, or take the sample with --data embedded`,
  );
}

/** @throws DataError unless the folder holds the four files. */
function filesIn(folder: string): Record<DataFile, string> {
  const found = findIdx(folder);
  if (isWhole(found)) return found;
  const missing = DATA_FILES.filter((name) => found[name] === undefined);
  const other = missing.length === DATA_FILES.length ? recognised(folder) : undefined;
  if (other) throw other;
  throw new DataError(
    `Cannot load data from ${folder}: ${whatIsThere(folder, missing)}, expected a folder with ${FILES_EXPECTED}, or one with images in class folders under train and val; point --data at it, or take the sample with --data embedded`,
  );
}

function whatIsThere(folder: string, missing: readonly string[]): string {
  if (!existsSync(folder)) return 'there is no such folder';
  if (!statSync(folder).isDirectory()) return 'it is a file, no folder';
  if (missing.length === DATA_FILES.length) return 'the folder holds none of its files';
  return `the folder lacks ${missing.join(' and ')}`;
}

function readFolder(folder: string, classes: number, files = filesIn(folder)): PixelDataset {
  const [trainImages, trainLabels, testImages, testLabels] = DATA_FILES.map((name) => files[name]) as [
    string,
    string,
    string,
    string,
  ];
  const train = readIdxImages(trainImages);
  const test = readIdxImages(testImages);
  if (train.height !== test.height || train.width !== test.width) {
    throw new DataError(
      `Cannot use images from ${testImages}: they are of ${test.height} x ${test.width} pixels, expected ${train.height} x ${train.width} as in ${trainImages}; take both files from the same data set`,
    );
  }
  const name = basename(resolve(folder));
  const labels = readIdxLabels(trainLabels, trainImages, train.count, classes);
  const remark = `the labels in ${trainLabels} go from 1 to ${classes}: class 1 is the net's first`;
  return {
    kind: 'pixels',
    name,
    source: folder,
    height: train.height,
    width: train.width,
    channels: 1,
    train: withLabels(train, labels.values),
    test: withLabels(test, readIdxLabels(testLabels, testImages, test.count, classes, labels.first).values),
    // Other data in these files, such as handwritten digits, does not say what its classes are.
    classNames: /fashion/i.test(name)
      ? FASHION_CLASSES
      : Array.from({ length: classes }, (_, i) => `${i + labels.first}`),
    remarks: labels.first === 1 ? [remark] : [],
  };
}

function withLabels({ count, pixels }: { count: number; pixels: Uint8Array }, labels: Uint8Array): Images {
  return { count, images: pixels, labels };
}

/** The sample's folder: not compiled, so among the sources, or beside this file when somebody has put it there. */
function embeddedFolder(): string {
  const folders = ['../../../../src/data/embedded', '../embedded'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  const found = folders.find((folder) => existsSync(join(folder, `${DATA_FILES[0]}.gz`)));
  if (found) return found;
  throw new DataError(
    `Cannot load the embedded sample: neither ${folders.join(' nor ')} holds it, expected ${FILES_EXPECTED}; install alexnet-split again`,
  );
}
