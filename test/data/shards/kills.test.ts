/** Kills of a packing at random moments: the shards have the same bytes in the end. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openImages, packImages } from '../../../src/data/index.js';
import { draw, unit } from '../../../src/random.js';
import { folderOf, IMAGES, imageFolderOf } from '../sets.js';

const KILLS = process.env.FAULTS === 'all' ? 20 : 3;

test(`a packing that is killed ${KILLS} times at random moments ends with the same bytes`, async (t) => {
  const image = readFileSync(join(IMAGES, 'rgb.jpg'));
  const names = Array.from(
    { length: 24 * KILLS },
    (_, i) => `${i % 8 ? 'train' : 'val'}/${'ab'[(i >> 3) % 2]}/${i}.jpg`,
  );
  const folder = imageFolderOf(t, Object.fromEntries(names.map((name) => [name, image])));
  const stored = { kind: 'jpeg', size: 16, interpolation: 'lanczos', quality: 90 } as const;
  const [whole, out] = [join(folderOf(t, {}), 'packed'), join(folderOf(t, {}), 'packed')];
  const options = { shardBytes: 20_000, stored };
  await packImages(openImages(folder), { ...options, out: whole });
  const program = `
    const { openImages, packImages } = await import(${JSON.stringify(new URL('../../../src/data/index.js', import.meta.url).href)});
    const options = { ...${JSON.stringify({ ...options, out })}, threads: 2, progress: () => process.stdout.write('.') };
    await packImages(openImages(${JSON.stringify(folder)}), options);`;
  const seed = Date.now() % 2 ** 32;
  t.diagnostic(`seed ${seed}`);
  let killed = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const [pieces, wait] = draw(seed, 8, kill, 0, 0);
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exit = once(child, 'exit');
    // One piece is written after another: the moment is a few pieces after the start, and some milliseconds.
    let left = pieces % 4;
    const reached = new Promise<void>((resolve) => {
      child.stdout.on('data', (dots: Buffer) => {
        left -= dots.length;
        if (left < 0) resolve();
      });
    });
    await Promise.race([reached, exit]);
    await sleep(30 * unit(wait));
    child.kill('SIGKILL');
    if ((await exit)[1] === 'SIGKILL') killed++;
  }
  t.diagnostic(`${killed} killed`);
  assert.ok(killed > KILLS / 2);
  const { kept, shards } = await packImages(openImages(folder), { ...options, out });
  t.diagnostic(`${kept} of ${shards} shards were finished`);
  const contents = (of: string) => readdirSync(of).map((name) => [name, readFileSync(join(of, name), 'base64')]);
  assert.deepEqual(contents(out), contents(whole));
});
