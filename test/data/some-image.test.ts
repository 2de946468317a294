/** The look for a test image that can be read, before a training. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { openImages, requireTestImage } from '../../src/data/index.js';
import { imageFolderOf } from './sets.js';

test('requireTestImage() says that there is none, and that it was stopped when it was', async (t) => {
  const bytes = Buffer.from('x');
  const train = { 'train/a/1.jpg': bytes, 'train/b/1.jpg': bytes };
  const images = openImages(imageFolderOf(t, { ...train, 'val/a/1.jpg': bytes, 'val/b/1.jpg': bytes }));
  const options = { resize: 8, channels: 3 } as const;
  await assert.rejects(requireTestImage(images, options), /none of the 2 test images can be read/);
  const stopped = requireTestImage(images, { ...options, signal: AbortSignal.abort() });
  await assert.rejects(stopped, /Cannot read a test image of .*: it was stopped, expected/);
});
