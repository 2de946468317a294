/** The split computes what the reference computes: every net, activations, gradients, parameters, losses. */
import '../faults/workers.js';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import type { Config } from '../../src/config/config.js';
import { openFeed } from '../../src/train/feed.js';
import { verify } from '../../src/train/index.js';
import { openTeam, referenceOf } from '../../src/train/team.js';
import { fewImages } from '../data/sets.js';
import { withFault } from '../faults/fault.js';
import { ON_GPU, SMALL_NETS, smallConfig, smallNet } from './teams.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-verify-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));
const quiet = { print: () => {} };

for (const table of Object.keys(SMALL_NETS) as (keyof typeof SMALL_NETS)[]) {
  test(`verify() passes on the net ${table}, with dropout and augmentation`, async () => {
    const config = smallConfig({ ...smallNet(table) });
    const { passed, rows, losses, firstDivergent } = await verify(config, { steps: 2 }, quiet);
    assert.deepEqual([passed, firstDivergent], [true, undefined]);
    assert.equal(losses.length, 2);
    assert.equal(new Set(losses.map(({ split }) => split)).size, 2, 'the losses of two steps differ');
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

/** The loss of the reference's second step, without a comparison. */
async function secondLoss(config: Config): Promise<number> {
  const { feeder } = await openFeed(config);
  const team = await openTeam(referenceOf(config), feeder);
  const { learningRate } = config.optimizer;
  try {
    let loss: number | undefined;
    for (const step of [1, 2]) {
      const batch = await feeder.train(step);
      const pass = { kind: 'step', slot: batch.slot, count: batch.count, step, epoch: 1 } as const;
      const [reply] = await team.ask({ ...pass, learningRate, update: true, keep: false });
      feeder.release(batch);
      loss = reply!.loss;
    }
    return loss!;
  } finally {
    await team.close();
    await feeder.close();
  }
}

test("verify() has the same bits on both sides with Winograd's convolutions, but not the bits of direct ones", async () => {
  const { net, data } = smallNet('paper');
  // Layers 2 to 5 of the whole net are large enough for tiles in such a batch.
  const config = smallConfig({ net: { ...(net as object), width: 1 }, data, batchSize: 80, convolutions: 'auto' });
  const { passed, rows, losses } = await verify(config, { steps: 2 }, quiet);
  assert.equal(passed, true);
  for (const { name, absolute } of rows) assert.equal(absolute, 0, name);
  const tiled = losses[1]!.split;
  const direct = await secondLoss({ ...config, convolutions: 'direct' });
  if (ON_GPU) assert.equal(tiled, direct, 'tiles are for CPUs alone');
  else assert.notEqual(tiled, direct);
  assert.ok(Math.abs(tiled - direct) < 1e-3 * direct, `${tiled} and ${direct}`);
});
