/** Which rates are warned of, and where nothing is known. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { PRESETS } from '../../src/config/presets.js';
import { knownRate } from '../../src/train/rates.js';
import { ACTIVATIONS } from '../events.js';

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
    /: 0\.16 \/ \(1 - momentum 0\.9\) is 1\.6, and from 1\.6 on every training .* up to 256 images; take a lower --lr \(at 0\.04, which makes 0\.4, all that were tried learnt\)$/,
  );
  assert.equal(said('mini', rate(0.15, 0.9)), undefined);
  assert.equal(said('mini', rate(0.6, 0))?.bound, 0.6);
  assert.equal(said('mini', rate(0.59, 0)), undefined);
  const large = { batchSize: 256 };
  assert.equal(said('mini', { ...rate(1.6, 0), ...large })?.bound, 1.6);
  assert.equal(said('mini', { ...rate(1.2, 0), ...large }), undefined, 'not measured');
  assert.equal(said('tutorial', rate(0.4, 0))?.bound, 0.4);
  assert.equal(said('tutorial', rate(0.39, 0)), undefined);
  assert.equal(said('tutorial', rate(0.04, 0.9)), undefined, 'learnt');
  assert.equal(said('tutorial', rate(0.16, 0.9))?.bound, 1.6);
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
  assert.equal(said('lenet', high), undefined);
  assert.equal(said('fashion', high, 90), undefined);
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
