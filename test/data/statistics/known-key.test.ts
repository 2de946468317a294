import assert from 'node:assert/strict';
import { linkSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { openImages } from '../../../src/data/index.js';
import { writeWhole } from '../../../src/data/statistics/cache.js';
import { knownKey } from '../../../src/data/statistics/known-key.js';
import { folderOf, imageFolderOf } from '../sets.js';

test('knownKey() computes a key once, and again if a folder or a file of the sample has changed', async (t) => {
  const part = (at: string) => ({ [`${at}/a/0.jpg`]: 'rgb.jpg', [`${at}/b/0.jpg`]: 'gray.jpg' });
  const folder = imageFolderOf(t, { ...part('train'), ...part('val'), 'train/b/x/1.jpg': 'rgb.jpg' });
  const image = (name: string) => join(folder, 'train', name);
  for (let i = 0; i < 2_048; i++) linkSync(image('b/0.jpg'), image(`b/_${i}.jpg`));
  const cache = folderOf(t, {});
  let computed = 0;
  const compute = async () => `key ${++computed}`;
  const key = (options = {}) =>
    knownKey(openImages(folder), cache, compute, { writeWhole, settledMs: Number.NEGATIVE_INFINITY, ...options });

  assert.equal(await key({ settledMs: 60_000 }), 'key 1'); // a folder that has just changed may change again
  assert.deepEqual(readdirSync(cache), []);
  assert.equal(await key(), 'key 2');
  assert.equal(await key(), 'key 2');
  assert.equal(await key({ everyFile: true }), 'key 3');
  assert.equal(await key(), 'key 3');
  writeFileSync(image('a/0.jpg'), 'the first file, in place');
  assert.equal(await key(), 'key 4');
  writeFileSync(join(folder, 'new'), 'another file');
  renameSync(join(folder, 'new'), image('b/x/1.jpg'));
  assert.equal(await key(), 'key 5');
  renameSync(image('b/_7.jpg'), image('b/_seven.jpg'));
  assert.equal(await key(), 'key 6');
  for (const name of readdirSync(cache)) writeFileSync(join(cache, name), '{');
  assert.equal(await key(), 'key 7');
  assert.equal(await key(), 'key 7');
  assert.equal(await knownKey(openImages(folder), undefined, compute, { writeWhole }), 'key 8');
});

test('knownKey() looks at every file of a small set', async (t) => {
  const part = (at: string) => ({ [`${at}/a/0.jpg`]: 'rgb.jpg', [`${at}/b/0.jpg`]: 'gray.jpg' });
  const dataset = openImages(imageFolderOf(t, { ...part('train'), ...part('val') }));
  const cache = folderOf(t, {});
  let computed = 0;
  const key = () => knownKey(dataset, cache, async () => `${++computed}`, { writeWhole, settledMs: -1e9 });
  assert.deepEqual([await key(), await key(), readdirSync(cache)], ['1', '2', []]);
});
