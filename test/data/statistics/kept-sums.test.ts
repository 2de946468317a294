import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { openImages, statisticsOf } from '../../../src/data/index.js';
import { createSums } from '../../../src/data/statistics/sums.js';
import { folderOf, imageFolderOf } from '../sets.js';

/** Eleven training images of two classes, in parts of two. */
function elevenImages(t: TestContext): string {
  const kinds = ['rgb.jpg', 'gray.jpg', 'cmyk.jpg'];
  const train = Array.from({ length: 11 }, (_, i) => [`train/${i < 6 ? 'a' : 'b'}/${i}.jpg`, kinds[i % 3]!]);
  return imageFolderOf(t, { ...Object.fromEntries(train), 'val/a/0.jpg': 'rgb.jpg', 'val/b/0.jpg': 'rgb.jpg' });
}

const OPTIONS = { resize: 8, channels: 3, onBadImage: 'fail', concurrency: 2, partImages: 2, keepEveryMs: 0 } as const;

/** The bytes of the file of statistics, without which nothing is left in the cache. */
function statisticsIn(cache: string): string {
  const [name, ...others] = readdirSync(cache);
  assert.deepEqual(others, []);
  return readFileSync(join(cache, name!), 'utf8');
}

test('statisticsOf() returns the same bytes with any number of threads, and after a kill', async (t) => {
  const folder = elevenImages(t);
  const caches = await Promise.all(
    [0, 1, 3].map(async (threads) => {
      const cache = folderOf(t, {});
      const { images } = await statisticsOf(openImages(folder), { ...OPTIONS, cache, threads });
      assert.equal(images, 11);
      return cache;
    }),
  );
  const [first, ...others] = caches.map(statisticsIn);
  for (const each of others) assert.equal(each, first);

  const cache = folderOf(t, {});
  const module = JSON.stringify(new URL('../../../src/data/index.js', import.meta.url).href);
  const program = `
    const { openImages, statisticsOf } = await import(${module});
    const progress = (done) => done >= 6 && process.kill(process.pid, 'SIGKILL');
    const options = { ...${JSON.stringify({ ...OPTIONS, cache, threads: 0 })}, progress };
    await statisticsOf(openImages(${JSON.stringify(folder)}), options);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: 'inherit' });
  assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL']);
  const seen: number[] = [];
  const progress = (done: number) => seen.push(done);
  await statisticsOf(openImages(folder), { ...OPTIONS, cache, threads: 1, progress });
  assert.deepEqual(seen, [4, 6, 8, 10, 11]);
  assert.equal(statisticsIn(cache), first);
});

test('statisticsOf() continues after a stop, and computes again from sums that are damaged or of a skipped image', async (t) => {
  const folder = elevenImages(t);
  const bad = join(folder, 'train', 'a', '0.jpg');
  const good = readFileSync(bad);
  writeFileSync(bad, 'no image');
  const cache = folderOf(t, {});
  const run = async (onBadImage: 'fail' | 'skip', stopAt = Number.POSITIVE_INFINITY) => {
    const stop = new AbortController();
    const seen: number[] = [];
    const progress = (done: number) => {
      seen.push(done);
      if (done >= stopAt) stop.abort();
    };
    const options = { ...OPTIONS, cache, onBadImage, threads: 1, progress, signal: stop.signal };
    return { seen, done: await statisticsOf(openImages(folder), options).catch((error: Error) => error.message) };
  };
  assert.match(String((await run('skip', 8)).done), /it was stopped/);
  assert.match(String((await run('fail')).done), /the image train\/a\/0\.jpg is unreadable/);
  const skipping = await run('skip', 10);
  assert.equal(skipping.seen[0], 8);

  const [sums] = readdirSync(cache);
  const text = readFileSync(join(cache, sums!), 'utf8');
  const saved = JSON.parse(text);
  for (const wrong of [
    text.slice(0, -9),
    '{}',
    { ...saved, done: '' },
    { ...saved, values: 'AAAA' },
    { ...saved, products: ['x'] },
  ]) {
    writeFileSync(join(cache, sums!), typeof wrong === 'string' ? wrong : JSON.stringify(wrong));
    assert.equal((await run('skip', 0)).seen[0], 0);
  }
  writeFileSync(join(cache, sums!), text);
  const { seen, done } = await run('skip');
  assert.equal(seen[0], 10);
  assert.equal(typeof done === 'object' && done.images, 10);
  writeFileSync(bad, good);
});

test('createSums() stays exact beyond the whole numbers of float64', () => {
  const sums = createSums(1, 1, 1);
  sums.add(Uint8Array.of(1));
  sums.merge({ images: 1, values: Float64Array.of(2), products: [2n ** 53n] });
  sums.add(Uint8Array.of(3));
  assert.deepEqual(sums.totals(), { images: 3, values: Float64Array.of(6), products: [2n ** 53n + 10n] });
});
