/** A rehearsal on this machine, with a small net and folder. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { outlookOf } from '../../../src/plan/outlook.js';
import { logBytes } from '../../../src/step-lines.js';
import { rehearse } from '../../../src/train/plan/rehearsal.js';
import { writePhotos } from '../../data/photos.js';
import { SINGLE, smallConfig } from '../../equivalence/teams.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-split-rehearsal-'));
after(() => rmSync(folder, { recursive: true }));

/** Rates that were measured, and are possible. */
function assertRates(rates: Record<string, number | undefined>): void {
  for (const [name, rate] of Object.entries(rates)) assert.ok(rate! > 0 && Number.isFinite(rate), `${name}: ${rate}`);
}

test('rehearse() measures files, steps and both together with the settings of a run, and writes nothing', async () => {
  await writePhotos(join(folder, 'photos'), { classes: 2, train: 12, val: 4, size: 96 });
  const config = smallConfig({
    ...SINGLE,
    net: { classes: 2, width: 0.125 },
    // Neither the mean image nor the levels are computed: that takes too long for a rehearsal.
    data: { source: join(folder, 'photos'), workers: 1, meanImage: true, mean: 'data', scale: 'data' },
    ...{ batchSize: 8, epochs: 3, out: join(folder, 'runs') },
  });
  const notes: string[] = [];
  const found = await rehearse(config, { seconds: 0.1, note: (text) => notes.push(text) });
  assert.deepEqual(
    [found.steps, found.batchesPerEpoch, found.testBatches, found.trainImages, found.testImages],
    [9, 3, 1, 24, 8],
  );
  assert.equal(found.needsMean, true);
  assert.deepEqual([found.dataWorkers.workers, found.dataWorkers.decoders], [1, 1]);
  const { read, decode, prepare, step, together, evaluate, space, hostBytes } = found;
  assertRates({ read, prepare, evaluate, decode: decode!.imagesPerS, step: step!.ms, together: together!.ms });
  assert.deepEqual([decode!.shorterSide, step!.images, together!.images], [96, 8, 8]);
  assert.ok(decode!.meanBytes > 1000 && decode!.meanBytes < 100_000);
  for (const share of [together!.dataShare, together!.exchangeShare, together!.waitShare])
    assert.ok(share >= 0 && share <= 1);
  // Weights and velocities, and as many of them as are kept while one is written.
  assert.ok(space!.bytes > 100_000 && space!.atOnce === config.keep + 1);
  assert.equal(space!.log, logBytes({ steps: 9, evaluations: 3, logSteps: config.logSteps, towers: 1 }));
  assert.ok(hostBytes > 50e6);
  assert.equal(notes.length, 6);
  assert.equal(existsSync(config.out), false);
  const { hours, trainHours, imagesPerS } = outlookOf(config, found);
  assert.ok(hours > trainHours && Math.abs((trainHours * 3600 * imagesPerS) / (9 * 8) - 1) < 1e-6);
});

test('rehearse() of images in memory has no files to read, and without towers no steps', async () => {
  const config = smallConfig({ ...SINGLE, data: { source: 'embedded', workers: 0 } });
  const found = await rehearse(config, { seconds: 0.2, isTraining: false });
  assert.deepEqual(
    [found.read, found.decode, found.step, found.together],
    [undefined, undefined, undefined, undefined],
  );
  assertRates({ prepare: found.prepare });
  const predicted = { stepMs: 1e6, images: 16, part: 'compute' };
  const { stepMs, limit, steps } = outlookOf(config, found, predicted);
  assert.deepEqual([stepMs, limit, steps], [1e6, 'computing', Math.ceil(found.steps / 2)]);
});
