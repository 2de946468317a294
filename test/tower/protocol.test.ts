import assert from 'node:assert/strict';
import test from 'node:test';
import { placeOf } from '../../src/tower/protocol.js';

test('placeOf() describes a command', () => {
  const batch = { slot: 0, count: 1 };
  const step = { kind: 'step', ...batch, step: 3, learningRate: 0, epoch: 1, update: true, keep: false } as const;
  assert.equal(placeOf(step), 'step 3');
  assert.equal(placeOf({ kind: 'evaluate', ...batch, step: 3 }), 'the evaluation after step 3');
  assert.equal(placeOf({ kind: 'measure', ...batch, step: 3 }), 'the measurement of the layers after step 3');
  assert.equal(placeOf({ kind: 'measure', ...batch, step: 0 }), 'the measurement of the layers before the first step');
  assert.equal(placeOf({ kind: 'list' }), 'the command list');
});
