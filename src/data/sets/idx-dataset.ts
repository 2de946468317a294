/** Data sets of four IDX files, such as Fashion-MNIST (Xiao, Rasul, Vollgraf, arXiv:1708.07747). */
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DataError } from '../../errors.js';
import type { PixelDataset } from './dataset.js';
import { readIdxImages, readIdxLabels } from './idx.js';
import { DATA_FILES, fashionIn, type IdxFiles, isComplete, setsIn } from './idx-files.js';
import { noFolderError, otherFormatError } from './other-formats.js';

/** The package's own folder, also when npm's scripts start elsewhere. */
const PACKAGE = fileURLToPath(new URL('../../../../', import.meta.url));

/** Where Fashion-MNIST is searched: in the working folder, in the package, and in Debian's dataset-fashion-mnist. */
const FOLDERS = [
  ...['', PACKAGE].flatMap((root) => [join(root, 'data'), join(root, 'data/fashion-mnist')]),
  '/usr/share/datasets/fashion-mnist',
];

const FASHION_CLASSES: readonly string[] = [
  ...['T-shirt/top', 'trouser', 'pullover', 'dress', 'coat', 'sandal', 'shirt', 'sneaker', 'bag', 'ankle boot'],
];

const FILES_EXPECTED = `the four files ${DATA_FILES.join(', ')} (plain or .gz)`;

/** The first folder with Fashion-MNIST's four files. */
export function findFashionMnist(): string | undefined {
  return FOLDERS.find(fashionIn);
}

/**
 * Reads a data set of IDX files into shared memory.
 * @param source `embedded`, `fashion-mnist` (see {@link findFashionMnist}), or a folder with the four files.
 * @throws DataError if the files are missing, incomplete, or do not fit one another or the net.
 */
export function loadDataset(source: string, classes: number): PixelDataset {
  if (source === 'embedded') {
    const sample = readFiles(embeddedFolder(), classes);
    return { ...sample, name: 'fashion-mnist-sample', source: 'embedded sample', classNames: FASHION_CLASSES };
  }
  if (source !== 'fashion-mnist') return readFiles(source, classes);
  const folder = findFashionMnist();
  if (folder !== undefined) {
    return { ...readFiles(folder, classes, fashionIn(folder)), name: source, classNames: FASHION_CLASSES };
  }
  throw new DataError(
    `Cannot find Fashion-MNIST: neither ${FOLDERS.join(' nor ')} holds it, expected ${FILES_EXPECTED}; \`data fetch fashion-mnist\` brings them; put them in data, or use the sample with --data embedded`,
  );
}

function readFiles(folder: string, classes: number, files = filesIn(folder)): PixelDataset {
  const [trainImages, testImages] = [files['train-images-idx3-ubyte'], files['t10k-images-idx3-ubyte']];
  const [trainLabels, testLabels] = [files['train-labels-idx1-ubyte'], files['t10k-labels-idx1-ubyte']];
  const train = readIdxImages(trainImages);
  const test = readIdxImages(testImages);
  const { height, width } = train;
  if (height !== test.height || width !== test.width) {
    throw new DataError(
      `Cannot use images from ${testImages}: they have ${test.height} x ${test.width} pixels, expected ${height} x ${width} as in ${trainImages}; use both files from the same data set`,
    );
  }
  const name = basename(resolve(folder));
  const labels = readIdxLabels(trainLabels, trainImages, train.count, classes);
  const tested = readIdxLabels(testLabels, testImages, test.count, classes, labels.first);
  const remark = `the labels in ${trainLabels} go from 1 to ${classes}: class 1 is the net's first`;
  return {
    ...{ kind: 'pixels', name, source: folder, height, width, channels: 1 },
    train: { count: train.count, images: train.pixels, labels: labels.values },
    test: { count: test.count, images: test.pixels, labels: tested.values },
    // Other data in this format, such as handwritten digits, has no class names.
    classNames: /fashion/i.test(name)
      ? FASHION_CLASSES
      : Array.from({ length: classes }, (_, i) => `${i + labels.first}`),
    remarks: labels.first === 1 ? [remark] : [],
  };
}

/** @throws DataError if the folder does not hold all four files, or several data sets. */
function filesIn(folder: string): IdxFiles {
  const sets = setsIn(folder);
  const unnamed = sets.get('');
  const complete = [...sets].filter(([, set]) => isComplete(set));
  if (complete.length > 1 && !isComplete(unnamed)) {
    const names = complete.map(([prefix]) => prefix).join(', ');
    throw new DataError(
      `Cannot use the data in ${folder}: it holds ${complete.length} data sets (${names}), expected one; put the four files of one into a folder of their own`,
    );
  }
  const found = isComplete(unnamed) ? unnamed : (complete[0]?.[1] ?? unnamed ?? [...sets.values()][0] ?? {});
  if (isComplete(found)) return found;
  const missing = DATA_FILES.filter((name) => found[name] === undefined);
  const hasNone = missing.length === DATA_FILES.length;
  const other = hasNone ? (otherFormatError(folder) ?? noFolderError(folder)) : undefined;
  if (other) throw other;
  const lacks = hasNone ? 'the folder has no such file' : `the folder lacks ${missing.join(' and ')}`;
  throw new DataError(
    `Cannot load data from ${folder}: ${lacks}, expected a folder with ${FILES_EXPECTED}, or one with images in class folders under train and val; point --data at it, or use the sample with --data embedded`,
  );
}

/** The sample is not compiled: it is among the sources, or in the compiled folder if somebody put it there. */
function embeddedFolder(): string {
  const folders = [join(PACKAGE, 'src/data/embedded'), fileURLToPath(new URL('../embedded', import.meta.url))];
  const found = folders.find((folder) => existsSync(join(folder, `${DATA_FILES[0]}.gz`)));
  if (found) return found;
  throw new DataError(
    `Cannot load the embedded sample: neither ${folders.join(' nor ')} holds it, expected ${FILES_EXPECTED}; install alexnet-split again`,
  );
}
