import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import test from 'node:test';
import { checkImages, openImages, requireTestImage } from '../../src/data/index.js';
import { BAD_IMAGES, IMAGES, imageFolderOf } from './sets.js';

test('checkImages() lists the unreadable files in order with reasons, and the formats of the others', async (t) => {
  const names = readdirSync(IMAGES);
  const folder = imageFolderOf(t, {
    ...Object.fromEntries(names.map((name) => [`train/mixed/${name}`, name])),
    ...{ 'train/good/rgb.jpg': 'rgb.jpg', 'val/good/one.jpg': 'one.jpg', 'val/mixed/trunc.jpg': 'trunc.jpg' },
    'train/good/list.txt': Buffer.from('x'),
  });
  let told = 0;
  const report = await checkImages(openImages(folder), { resize: 32, concurrency: 3, progress: () => told++ });
  assert.deepEqual([report.source, report.classes, report.ignored, told], [folder, 2, 1, names.length + 3]);
  const wanted = Object.keys(BAD_IMAGES).sort();
  assert.deepEqual(
    report.train.unreadable.map(({ path }) => path),
    wanted.map((name) => `train/mixed/${name}`),
  );
  for (const [i, name] of wanted.entries()) assert.match(report.train.unreadable[i]!.reason, BAD_IMAGES[name]!);
  assert.deepEqual(report.val.unreadable, [{ path: 'val/mixed/trunc.jpg', reason: 'it is a JPEG image cut short' }]);
  const { formats, spaces, misnamed, images, shortestSide, longestSide } = report.train;
  assert.equal(images, names.length + 1);
  assert.deepEqual(formats, { jpeg: 9, png: 2, gif: 1 });
  assert.equal(spaces.cmyk, 1);
  assert.equal(spaces['b-w'], 1);
  assert.deepEqual([misnamed, shortestSide, longestSide], [2, 1, 64]);
});

test('requireTestImage() refuses a set without readable test images, and stops with the signal', async (t) => {
  const bytes = Buffer.from('x');
  const train = { 'train/a/1.jpg': bytes, 'train/b/1.jpg': bytes };
  const images = openImages(imageFolderOf(t, { ...train, 'val/a/1.jpg': bytes, 'val/b/1.jpg': bytes }));
  const options = { resize: 8, channels: 3 } as const;
  await assert.rejects(requireTestImage(images, options), /none of the 2 test images can be read/);
  const stopped = requireTestImage(images, { ...options, signal: AbortSignal.abort() });
  await assert.rejects(stopped, /Cannot read a test image of .*: it was stopped, expected/);
});
