/** Class folders without test images. */
import assert from 'node:assert/strict';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { countClasses, hasTestImages, openDataset, openImages } from '../../../src/data/index.js';
import { divide } from '../../../src/data/sets/class-folders.js';
import type { FileDataset, ImageFiles } from '../../../src/data/sets/dataset.js';
import { nameAt } from '../../../src/data/sets/names.js';
import { refusal } from '../refusal.js';
import { folderOf, fourFiles, HEIC, imageFolderOf } from '../sets.js';

const CHOICE = { valShare: 0.2, seed: 1 };

function paths(count: number, folder = 'cat'): string[] {
  return Array.from({ length: count }, (_, i) => `${folder}/IMG_${i}.jpg`).sort();
}

function namesOf({ count, names }: ImageFiles): string[] {
  return Array.from({ length: count }, (_, i) => nameAt(names, i));
}

test('divide() takes about the share, in every order of arrival the same images, and others for another seed', () => {
  const all = paths(1000);
  const { train, test: chosen } = divide(all, '', CHOICE);
  assert.ok(chosen.length > 160 && chosen.length < 240, `${chosen.length}`);
  assert.deepEqual([...train, ...chosen].sort(), all);
  assert.notDeepEqual(divide(all, '', { ...CHOICE, seed: 2 }).test, chosen);
  // More images move none from one part to the other, and a larger share keeps the test images.
  const some = all.filter((_, i) => i % 3 !== 0);
  const isIn = (path: string) => some.includes(path);
  assert.deepEqual(divide(some, '', CHOICE).test, chosen.filter(isIn));
  const more = divide(all, '', { ...CHOICE, valShare: 0.4 }).test;
  assert.ok(chosen.every((path) => more.includes(path)));
  // Neither the folder train nor the form of a character counts.
  const inTrain = divide(
    all.map((path) => `train/${path}`),
    'train',
    CHOICE,
  );
  assert.deepEqual(
    inTrain.test,
    chosen.map((path) => `train/${path}`),
  );
  const [composed, decomposed] = ['caf\u00e9', 'cafe\u0301'].map((name) => divide(paths(30, name), '', CHOICE).test);
  assert.deepEqual(
    decomposed!.map((path) => path.normalize('NFC')),
    composed,
  );
});

test('openDataset() and countClasses() of one class folder alone say that two are needed', (t) => {
  const folder = imageFolderOf(t, { 'cat/1.jpg': 'rgb.jpg', 'cat/2.jpg': 'rgb.jpg' });
  assert.equal(countClasses(folder), undefined);
  assert.match(
    refusal(() => openDataset(folder, 10, 3, CHOICE), folder),
    /SET: it has images of one class only, in the folder cat, expected two classes or more; add a folder/,
  );
});

test('divide() gives each part an image of a class that has two, and one alone to the training', () => {
  for (let seed = 0; seed < 40; seed++) {
    for (const valShare of [0.001, 0.5, 0.999]) {
      const two = divide(['a/1.jpg', 'a/2.jpg'], '', { valShare, seed });
      assert.deepEqual([two.train.length, two.test.length], [1, 1]);
    }
    assert.deepEqual(divide(['a/1.jpg'], '', { valShare: 0.999, seed }), { train: ['a/1.jpg'], test: [] });
  }
});

test('openDataset() divides class folders with a share alone, with or without a folder train', (t) => {
  const files = [...paths(12, 'cat'), ...paths(9, 'dog'), 'owl/only.jpg', 'dog/more/deep.jpg'];
  const folder = imageFolderOf(t, {
    ...Object.fromEntries(files.map((path) => [path, 'rgb.jpg'])),
    'cat/notes.txt': Buffer.from('x'),
  });
  assert.deepEqual([countClasses(folder), hasTestImages(folder)], [3, false]);
  assert.match(
    refusal(() => openDataset(folder, 3), folder),
    /it has class folders \(cat, dog, …\), but no train and val, .*--val-share 0\.2, or divide .*data split/,
  );
  const flat = openDataset(folder, 3, 3, CHOICE) as FileDataset;
  assert.deepEqual([flat.classNames, flat.valShare, flat.ignored], [['cat', 'dog', 'owl'], 0.2, 1]);
  const labelled = ({ labels, ...part }: ImageFiles) =>
    namesOf({ labels, ...part }).map((name, i) => `${labels[i]}:${name}`);
  const all = [...labelled(flat.train), ...labelled(flat.test)].map((each) => each.slice(2)).sort();
  assert.deepEqual(all, [...files].sort());
  assert.deepEqual(new Set(flat.test.labels), new Set([0, 1]));
  assert.match(flat.remarks!.join(), /^owl: one image, which is trained with, so no test image is of this class$/);
  // The same class folders in a folder train.
  const outer = folderOf(t, {});
  renameSync(folder, join(outer, 'train'));
  t.after(() => rmSync(outer, { recursive: true, force: true }));
  assert.deepEqual([countClasses(outer), hasTestImages(outer)], [3, false]);
  assert.match(
    refusal(() => openDataset(outer, 3), outer),
    /there is no folder val .*--val-share 0\.2, or .*data split/,
  );
  const inTrain = openDataset(outer, 3, 3, CHOICE) as FileDataset;
  for (const part of ['train', 'test'] as const) {
    assert.deepEqual(
      namesOf(inTrain[part]),
      namesOf(flat[part]).map((name) => `train/${name}`),
    );
    assert.deepEqual(inTrain[part].labels, flat[part].labels);
  }
});

test('a share changes nothing where there are test images, and a HEIC file is named with what to do', (t) => {
  const idxFolder = folderOf(t, fourFiles());
  assert.deepEqual([hasTestImages(idxFolder), openDataset(idxFolder, 3, 3, CHOICE).kind], [true, 'pixels']);
  const names = ['train/a/1.jpg', 'train/b/1.jpg', 'val/a/1.jpg', 'val/b/1.jpg'];
  const folder = imageFolderOf(t, {
    ...Object.fromEntries(names.map((name) => [name, 'rgb.jpg'])),
    'train/a/my photo.HEIC': HEIC,
  });
  const whole = openDataset(folder, 2, 3, CHOICE) as FileDataset;
  assert.deepEqual([hasTestImages(folder), whole.valShare, namesOf(whole.test)], [true, undefined, names.slice(2)]);
  assert.deepEqual(whole.otherImages, ['train/a/my photo.HEIC']);
  assert.match(
    whole.remarks!.join(),
    /^1 \.heic file ignored: .*convert them: `sips -s format jpeg '\S+my photo\.HEIC' --out/,
  );
  const onlyHeic = imageFolderOf(t, { 'a/1.heic': HEIC, 'b/1.heic': HEIC });
  const message = refusal(() => openImages(onlyHeic, CHOICE), onlyHeic);
  assert.match(message, /the class folder a holds no image; ignored .*2? ?\.heic files?, .*convert the images: `sips/);
  assert.equal(hasTestImages(join(folder, 'none')), undefined);
});
