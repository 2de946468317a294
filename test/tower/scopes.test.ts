/** The scope of a layer, in the names of TensorFlow's ops. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scopeIn, scopeOf } from '../../src/tower/scopes.js';

test('scopeIn() finds what scopeOf() made, in the names of nodes', () => {
  const { forward, backward } = scopeOf(1, 'conv1', 'forward', 'backward');
  const found = { tower: 1, layer: 'conv1' };
  assert.deepEqual(scopeIn(forward), { ...found, phase: 'forward' });
  assert.deepEqual(scopeIn(`${backward}/Conv2DBackpropInput_12:_MklNativeConv2DBackpropInput`), {
    ...found,
    phase: 'backward',
  });
  // The whole net is traced as tower 0.
  const whole = scopeOf(0, 'fc8', 'update', 'update');
  assert.deepEqual(scopeIn(whole.forward), { tower: 0, layer: 'fc8', phase: 'update' });
});

test('scopeIn() finds the scope in names that TensorFlow has rewritten, and after other annotations of a GPU', () => {
  const expected = { tower: 0, layer: 'conv3', phase: 'exchange' };
  assert.deepEqual(scopeIn('ConstantFolding/tower0/conv3/exchange/concat_3-folded-0:Const'), expected);
  assert.deepEqual(scopeIn('tower12/conv3/exchange/concat_3'), { ...expected, tower: 12 });
  assert.deepEqual(scopeIn('step::tower0/conv3/exchange/concat_3:ConcatV2'), expected);
});

test('scopeIn() finds nothing in other names', () => {
  for (const name of ['', 'Conv2D_7:Conv2D', 'tower0/conv1', 'mytower0/conv1/forward/x']) {
    assert.equal(scopeIn(name), undefined, name);
  }
});
