import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { openImages, packImages } from '../../../src/data/index.js';
import { isStatistics } from '../../../src/data/statistics/cache.js';
import { folderOf, imageFolderOf } from '../sets.js';

test('packImages() removes what writeStatistics() left when it was killed', async (t) => {
  const part = (at: string) => ({ [`${at}/a/1.jpg`]: 'rgb.jpg', [`${at}/b/1.jpg`]: 'gray.jpg' });
  const folder = imageFolderOf(t, { ...part('train'), ...part('val') });
  const out = join(folderOf(t, {}), 'packed');
  const pack = () => packImages(openImages(folder), { out, shardBytes: 3000 });
  await pack();
  const before = readdirSync(out);
  const module = JSON.stringify(new URL('../../../src/data/statistics/cache.js', import.meta.url).href);
  // Killed when the file is written and has not its name yet.
  const program = `
    import fs from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    fs.renameSync = () => process.kill(process.pid, 'SIGKILL');
    syncBuiltinESMExports();
    const { writeStatistics } = await import(${module});
    writeStatistics(${JSON.stringify(out)}, 'statistics-1.json', { mean: Float32Array.of(1) });`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: 'inherit' });
  assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL']);
  assert.equal(readdirSync(out).length, before.length + 1);
  const again = await pack();
  assert.equal(again.kept, again.shards);
  assert.deepEqual(readdirSync(out), before);
});

test('isStatistics() accepts only complete statistics of the given size', () => {
  const one = [1, 1, 1];
  const whole = { images: 2, resize: 1, channels: 3, mean: Float32Array.of(1, 2, 3) };
  const colours = { deviations: one, directions: [one, one, one] };
  assert.ok(isStatistics({ ...whole, colours }, 1));
  const wrong: unknown[] = [
    ...[undefined, null, 'text', {}, whole, { ...whole, colours, resize: 2 }, { ...whole, colours, channels: 1 }],
    ...[
      { ...whole, colours: { ...colours, deviations: [1, 1] } },
      { ...whole, colours, images: 'two' },
    ],
    { ...whole, colours: { ...colours, directions: [one, one, [1, null, 1]] } },
  ];
  for (const each of wrong) assert.equal(isStatistics(each, 1), false, JSON.stringify(each));
  assert.equal(isStatistics({ ...whole, colours }, 2), false);
});
