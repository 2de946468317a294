/** The small sets of docs/photos.md, made of what stands for their packages. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeSet } from '../../scripts/photo-sets.js';

test('makeSet() copies the images of a package into class folders', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'alexnet-split-photo-sets-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const put = (path: string, text = '') => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  for (const label of ['animals', 'food', 'plants', 'town', 'vehicles']) put(`stamps/${label}/a/1.png`);
  put('stamps/food/b/1.png');
  put('stamps/food/b/1.txt');
  const emoji = [
    { category: 'Food & Drink', image: '1.png', has_img_apple: true },
    { category: 'Flags', image: '2.png', has_img_apple: true },
    { category: 'Flags', image: '3.png', has_img_apple: false },
    { category: 'Component', image: '4.png', has_img_apple: true },
  ];
  put('emoji/emoji.json', JSON.stringify(emoji));
  for (const i of [1, 2, 3, 4]) put(`emoji/img/apple/64/${i}.png`);
  put('cells/labels.csv', 'images/1.png  1.0  mono\nimages/2.png  0.3333  mono\nimages/3.png  0.0  poly\n');
  for (const i of [1, 2, 3]) put(`cells/images/${i}.png`);
  const made = (name: string) => {
    const counts = makeSet(name, join(root, 'out', name), join(root, name));
    const files = readdirSync(join(root, 'out', name), { recursive: true, encoding: 'utf8' });
    return [Object.fromEntries(counts), files.filter((file) => file.endsWith('.png')).sort()];
  };
  assert.deepEqual(made('stamps')[0], { animals: 1, food: 2, plants: 1, town: 1, vehicles: 1 });
  assert.deepEqual(made('emoji'), [{ Flags: 1, 'Food-Drink': 1 }, ['Flags/0-2.png', 'Food-Drink/0-1.png']]);
  assert.deepEqual(made('cells'), [{ defective: 1, functional: 1 }, ['defective/0-1.png', 'functional/0-3.png']]);
  assert.throws(() => makeSet('cells', join(root, 'out'), join(root, 'cells')), /out is there already/);
  assert.throws(
    () => makeSet('stamps', join(root, 'new'), join(root, 'none')),
    /no folder .*none; install Debian's package/,
  );
  const script = fileURLToPath(new URL('../../scripts/photo-sets.js', import.meta.url));
  const wrong = spawnSync(process.execPath, [script, 'dogs', join(root, 'dogs')], { encoding: 'utf8' });
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /^error: Cannot make a set of images: there is no set dogs, [^\n]+\n$/);
  const cells = spawnSync(process.execPath, [script, 'cells', join(root, 'c'), join(root, 'none')], {
    encoding: 'utf8',
  });
  assert.equal(cells.status, 1);
  assert.match(cells.stderr, /^error: Cannot make the set cells: there is no folder [^\n]+\n$/);
  assert.throws(() => makeSet('dogs', join(root, 'dogs')), /no set dogs, expected one of stamps, emoji, cells/);
});
