/** Scopes: in the names of recorded nodes, and watched while ops run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { openLibrary } from '../../../src/native/c/load.js';
import { inScope, outOfScope, watchScopes } from '../../../src/native/graph/scope.js';
import { compile, useDevice } from '../../../src/native/index.js';

useDevice('CPU:0');

const layer = (name: string) => ({ forward: `${name}/forward`, backward: `${name}/backward` });

/** Two layers, and their gradient. */
function pass(x: tf.Tensor, a: tf.Tensor, b: tf.Tensor): tf.Tensor[] {
  const loss = (first: tf.Tensor, second: tf.Tensor) => {
    const hidden = inScope(layer('one'), () => tf.relu(tf.mul(x, first)));
    return inScope(layer('two'), () => tf.sum(tf.mul(hidden, second))) as tf.Scalar;
  };
  return tf.grads(loss)([a, b]);
}

test('nodes are named by their scope, those of a gradient by that of the op that it differentiates', (t) => {
  const { c } = openLibrary();
  const named = t.mock.method(c, 'TF_NewOperation');
  const compiled = compile(pass);
  const inputs = [tf.ones([2]), tf.ones([2]), tf.ones([2])];
  const values = compiled(...inputs).map((each) => Array.from(each.dataSync()));
  compiled.dispose();
  assert.deepEqual(
    values,
    pass(inputs[0]!, inputs[1]!, inputs[2]!).map((each) => Array.from(each.dataSync())),
  );
  const names = named.mock.calls.map(
    ({ arguments: [, op, name] }) => `${name}`.replace(`${op}_`, `${op} `).split(' ')[0],
  );
  for (const name of ['one/forward/Mul', 'one/forward/Relu', 'two/forward/Mul', 'two/forward/Sum']) {
    assert.ok(names.includes(name), `${name} in ${names}`);
  }
  assert.ok(names.some((name) => name!.startsWith('one/backward/')));
  assert.ok(names.some((name) => name!.startsWith('two/backward/')));
  const before = names.indexOf('two/forward/Sum');
  assert.ok(
    names.slice(before + 1).every((name) => !name!.includes('/forward/')),
    'a gradient is not the forward pass',
  );
});

test('watchScopes() tells what ran in each scope, innermost, without overlaps', () => {
  const spans: [string, number, number][] = [];
  const watch = (...span: [string, number, number]) => void spans.push(span);
  const inputs = [tf.ones([2]), tf.ones([2]), tf.ones([2])] as const;
  watchScopes(watch, () => inScope(layer('all'), () => pass(...inputs)));
  const order = spans.map(([scope]) => scope).filter((scope, i, all) => scope !== all[i - 1]);
  const layers = order.filter((scope) => !scope.startsWith('all/'));
  assert.deepEqual([...new Set(layers)], ['one/forward', 'two/forward', 'two/backward', 'one/backward']);
  for (const [i, [, start, end]] of spans.entries()) {
    assert.ok(end >= start);
    assert.ok(i === 0 || start >= spans[i - 1]![2]);
  }
  spans.length = 0;
  pass(...inputs);
  assert.deepEqual(spans, [], 'nobody watches any more');
});

test('an inner scope takes the place of the outer one, which comes back after it', () => {
  const scopes: string[] = [];
  watchScopes(
    (scope) => void scopes.push(scope),
    () => inScope(layer('outer'), () => inScope(layer('inner'), () => {})),
  );
  assert.deepEqual(scopes, ['outer/forward', 'inner/forward', 'outer/forward']);
});

test('outOfScope() leaves the scopes around it until it ends', () => {
  const scopes: string[] = [];
  const two = () => {
    inScope(layer('one'), () => {});
    inScope(layer('two'), () => {});
  };
  watchScopes(
    (scope) => void scopes.push(scope),
    () => inScope(layer('outer'), () => outOfScope(two)),
  );
  assert.deepEqual(scopes, ['outer/forward', 'one/forward', 'two/forward', 'outer/forward']);
});

test('a scope ends with its action, also if that throws', () => {
  const scopes: string[] = [];
  const fail = () => {
    throw new Error('x');
  };
  watchScopes(
    (scope) => void scopes.push(scope),
    () => {
      assert.throws(() => inScope(layer('one'), fail), /x/);
      tf.ones([1]).add(1);
      inScope(layer('two'), () => {});
    },
  );
  assert.deepEqual(scopes, ['one/forward', 'two/forward']);
});
