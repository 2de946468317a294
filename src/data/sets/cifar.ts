/**
 * CIFAR-10 in its binary version (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009): six files of
 * records, each a byte with the label, then the red, the green and the blue plane of 32 x 32 pixels.
 */
import { readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError, DataError, systemMessage } from '../../errors.js';
import { describePlaceholder } from '../../file-kind.js';
import { greyOf } from '../images/grey.js';
import { isSystemFault } from '../images/retry.js';
import type { Images, PixelDataset } from './dataset.js';
import { describeNoFolder, exists, isFolder, namesIn } from './list-folder.js';

/** The value of `data.source` that stands for CIFAR-10, wherever it is found. */
export const CIFAR_SOURCE = 'cifar-10';

export const CIFAR_TRAIN_FILES = [1, 2, 3, 4, 5].map((number) => `data_batch_${number}.bin`);
export const CIFAR_TEST_FILE = 'test_batch.bin';
/** The class names, one in a line. The images can be used without it. */
export const CIFAR_NAMES_FILE = 'batches.meta.txt';

export const CIFAR_CLASSES: readonly string[] = [
  ...['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'],
];

/** Height and width in pixels. */
const SIZE = 32;
const PLANE_BYTES = SIZE * SIZE;
const RECORD_BYTES = 1 + 3 * PLANE_BYTES;
/** Of each file of CIFAR-10 itself; other data in this format may have any number. */
const IMAGES_PER_FILE = 10_000;

/** The folder in which the files are when they are unpacked. */
const UNPACKED = 'cifar-10-batches-bin';
const PACKAGE = fileURLToPath(new URL('../../../../', import.meta.url));
const FOLDERS = ['', PACKAGE].flatMap((root) => [join(root, 'data'), join(root, 'data/cifar-10')]);
const ALL_FILES = [...CIFAR_TRAIN_FILES, CIFAR_TEST_FILE];
const FILES_EXPECTED = `the files ${CIFAR_TRAIN_FILES[0]} to ${CIFAR_TRAIN_FILES.at(-1)} and ${CIFAR_TEST_FILE} of the binary version`;

/** The first folder with all of CIFAR-10's files; undefined if there is none. */
export function findCifar10(): string | undefined {
  const complete = (folder: string) => ALL_FILES.every((name) => exists(join(folder, name)));
  return FOLDERS.map(filesFolder).find((folder) => folder !== undefined && complete(folder));
}

/** Whether a source is CIFAR-10, or a folder with such files, also if some are missing. */
export function isCifar(source: string): boolean {
  return source === CIFAR_SOURCE || filesFolder(source) !== undefined;
}

/** What is known of the images without reading them. @param source see {@link isCifar}. @throws DataError for a damaged list of class names. */
export function cifarKind(source: string) {
  const folder = source === CIFAR_SOURCE ? undefined : filesFolder(source);
  return { height: SIZE, width: SIZE, classNames: folder === undefined ? CIFAR_CLASSES : namesOf(folder) };
}

/**
 * Reads CIFAR-10, or other images in its format, into shared memory.
 * @param source `cifar-10` (see {@link findCifar10}), or a folder with the files, or with a folder of them.
 * @param channels 1 converts the images to grey, as image files are.
 * @throws DataError if files are missing, incomplete or have labels without a class; ConfigError for another number of
 * `classes` than the data have.
 */
export function loadCifar(source: string, classes: number, channels: 1 | 3): PixelDataset {
  const isStandard = source === CIFAR_SOURCE;
  const folder = isStandard ? findCifar10() : filesFolder(source);
  if (folder === undefined) {
    throw new DataError(
      `Cannot find CIFAR-10: neither ${FOLDERS.join(' nor ')} holds it, expected ${FILES_EXPECTED}; \`data fetch cifar-10\` brings them, or put them in data/cifar-10`,
    );
  }
  const classNames = isStandard ? CIFAR_CLASSES : namesOf(folder);
  if (classNames.length !== classes) {
    throw new ConfigError(
      `Cannot use ${source} for ${classes} classes: net.classes is ${classes}, expected ${classNames.length}, the classes of the data; choose other data, or leave net.classes out of a new run: it is then taken from the data`,
    );
  }
  const missing = ALL_FILES.filter((name) => !exists(join(folder, name)));
  if (missing.length > 0) {
    throw new DataError(
      `Cannot load data from ${folder}: the folder lacks ${missing.join(' and ')}, expected ${FILES_EXPECTED}; unpack all of them into one folder`,
    );
  }
  const read = (names: readonly string[]) => {
    const files = names.map((name) =>
      readRecords(join(folder, name), classes, isStandard ? IMAGES_PER_FILE : undefined),
    );
    return imagesOf(files, channels);
  };
  return {
    ...{ kind: 'pixels', name: isStandard ? CIFAR_SOURCE : basename(resolve(source)), source: folder, classNames },
    ...{ height: SIZE, width: SIZE, channels, train: read(CIFAR_TRAIN_FILES), test: read([CIFAR_TEST_FILE]) },
  };
}

/** The folder of the files: the one of that path, or the one in it that is made by unpacking. */
function filesFolder(path: string): string | undefined {
  const holds = (folder: string) => namesIn(folder).some((name) => ALL_FILES.includes(name));
  return [path, join(path, UNPACKED)].find((folder) => isFolder(folder) && holds(folder));
}

/** @throws DataError if there is a list of names, and it is not one. */
function namesOf(folder: string): readonly string[] {
  const file = join(folder, CIFAR_NAMES_FILE);
  if (!exists(file)) return CIFAR_CLASSES;
  const names = readBytes(file, 'class names')
    .toString('utf8')
    .split(/\r?\n/)
    .map((line) => line.trim());
  const found = names.filter((name) => name !== '');
  if (found.length >= 2 && found.length <= 256 && new Set(found).size === found.length) return found;
  throw new DataError(
    `Cannot read class names from ${file}: it has ${found.length} lines, expected 2 to 256 different names, one in a line; correct it, or remove it if the data are CIFAR-10`,
  );
}

/** @param count the number of images that there must be; any number if undefined. */
function readRecords(path: string, classes: number, count: number | undefined): Buffer {
  const bytes = readBytes(path, 'images');
  const placeholder = describePlaceholder(bytes, path);
  if (placeholder !== undefined) {
    throw new DataError(`Cannot read images from ${path}: ${placeholder}, expected ${FILES_EXPECTED}; then try again`);
  }
  const isWhole = bytes.length > 0 && bytes.length % RECORD_BYTES === 0;
  if (count === undefined ? !isWhole : bytes.length !== count * RECORD_BYTES) {
    const expected = count === undefined ? `a multiple of ${RECORD_BYTES}` : `${count * RECORD_BYTES}`;
    throw new DataError(
      `Cannot read images from ${path}: it holds ${bytes.length} bytes, expected ${expected}, a label and ${RECORD_BYTES - 1} values for each image; download it again`,
    );
  }
  for (let at = 0; at < bytes.length; at += RECORD_BYTES) {
    if (bytes[at]! < classes) continue;
    throw new DataError(
      `Cannot read images from ${path}: label ${bytes[at]} at image ${at / RECORD_BYTES}, expected 0 to ${classes - 1}; check that it is the binary version, or list all classes in ${CIFAR_NAMES_FILE} beside it`,
    );
  }
  return bytes;
}

/** @throws DataError for a file that cannot be read; the system's error for a system fault, which may be retried. */
function readBytes(path: string, what: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if (isSystemFault(error)) throw error;
    const found = describeNoFolder(path) === undefined ? 'it is a folder' : systemMessage(error as Error);
    throw new DataError(`Cannot read ${what} from ${path}: ${found}, expected a file that can be read; check it`, {
      cause: error,
    });
  }
}

/** Joins the records of several files; of three planes each pixel's values follow one another. */
function imagesOf(files: readonly Buffer[], channels: 1 | 3): Images {
  const count = files.reduce((sum, file) => sum + file.length / RECORD_BYTES, 0);
  const images = new Uint8Array(new SharedArrayBuffer(count * PLANE_BYTES * channels));
  const labels = new Uint8Array(new SharedArrayBuffer(count));
  let to = 0;
  let index = 0;
  for (const file of files) {
    for (let at = 0; at < file.length; at += RECORD_BYTES) {
      labels[index++] = file[at]!;
      const [red, green, blue] = [at + 1, at + 1 + PLANE_BYTES, at + 1 + 2 * PLANE_BYTES];
      for (let i = 0; i < PLANE_BYTES; i++) {
        const [r, g, b] = [file[red + i]!, file[green + i]!, file[blue + i]!];
        if (channels === 1) images[to++] = greyOf(r, g, b);
        else {
          images[to++] = r;
          images[to++] = g;
          images[to++] = b;
        }
      }
    }
  }
  return { count, images, labels };
}
