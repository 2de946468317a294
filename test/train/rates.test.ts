/** Which rates are warned of, and where nothing is known. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { PRESETS } from '../../src/config/presets.js';
import { knownRate } from '../../src/train/rates.js';
import { ACTIVATIONS } from '../events.js';

/** On the built-in sample, as measured. */
const TUTORIAL = { net: { ...PRESETS.tutorial.net, width: 0.125, inputSize: 67, classes: 10 } };

type Asked = Parameters<typeof knownRate>[0];

/** What is said of a preset with these settings, of images of that deviation. */
function said(preset: 'mini' | 'tutorial' | 'lenet' | 'fashion', values: Partial<Asked>, sd = 1, step = 0) {
  const layers = [{ ...ACTIVATIONS.layers[0]!, sd }];
  return knownRate({ ...PRESETS[preset], ...values }, { step, layers });
}

/** A rate of so much, with a momentum. */
const rate = (learningRate: number, momentum: number) => ({
  optimizer: { ...PRESETS.mini.optimizer, learningRate, momentum },
});

test('knownRate() warns from the bound on, by what momentum makes of the rate', () => {
  const warning = said('mini', rate(0.16, 0.9));
  assert.deepEqual([warning?.kind, warning?.bound], ['rate', 1.6]);
  assert.match(
    warning!.message,
    /: 0\.16 \/ \(1 - momentum 0\.9\) is 1\.6, and from 1\.6 on every training that was measured, with batches of 64 images, blew up or died; take a lower --lr \(at 0\.04, which makes 0\.4, all that were tried learnt\)$/,
  );
  assert.equal(said('mini', rate(0.15, 0.9)), undefined);
  assert.equal(said('mini', rate(0.6, 0))?.bound, 0.6);
  assert.equal(said('mini', rate(0.59, 0)), undefined);
  const large = { batchSize: 256 };
  assert.equal(said('mini', { ...rate(1.6, 0), ...large })?.bound, 1.6);
  assert.equal(said('mini', { ...rate(1.2, 0), ...large }), undefined, 'not measured');
  assert.equal(said('tutorial', { ...rate(0.4, 0), ...TUTORIAL })?.bound, 0.4);
  assert.equal(said('tutorial', { ...rate(0.39, 0), ...TUTORIAL }), undefined);
  assert.equal(said('tutorial', { ...rate(0.04, 0.9), ...TUTORIAL }), undefined, 'learnt');
  assert.equal(said('tutorial', { ...rate(0.16, 0.9), ...TUTORIAL })?.bound, 1.6);
});

test('knownRate() says nothing where nothing was measured', () => {
  const { net } = PRESETS.mini;
  const high = rate(10, 0.9);
  assert.equal(said('mini', rate(10, 0.95)), undefined);
  assert.equal(said('mini', high)?.kind, 'rate');
  assert.equal(said('mini', { ...high, net: { ...net, activation: 'relu' } })?.kind, 'rate');
  assert.equal(said('mini', { ...high, net: { ...net, activation: 'tanh' } }), undefined);
  assert.equal(said('mini', { ...high, net: { ...net, init: 'table' } }), undefined);
  assert.equal(said('mini', { ...high, net: { ...net, norm: false } }), undefined);
  assert.equal(said('mini', { ...high, batchSize: 257 }), undefined);
  assert.equal(said('mini', { ...high, weights: 'runs/other' }), undefined);
  assert.equal(said('mini', high, 0.5), undefined, 'images of a smaller deviation');
  assert.equal(said('mini', high, 1, 100), undefined, 'a run that goes on');
  assert.equal(said('mini', rate(10, 0.5)), undefined);
  for (const other of [{ inputSize: 227 }, { classes: 100 }, { dropout: false }, { overlap: false }, { width: 1.5 }]) {
    assert.equal(said('mini', { ...high, net: { ...net, ...other } }), undefined, JSON.stringify(other));
  }
  assert.equal(said('tutorial', { ...high, net: { ...TUTORIAL.net, width: 0.5 } }), undefined, 'one learnt at 1.6');
  assert.equal(said('lenet', high), undefined);
  assert.equal(said('fashion', high, 90), undefined);
});

/** The table of trainings in docs/warnings.md. */
function measured() {
  const page = fs.readFileSync(new URL('../../../docs/warnings.md', import.meta.url), 'utf8');
  const numbers = (text: string) => (text.match(/\d+(\.\d+)?/g) ?? []).map(Number);
  const rows = [...page.matchAll(/^\| `(original|paper|tutorial)` \|(.*)\|$/gm)].map(([, table, rest]) => {
    const [width, momentum, batch, learnt, failed] = rest!.split('|').map(numbers);
    return { table, width: width![0]!, momentum: momentum![0]!, batch: batch![0]!, learnt: learnt!, failed: failed! };
  });
  assert.ok(rows.length > 15, 'the table is there');
  return rows;
}

test('knownRate() claims nothing that docs/warnings.md has no measurement of', () => {
  const all = measured();
  const warned = new Set<string>();
  const nets = { original: PRESETS.mini, paper: PRESETS.mini, tutorial: { ...PRESETS.tutorial, ...TUTORIAL } };
  for (const [table, preset] of Object.entries(nets)) {
    for (const width of [0.0625, 0.125, 0.2, 0.25, 0.5, 1, 2]) {
      for (const momentum of [0, 0.5, 0.9, 0.95]) {
        for (const batchSize of [8, 32, 33, 64, 65, 128, 129, 256, 257]) {
          for (const effective of [0.2, 0.4, 0.6, 0.8, 1.2, 1.6, 3.2]) {
            const net = { ...preset.net, table, width } as Asked['net'];
            const asked = { ...preset, net, batchSize, ...rate(effective * (1 - momentum), momentum) };
            const warning = knownRate(asked, { step: 0, layers: [{ ...ACTIVATIONS.layers[0]!, sd: 1 }] });
            if (!warning) continue;
            const what = `${table} of width ${width}, ${momentum}, ${batchSize}: ${warning.message}`;
            const rows = all.filter((row) => row.table === table && row.momentum === momentum);
            const [, batches, learnt] = /batches of ([\d and]+) images.* which makes ([\d.]+), /.exec(warning.message)!;
            const claimed = batches!.split(' and ').map(Number);
            const failed = rows.filter((row) => claimed.includes(row.batch) && row.failed.includes(warning.bound!));
            for (const batch of claimed)
              assert.ok(
                rows.some((row) => row.batch === batch && row.failed.some((each) => each >= warning.bound!)),
                what,
              );
            assert.ok(
              failed.some((row) => row.width <= width && row.batch >= batchSize),
              `no narrower one: ${what}`,
            );
            assert.ok(
              failed.some((row) => row.width >= width && row.batch >= batchSize),
              `no wider one: ${what}`,
            );
            const near = rows.filter((row) => claimed.includes(row.batch));
            const worst = near.filter((row) => row.width === width).flatMap((row) => row.learnt);
            assert.ok(!worst.some((each) => each >= warning.bound!), `one learnt: ${what}`);
            assert.ok(
              near.some((row) => row.learnt.includes(Number(learnt))),
              `none learnt: ${what}`,
            );
            assert.ok(!near.some((row) => row.failed.some((each) => each <= Number(learnt))), `one failed: ${what}`);
            warned.add(table);
          }
        }
      }
    }
  }
  assert.deepEqual([...warned], Object.keys(nets));
});

test('knownRate() says nothing of the presets as they are', () => {
  for (const preset of Object.values(PRESETS)) {
    for (const sd of [0.33, 1, 90]) {
      assert.equal(
        knownRate(preset, { step: 0, layers: [{ ...ACTIVATIONS.layers[0]!, sd }] }),
        undefined,
        preset.preset,
      );
    }
  }
});
