import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs, { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, isAbsolute, join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { drawSample, TEST_PER_CLASS, TRAIN_PER_CLASS } from '../../../scripts/make-sample.js';
import { DATA_FILES, type Dataset, findFashionMnist, type Images, loadDataset } from '../../../src/data/index.js';
import { DataError } from '../../../src/errors.js';
import { folderOf, fourFiles, idx } from '../sets.js';

const DEBIAN = '/usr/share/datasets/fashion-mnist';
const EMBEDDED = fileURLToPath(new URL('../../../../src/data/embedded', import.meta.url));

function assertRefused(load: () => unknown, ...wanted: (string | RegExp)[]): void {
  assert.throws(load, (error: Error) => {
    assert.ok(error instanceof DataError, `${error}`);
    for (const each of wanted) {
      assert.ok(typeof each === 'string' ? error.message.includes(each) : each.test(error.message), error.message);
    }
    assert.match(error.message, /^Cannot [^\n]*: [^\n]*expected [^\n]*; [^\n]*[^.\n]$/);
    return true;
  });
}

function countsByLabel({ labels }: Images): number[] {
  const counts: number[] = Array(10).fill(0);
  for (const label of labels) counts[label]!++;
  return counts;
}

test('loadDataset() reads an embedded sample with the same number of images of each class', () => {
  const { train, test, height, width, channels, name, source, classNames } = loadDataset('embedded', 10);
  assert.deepEqual([height, width, channels], [28, 28, 1]);
  assert.deepEqual([train.count, test.count], [10_000, 1000]);
  assert.deepEqual([train.images.length, test.images.length], [7_840_000, 784_000]);
  assert.deepEqual(countsByLabel(train), Array(10).fill(1000));
  assert.deepEqual(countsByLabel(test), Array(10).fill(100));
  assert.deepEqual([name, source, classNames.length], ['fashion-mnist-sample', 'embedded sample', 10]);
  for (const each of [train.images, train.labels, test.images, test.labels]) {
    assert.ok(each.buffer instanceof SharedArrayBuffer);
  }
});

test("the embedded sample's files are those of its README", () => {
  const readme = readFileSync(join(EMBEDDED, 'README.md'), 'utf8').replaceAll(/ +/g, ' ');
  for (const name of DATA_FILES) {
    const file = readFileSync(join(EMBEDDED, `${name}.gz`));
    const sum = createHash('sha256').update(file).digest('hex');
    assert.ok(readme.includes(`| ${name}.gz | ${file.length} | \`${sum}\` |`), name);
  }
});

test('the embedded sample contains the first images of each class of Fashion-MNIST, with the classes in turn', (t) => {
  const folder = findFashionMnist();
  if (!folder) return t.skip("Fashion-MNIST is not on this machine (Debian's package dataset-fashion-mnist)");
  const [whole, sample] = [loadDataset(folder, 10), loadDataset('embedded', 10)];
  assertDrawn(sample.train, whole.train, TRAIN_PER_CLASS);
  assertDrawn(sample.test, whole.test, TEST_PER_CLASS);
});

function assertDrawn(sample: Images, whole: Images, perClass: number): void {
  const nth = Array(10).fill(0);
  const places = new Map<string, number>();
  whole.labels.forEach((label, index) => {
    places.set(`${label}-${nth[label]++}`, index);
  });
  assert.equal(sample.count, 10 * perClass);
  for (let i = 0; i < sample.count; i++) {
    const index = places.get(`${i % 10}-${Math.floor(i / 10)}`)!;
    assert.equal(sample.labels[i], i % 10);
    const image = (set: Images, at: number) => Buffer.from(set.images.subarray(784 * at, 784 * (at + 1)));
    assert.ok(image(sample, i).equals(image(whole, index)), `image ${i}`);
  }
}

test('drawSample() chooses the classes in turn, and refuses a class that is too small', () => {
  const labels = Uint8Array.from([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9]);
  const first = [9, 8, 7, 6, 5, 4, 3, 2, 1, 0];
  assert.deepEqual(drawSample(labels, 2), [...first, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  assert.throws(() => drawSample(labels, 3), /class 0 has fewer than 3/);
});

test('loadDataset() reads a folder, plain and gzip mixed', (t) => {
  const plain = fourFiles();
  const mixed: Record<string, Buffer> = {};
  Object.entries(plain).forEach(([name, bytes], i) => {
    if (i % 2 === 0) mixed[`${name}.gz`] = gzipSync(bytes);
    else mixed[name] = bytes;
  });
  const folder = folderOf(t, mixed);
  const { train, test, height, width, source, name, classNames } = loadDataset(folder, 3);
  assert.deepEqual([height, width, source, name], [2, 2, folder, basename(folder)]);
  assert.deepEqual([train.count, test.count, [...train.labels], [...test.labels]], [3, 2, [0, 1, 2], [2, 1]]);
  assert.deepEqual([train.images[11], test.images[7]], [12, 28]);
  assert.deepEqual(classNames, ['0', '1', '2']);
});

test('loadDataset() lists the four expected files if none of them exists, or the folder does not', (t) => {
  const folder = folderOf(t, { other: Buffer.from('text') });
  assertRefused(() => loadDataset(folder, 10), folder, 'the folder has no such file', '--data', ...DATA_FILES);
  const nowhere = join(folder, 'nowhere');
  assertRefused(
    () => loadDataset(nowhere, 10),
    nowhere,
    'there is no such folder',
    'images in class folders',
    'IDX files',
  );
  const file = join(folder, 'other');
  assertRefused(
    () => loadDataset(file, 10),
    file,
    'it is a file, not a folder',
    'images in class folders',
    'IDX files',
  );
});

test('loadDataset() lists the files that are missing', (t) => {
  const { 't10k-labels-idx1-ubyte': _, ...files } = fourFiles();
  const folder = folderOf(t, files);
  assertRefused(() => loadDataset(folder, 10), folder, 'the folder lacks t10k-labels-idx1-ubyte,');
});

test('loadDataset() refuses labels that are not less than the number of classes', (t) => {
  const folder = folderOf(t, fourFiles());
  assertRefused(() => loadDataset(folder, 2), join(folder, 'train-labels-idx1-ubyte'), 'label 2 at index 2');
});

test('loadDataset() refuses files that do not belong together', (t) => {
  const labels = folderOf(t, { ...fourFiles(), 'train-labels-idx1-ubyte': idx(0x801, [2], [0, 1]) });
  assertRefused(() => loadDataset(labels, 3), join(labels, 'train-labels-idx1-ubyte'), '2 labels, expected 3');
  const sizes = folderOf(t, { ...fourFiles(), 't10k-images-idx3-ubyte': idx(0x803, [2, 2, 3], Array(12).fill(0)) });
  assertRefused(() => loadDataset(sizes, 3), join(sizes, 't10k-images-idx3-ubyte'), '2 x 3 pixels, expected 2 x 2');
});

test('findFashionMnist() returns the first folder with all four files', (t) => {
  const folder = folderOf(t, {});
  const before = process.cwd();
  t.after(() => process.chdir(before));
  process.chdir(folder);
  const elsewhere = findFashionMnist();
  assert.ok(elsewhere === undefined || elsewhere === DEBIAN || isAbsolute(elsewhere));
  const put = (into: string, names: readonly string[]) => {
    mkdirSync(into, { recursive: true });
    for (const name of names) writeFileSync(join(into, name), fourFiles()[name]!);
  };
  put('data', DATA_FILES.slice(0, 3));
  assert.equal(findFashionMnist(), elsewhere);
  put('data/fashion-mnist', DATA_FILES);
  assert.equal(findFashionMnist(), 'data/fashion-mnist');
  put('data', DATA_FILES);
  assert.equal(findFashionMnist(), 'data');
  const { name, source, classNames }: Dataset = loadDataset('fashion-mnist', 10);
  assert.deepEqual([name, source, classNames[9]], ['fashion-mnist', 'data', 'ankle boot']);
});

test('findFashionMnist() skips other data and folders with several sets, and searches the package too', (t) => {
  const folder = folderOf(t, {});
  const before = process.cwd();
  t.after(() => process.chdir(before));
  process.chdir(folder);
  const elsewhere = findFashionMnist();
  mkdirSync('data');
  const put = (prefix: string) => {
    for (const name of DATA_FILES) writeFileSync(join('data', prefix + name), fourFiles()[name]!);
  };
  put('emnist-letters-');
  assert.equal(findFashionMnist(), elsewhere);
  put('emnist-digits-');
  assert.equal(findFashionMnist(), elsewhere);
  assert.equal(loadDataset('embedded', 10).train.count, 10_000);
  put('Fashion-');
  assert.equal(findFashionMnist(), 'data');
  assert.equal(loadDataset('fashion-mnist', 10).train.count, 3);
  // The package's own folder, from where npm's scripts no longer start.
  const own = fileURLToPath(new URL('../../../../data', import.meta.url));
  rmSync('data', { recursive: true });
  const list = t.mock.method(fs, 'readdirSync', (at: string) => (at === own ? DATA_FILES : []));
  const stat = t.mock.method(fs, 'statSync', () => ({ isDirectory: () => false, isFile: () => true }));
  syncBuiltinESMExports();
  try {
    assert.equal(findFashionMnist(), own);
  } finally {
    for (const each of [list, stat]) each.mock.restore();
    syncBuiltinESMExports();
  }
});

test('loadDataset() reads all of Fashion-MNIST if it is installed', (t) => {
  const folder = findFashionMnist();
  if (!folder) return t.skip("Fashion-MNIST is not on this machine (Debian's package dataset-fashion-mnist)");
  const { train, test } = loadDataset('fashion-mnist', 10);
  assert.deepEqual([train.count, test.count], [60_000, 10_000]);
  assert.deepEqual([...train.labels.subarray(0, 5)], [9, 0, 0, 3, 0]);
  assert.deepEqual(countsByLabel(train), Array(10).fill(6000));
});
