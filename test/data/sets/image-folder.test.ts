import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import test from 'node:test';
import { countClasses, openDataset } from '../../../src/data/index.js';
import type { ImageFiles } from '../../../src/data/sets/dataset.js';
import { readImageFolder } from '../../../src/data/sets/image-folder.js';
import { nameAt } from '../../../src/data/sets/names.js';
import { ConfigError, DataError } from '../../../src/errors.js';
import { folderOf, fourFiles, imageFolderOf } from '../sets.js';

const TWO_CLASSES = {
  'train/dog/b.jpg': 'rgb.jpg',
  'train/dog/a.JPEG': 'rgb.jpg',
  'train/cat/x.png': 'rgba.png',
  'train/cat/deeper/y.jpg': 'rgb.jpg',
  'val/dog/v.jpg': 'rgb.jpg',
  'val/cat/v.jpg': 'rgb.jpg',
};

function listed({ count, labels, names }: ImageFiles): [string, number][] {
  return Array.from({ length: count }, (_, i) => [nameAt(names, i), labels[i]!]);
}

function refused(folder: string, ...wanted: RegExp[]): void {
  assert.throws(
    () => readImageFolder(folder),
    (error: Error) => {
      assert.ok(error instanceof DataError, `${error}`);
      for (const each of wanted) assert.match(error.message, each);
      assert.match(error.message, /^Cannot [^\n]*: [^\n]*expected [^\n]*; [^\n]*[^.\n]$/);
      return true;
    },
  );
}

test('readImageFolder() sorts classes and images, and labels them', (t) => {
  const folder = imageFolderOf(t, {
    ...TWO_CLASSES,
    'train/dog/notes.txt': Buffer.from('x'),
    'train/.hidden/z.jpg': 'rgb.jpg',
  });
  const dataset = readImageFolder(folder);
  assert.deepEqual(dataset.classNames, ['cat', 'dog']);
  assert.deepEqual(listed(dataset.train), [
    ['train/cat/deeper/y.jpg', 0],
    ['train/cat/x.png', 0],
    ['train/dog/a.JPEG', 1],
    ['train/dog/b.jpg', 1],
  ]);
  assert.deepEqual(listed(dataset.test), [
    ['val/cat/v.jpg', 0],
    ['val/dog/v.jpg', 1],
  ]);
  assert.deepEqual([dataset.name, dataset.source, dataset.ignored], [basename(folder), folder, 1]);
  assert.ok(dataset.train.labels instanceof Uint16Array && dataset.train.labels.buffer instanceof SharedArrayBuffer);
});

test('readImageFolder() follows links to folders and files', (t) => {
  const folder = imageFolderOf(t, TWO_CLASSES);
  const elsewhere = imageFolderOf(t, { 'train/emu/e.jpg': 'rgb.jpg', 'val/emu/e.jpg': 'rgb.jpg' });
  for (const part of ['train', 'val']) symlinkSync(join(elsewhere, part, 'emu'), join(folder, part, 'emu'));
  symlinkSync(join(elsewhere, 'train', 'emu', 'e.jpg'), join(folder, 'train', 'cat', 'z.jpg'));
  const { classNames, train } = readImageFolder(folder);
  assert.deepEqual([classNames, train.count], [['cat', 'dog', 'emu'], 6]);
});

test('readImageFolder() refuses different classes in train and val, and names them', (t) => {
  const folder = imageFolderOf(t, { ...TWO_CLASSES, 'val/cow/v.jpg': 'rgb.jpg' });
  refused(folder, /val has cow, which train does not have/);
  rmSync(join(folder, 'val', 'cow'), { recursive: true });
  rmSync(join(folder, 'val', 'cat'), { recursive: true });
  refused(folder, /different classes: val lacks cat,/);
});

test('readImageFolder() points out class names that differ only in case', (t) => {
  const { 'val/cat/v.jpg': _, ...files } = TWO_CLASSES;
  const folder = imageFolderOf(t, { ...files, 'val/Cat/v.jpg': 'rgb.jpg' });
  refused(folder, /val lacks cat, and val has Cat, which train does not have \(cat differs in case only/);
});

test('readImageFolder() explains what is missing', (t) => {
  const file = join(folderOf(t, { file: Buffer.from('x') }), 'file');
  refused(file, /: it is a file, not a folder, expected/);
  refused(`${file}s`, /: there is no such folder, expected/);
  const pets = imageFolderOf(t, { 'pets/train/dog/b.jpg': 'rgb.jpg' });
  refused(
    join(pets, 'petz'),
    /petz: there is no such folder \(did you mean \S+pets\?\), expected a folder with images/,
  );
  const empty = join(pets, 'empty');
  mkdirSync(empty);
  refused(empty, /: it is empty, expected a folder of images for each class, in it or in a folder train;/);
  mkdirSync(join(empty, 'sub'));
  refused(empty, /: it has no class folders with images, expected/);
  refused(imageFolderOf(t, { 'b.jpg': 'rgb.jpg' }), /: it holds images side by side, and no class folders, expected/);
  refused(
    imageFolderOf(t, { 'cat/b.jpg': 'rgb.jpg' }),
    /: it has images of one class only, in the folder cat, expected/,
  );
  symlinkSync('gone', `${file}s`);
  refused(`${file}s`, /: it is a link to gone, which is not there, expected/);
  const folder = imageFolderOf(t, { 'train/dog/b.jpg': 'rgb.jpg' });
  refused(folder, /there is no folder val/);
  mkdirSync(join(folder, 'val'));
  refused(folder, /train holds 1 class folder, too few/);
  mkdirSync(join(folder, 'train', 'cat'));
  refused(folder, /class folder train\/cat holds no image/);
  writeFileSync(join(folder, 'train', 'cat', 'x.jpg'), '');
  refused(folder, /val holds no image/);
  refused(imageFolderOf(t, { 'train/b.jpg': 'rgb.jpg', 'val/a/b.jpg': 'rgb.jpg' }), /train holds images side by side/);
});

test('readImageFolder() accepts a flat val with a file of labels, by name or number, and explains its absence', (t) => {
  const { 'val/dog/v.jpg': _, 'val/cat/v.jpg': __, ...train } = TWO_CLASSES;
  const folder = imageFolderOf(t, { ...train, 'val/v2.JPEG': 'rgb.jpg', 'val/v1.JPEG': 'rgb.jpg' });
  refused(folder, /val holds 2 images side by side/, /val_labels\.txt, val\.txt, LOC_val_solution\.csv/);
  const forms: [name: string, text: string][] = [
    ['LOC_val_solution.csv', 'ImageId,PredictionString\nv2,cat 1 2 3 4 dog 1 2 3 4\nv1,dog 5 6 7 8\n'],
    ['val.txt', 'v1.JPEG 1\r\nv2.JPEG 0\r\nothers.JPEG 1\n\n'],
    ['val_labels.txt', 'v2.JPEG\tcat\nv1.JPEG\tdog\n'],
  ];
  for (const [name, text] of forms) {
    for (const at of [folder, join(folder, 'val')]) {
      writeFileSync(join(at, name), text);
      const { test, ignored } = readImageFolder(folder);
      assert.deepEqual(
        [listed(test), ignored],
        [
          [
            ['val/v1.JPEG', 1],
            ['val/v2.JPEG', 0],
          ],
          0,
        ],
        name,
      );
      rmSync(join(at, name));
    }
  }
  writeFileSync(join(folder, 'val_labels.txt'), forms[2]![1]);
  mkdirSync(join(folder, 'val', 'val_labels.txt'));
  assert.equal(readImageFolder(folder).ignored, 0, 'a folder of that name');
  rmSync(join(folder, 'val', 'val_labels.txt'), { recursive: true });
  rmSync(join(folder, 'val_labels.txt'));
});

test('readImageFolder() refuses labels without an entry for an image, or with an unknown class', (t) => {
  const { 'val/dog/v.jpg': _, 'val/cat/v.jpg': __, ...train } = TWO_CLASSES;
  const folder = imageFolderOf(t, { ...train, 'val/v1.jpg': 'rgb.jpg' });
  const refusedWith = (text: string, wanted: RegExp) => {
    writeFileSync(join(folder, 'val.txt'), text);
    refused(folder, wanted);
  };
  refusedWith('v2.jpg 1\n', /no line for val\/v1\.jpg/);
  refusedWith('v1.jpg 2\n', /line 1 says the class 2, expected .*2 class folders/);
  refusedWith('v1.jpg cow\n', /says the class cow/);
  refusedWith('490\n361\n', /line 1 says no class/);
});

test('openDataset() distinguishes IDX files from image folders, and refuses a wrong number of classes', (t) => {
  assert.equal(openDataset(folderOf(t, fourFiles()), 3).kind, 'pixels');
  const folder = imageFolderOf(t, TWO_CLASSES);
  assert.equal(openDataset(folder, 2).kind, 'files');
  assert.throws(
    () => openDataset(folder, 10),
    (error: Error) => error instanceof ConfigError && /net\.classes is 10, expected 2/.test(error.message),
  );
  assert.throws(() => openDataset(folderOf(t, {}), 2), DataError);
});

test('countClasses() counts the classes of image folders only', (t) => {
  assert.equal(countClasses(imageFolderOf(t, TWO_CLASSES)), 2);
  for (const other of [
    'embedded',
    '/nowhere',
    folderOf(t, fourFiles()),
    imageFolderOf(t, { 'val/a/b.jpg': 'rgb.jpg' }),
  ]) {
    assert.equal(countClasses(other), undefined);
  }
});
