import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { divideImages, type FileDataset, openDataset, openFeeder, openUndivided } from '../../src/data/index.js';
import { refusal } from './refusal.js';
import { folderOf, imageFolderOf, PLAIN } from './sets.js';

const CHOICE = { valShare: 0.3, seed: 5 };
const FILES = [...Array(8)].flatMap((_, i) => [`cat/${i}.jpg`, `dog/${i}.jpg`]);
const PHOTOS = {
  ...Object.fromEntries(FILES.map((path, i) => [path, i % 3 ? 'rgb.jpg' : 'gray.jpg'])),
  'owl/1.jpg': 'rgb.jpg',
};

test('divideImages() writes the parts that the setting chooses, and both give the same batches', async (t) => {
  const folder = imageFolderOf(t, PHOTOS);
  const place = folderOf(t, {});
  symlinkSync(join('..', 'dog', '0.jpg'), join(folder, 'cat', 'link.jpg'));
  const { part, dataset } = openUndivided(folder, CHOICE);
  const out = join(place, 'ready');
  assert.deepEqual(divideImages(dataset, { out, part, means: 'either' }), { linked: 18, copied: 0 });
  assert.ok(lstatSync(join(out, 'train/owl/1.jpg')).nlink > 1);
  const link = ['train', 'val'].map((name) => join(out, name, 'cat/link.jpg')).find((path) => existsSync(path));
  assert.ok(lstatSync(link!).isFile());
  assert.deepEqual([readdirSync(place), readdirSync(join(out, 'val/owl'))], [['ready'], []]);
  const divided = openDataset(out, 3) as FileDataset;
  const read = async (source: FileDataset) => {
    const data = { ...PLAIN, mean: [0, 0, 0], workers: 0 };
    const feeder = openFeeder({ dataset: source, batchSize: 4, inputSize: 4, inputChannels: 3, seed: 5, data });
    const slots = [];
    for (const batch of [await feeder.train(1), await feeder.train(2), await feeder.test(0)]) {
      slots.push(Buffer.from(new Uint8Array(feeder.slots[batch.slot]!)).toString('base64'));
      feeder.release(batch);
    }
    await feeder.close();
    return slots;
  };
  assert.deepEqual(await read(divided), await read(openDataset(folder, 3, 3, CHOICE) as FileDataset));
  const copies = join(place, 'copies');
  assert.equal(divideImages(dataset, { out: copies, part, means: 'copy' }).copied, 18);
  assert.equal(lstatSync(join(copies, 'train/owl/1.jpg')).nlink, 1);
});

test('divideImages() refuses folders that it would spoil, and leaves nothing behind', (t) => {
  const folder = imageFolderOf(t, PHOTOS);
  const place = folderOf(t, { file: Buffer.from('x') });
  const { part, dataset } = openUndivided(folder, CHOICE);
  mkdirSync(join(place, 'there'));
  const refused = (out: string, wanted: RegExp) =>
    assert.match(
      refusal(() => divideImages(dataset, { out, part, means: 'either' }), folder),
      wanted,
    );
  refused(join(place, 'there'), /there: it exists, expected a new folder/);
  refused(join(folder, 'out'), /it is inside the folder of the images/);
  refused(join(place, 'file', 'out'), /expected a place to write to; choose another --out/);
  const gone = { ...dataset, folder: join(folder, 'gone') };
  assert.throws(
    () => divideImages(gone, { out: join(place, 'new'), part, means: 'link' }),
    /Cannot link .* use --copy/,
  );
  assert.throws(() => divideImages(gone, { out: join(place, 'new'), part, means: 'copy' }), /Cannot divide .*ENOENT/);
  assert.deepEqual(readdirSync(place).sort(), ['file', 'there']);
  const whole = imageFolderOf(t, {
    'train/a/1.jpg': 'rgb.jpg',
    'train/b/1.jpg': 'rgb.jpg',
    'val/a/1.jpg': 'rgb.jpg',
    'val/b/1.jpg': 'rgb.jpg',
  });
  assert.match(
    refusal(() => openUndivided(whole, CHOICE), whole),
    /its images are divided already/,
  );
  assert.ok(!existsSync(join(folder, 'out')));
});
