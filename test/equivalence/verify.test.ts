/** The split computes what the reference computes: every net, activations, gradients, parameters, losses. */
import '../faults/workers.js';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { verify } from '../../src/train/index.js';
import { fewImages } from '../data/sets.js';
import { withFault } from '../faults/fault.js';
import { ON_GPU, SMALL_NETS, smallConfig, smallNet } from './teams.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-verify-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));
const quiet = { print: () => {} };

for (const table of Object.keys(SMALL_NETS) as (keyof typeof SMALL_NETS)[]) {
  test(`verify() passes on the net ${table}, with dropout and augmentation`, async () => {
    const config = smallConfig({ ...smallNet(table) });
    const { passed, rows, losses, firstDivergent } = await verify(config, { steps: 3 }, quiet);
    assert.deepEqual([passed, firstDivergent], [true, undefined]);
    assert.equal(losses.length, 3);
    assert.equal(new Set(losses.map(({ split }) => split)).size, 3, 'the losses of three steps differ');
    const kinds = new Set(rows.map(({ kind }) => kind));
    assert.deepEqual([...kinds].sort(), ['activation', 'gradient', 'input', 'parameter']);
  });
}

test('verify() detects halves that are joined in the wrong order, and names the site', async () => {
  for (const site of ['conv3', 'fc6', 'fc7']) {
    const config = smallConfig({ ...smallNet('paper') });
    const result = await withFault(`swap-channels@${site}`, () => verify(config, { steps: 2 }, quiet));
    assert.deepEqual([result.passed, result.firstDivergent], [false, `tower0/${site}/input`]);
    assert.equal(result.losses.length, 1, 'it stops at the first step that differs');
  }
});

test('verify() compares the smaller last batch of an epoch too', async () => {
  // 400 images in batches of 398: the second has 2.
  const config = smallConfig({ ...smallNet('lenet', fewImages(folder)), batchSize: 398 });
  const { passed, losses } = await verify(config, { steps: 2 }, quiet);
  assert.deepEqual([passed, losses.length], [true, 2]);
});

test("verify() has the same bits on both sides with Winograd's convolutions, but not the bits of direct ones", async () => {
  const losses = [];
  for (const convolutions of ['auto', 'direct']) {
    const { net, data } = smallNet('paper');
    // Layers 2 to 5 of the whole net are large enough for tiles in such a batch.
    const config = smallConfig({ net: { ...(net as object), width: 1 }, data, batchSize: 80, convolutions });
    const result = await verify(config, { steps: 2 }, quiet);
    assert.equal(result.passed, true);
    for (const { name, absolute } of result.rows) assert.equal(absolute, 0, name);
    losses.push(result.losses[1]!.split);
  }
  const [tiled, direct] = losses as [number, number];
  if (ON_GPU) assert.equal(tiled, direct, 'tiles are for CPUs alone');
  else assert.notEqual(tiled, direct);
  assert.ok(Math.abs(tiled - direct) < 1e-3 * direct, `${tiled} and ${direct}`);
});
