/** Names of tensors in files of other frameworks. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { CASES } from '../../scripts/pytorch-cases.js';
import { buildNet } from '../../src/model/net.js';
import { matchNames } from '../../src/weights/names.js';
import { portablesOf } from '../../src/weights/portable.js';

const NET = buildNet(CASES.original);
const PORTABLES = portablesOf(NET);
const OURS = PORTABLES.map(({ name }) => name);
/** torchvision's numbers, of five convolutions and three dense layers. */
const NUMBERS = OURS.map((name) => {
  const [layer, last] = name.split('.');
  const number = Number(layer!.slice(-1));
  return number < 6 ? `features.${3 * number}.${last}` : `classifier.${3 * number}.${last}`;
});

const matched = (names: readonly string[]) => matchNames(NET, PORTABLES, names);

test('matchNames() removes and reports a prefix of all names', () => {
  const prefixes = ['_orig_mod.', 'model.', 'module.', 'net.', 'state_dict.', 'model._orig_mod.', '_orig_mod.module.'];
  for (const prefix of [...prefixes, 'a.b.c.', 'model/', 'module.model._orig_mod.']) {
    for (const names of [OURS, NUMBERS]) {
      const { names: found, unexpected, leftOut } = matched(names.map((name) => `${prefix}${name}`));
      assert.deepEqual([[...found.keys()], unexpected, leftOut], [PORTABLES, [], prefix]);
      assert.deepEqual(
        [...found.values()],
        names.map((name) => `${prefix}${name}`),
      );
    }
  }
});

test('matchNames() removes nothing from the net\'s own names, not even "features."', () => {
  for (const names of [OURS, NUMBERS, NUMBERS.filter((name) => name.startsWith('features.'))]) {
    const { names: found, unexpected, leftOut } = matched(names);
    assert.deepEqual([found.size, unexpected, leftOut], [names.length, [], '']);
  }
});

test('matchNames() ignores what torch.compile and DataParallel insert', () => {
  const names = NUMBERS.map((name) => `model.${name.replace('.', '._orig_mod.')}`);
  const { names: found, unexpected } = matched(names);
  assert.deepEqual([found.size, unexpected], [PORTABLES.length, []]);
});

test('matchNames() reports unknown names, and a second net', () => {
  const held = OURS.map((name) => `model.${name}`);
  const loss = matched([...held, 'loss.weight', 'metric.count']);
  assert.deepEqual([loss.names.size, loss.unexpected], [PORTABLES.length, ['loss.weight', 'metric.count']]);
  const twice = matched([...held, ...OURS.map((name) => `ema.${name}`)]);
  assert.equal(twice.names.size, PORTABLES.length);
  assert.deepEqual(twice.nets, ['ema.conv1.weight', 'model.conv1.weight'], 'two whole nets');
  assert.deepEqual(matched([...OURS, ...held]).nets, ['conv1.weight', 'model.conv1.weight']);
  assert.deepEqual(loss.nets, []);
  assert.deepEqual(matched([...held, ...OURS.slice(1).map((name) => `ema.${name}`)]).nets, []);
});

test('matchNames() is fast for many names of another net', () => {
  const names = Array.from({ length: 20_000 }, (_, i) => `a${i % 500}.b${i}.${'c.'.repeat(20)}weight`);
  const { names: found, unexpected, leftOut } = matched(names);
  assert.deepEqual([found.size, unexpected.length, leftOut], [0, 20_000, '']);
});
