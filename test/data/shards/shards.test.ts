import assert from 'node:assert/strict';
import fs, { readdirSync, readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import test from 'node:test';
import { openShards } from '../../../src/data/images/reader.js';
import { openImages, packImages } from '../../../src/data/index.js';
import { indexBytesOf, splitIntoShards } from '../../../src/data/shards/plan-shards.js';
import { folderOf, imageFolderOf } from '../sets.js';

test('splitIntoShards() closes a shard once its images are enough, and before its index is too long', () => {
  const images = [5, 3, 8, 1, 9, 2];
  const cut = (bytes: number, indexBytes: number) =>
    splitIntoShards(images, (image) => ({ bytes: image, indexBytes: 100 }), { bytes, indexBytes });
  assert.deepEqual(cut(100, 1e6), [images]);
  assert.deepEqual(cut(8, 1e6), [[5, 3], [8], [1, 9], [2]]);
  assert.deepEqual(cut(100, 500), [
    [5, 3, 8],
    [1, 9, 2],
  ]);
  assert.deepEqual(
    splitIntoShards([], () => assert.fail(), { bytes: 1, indexBytes: 1 }),
    [],
  );
});

test('openShards() keeps no closed descriptor, even if closing it fails', (t) => {
  const folder = folderOf(t, { 'a.tar': Buffer.from('a'), 'b.tar': Buffer.from('b') });
  const shards = openShards(folder, ['a.tar', 'b.tar'], 1);
  const first = (shard: number) =>
    shards.use(shard, (file) => {
      const byte = Buffer.alloc(1);
      fs.readSync(file, byte, 0, 1, 0);
      return byte.toString();
    });
  assert.equal(first(0), 'a');
  const { closeSync } = fs;
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  const close = t.mock.method(fs, 'closeSync', (file: number) => {
    closeSync(file);
    throw Object.assign(new Error('EIO: i/o error, close'), { code: 'EIO' });
  });
  syncBuiltinESMExports();
  assert.throws(() => first(1), { code: 'EIO' });
  close.mock.restore();
  syncBuiltinESMExports();
  assert.deepEqual([first(1), first(0)], ['b', 'a']);
  shards.close();
});

test('indexBytesOf() is at least what an image adds to the index of its shard', async (t) => {
  const long = `${'é"'.repeat(40)}.jpg`;
  const names = [...Array(9)].map((_, i) => (i === 0 ? long : `${i}.jpg`));
  const folder = imageFolderOf(t, {
    ...Object.fromEntries(names.map((name) => [`train/a/${name}`, 'rgb.jpg'])),
    ...{ 'train/b/1.jpg': 'rgb.jpg', 'val/a/1.jpg': 'rgb.jpg', 'val/b/1.jpg': 'rgb.jpg' },
  });
  const out = join(folderOf(t, {}), 'packed');
  await packImages(openImages(folder), { out, shardBytes: 1e9 });
  const [index] = readdirSync(out).filter((name) => /^train-.*json$/.test(name));
  const paths = [...names.map((name) => `train/a/${name}`), 'train/b/1.jpg'];
  const most = paths.reduce((sum, path) => sum + indexBytesOf(path), 200);
  assert.ok(readFileSync(join(out, index!)).length <= most);
});
