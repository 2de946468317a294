/** The step before the first one: it frees what it makes, and uses every op that a step does. */

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { ONLY } from '../../src/tower/replica.js';

import tf = require('@tensorflow/tfjs');

import { createSlot, floatLayout, type SlotLayout, slotViews } from '../../src/data/index.js';
import { buildNet } from '../../src/model/net.js';
import { useDevice } from '../../src/native/binding/backend.js';
import { bytesToAlignment } from '../../src/native/c/copy.js';
import { openLibrary } from '../../src/native/c/load.js';
import { nativeOps } from '../../src/tower/native-ops.js';
import type { Part } from '../../src/tower/protocol.js';
import { Tower } from '../../src/tower/tower.js';
import { rehearse, warmUp } from '../../src/tower/warm-up.js';
import { smallConfig, smallNet } from '../equivalence/teams.js';

const config = smallConfig(smallNet('original'));
const net = buildNet(config.net);
const FLOATS = floatLayout(config.batchSize, config.net.inputSize, config.net.inputChannels);
/** With everything that is done to grey levels. */
const BYTES: SlotLayout = {
  ...FLOATS,
  normalization: { inputChannels: 3, mean: [1, 2, 3], scale: [0.5, 1, 2], noise: true },
};
const setupOf = (part: Part, layout = FLOATS) => ({ ...config, part, layout, device: 'CPU:0' });

/** Kinds of the ops that are made meanwhile, alone or in a function. */
function kindsIn(action: () => void): Set<string> {
  const { c } = openLibrary();
  const made = [mock.method(c, 'TFE_NewOp'), mock.method(c, 'TF_NewOperation')];
  try {
    action();
    return new Set(made.flatMap((each) => each.mock.calls.map((call) => String(call.arguments[1]))));
  } finally {
    for (const each of made) each.mock.restore();
  }
}

/** What has no kernel of a GPU's, or is a function's own frame. */
const NO_KERNELS = /^(_Arg|_Retval|Placeholder|NoOp|Identity|Const|__|.*Queue.*|alexnet)/;

test('rehearse() leaves no tensor behind, for either tower and for the whole net', () => {
  useDevice('CPU:0');
  const ops = nativeOps('auto');
  for (const part of [0, 1, 'whole'] as const) {
    const before = tf.memory().numTensors;
    rehearse(setupOf(part, BYTES), net, ops);
    assert.equal(tf.memory().numTensors, before, String(part));
  }
  ops.dispose();
});

for (const [what, layout] of [['its input', FLOATS] as const, ['grey levels', BYTES] as const])
  test(`rehearse() uses every kind of op of a tower's step and evaluation of ${what}`, () => {
    useDevice('CPU:0');
    const ops = nativeOps('direct');
    const rehearsed = kindsIn(() => rehearse(setupOf('whole', layout), net, ops));
    ops.dispose();
    const { optimizer, seed, batchSize, exchange, exchangeTimeoutMs, compile } = config;
    const slot = createSlot(layout, bytesToAlignment);
    const { images, noise } = slotViews(slot, layout);
    for (const values of [images, noise]) values?.fill(1);
    const used = kindsIn(() => {
      const tower = new Tower({
        ...{
          part: 'whole',
          replica: ONLY,
          device: 'CPU:0',
          context: {},
          ops: 'native',
          convolutions: 'direct',
          slots: [slot],
          layout,
        },
        ...{ net: config.net, optimizer, seed, batchSize, exchangeTimeoutMs, compile },
        exchange,
      });
      const rate = { learningRate: 0.01, epoch: 1 };
      tower.step({ kind: 'step', slot: 0, count: batchSize, step: 1, ...rate, update: true, keep: false });
      tower.evaluate({ slot: 0, count: batchSize, step: 1 });
      tower.close();
    });
    assert.ok(used.has('Conv2DBackpropFilter') && used.has('ResourceApplyKerasMomentum'), [...used].join());
    const missed = [...used].filter((kind) => !rehearsed.has(kind) && !NO_KERNELS.test(kind));
    assert.deepEqual(missed, []);
  });

test('warmUp() has nothing to do on a CPU', () => {
  useDevice('CPU:0');
  const ops = nativeOps('auto');
  assert.deepEqual(
    kindsIn(() => warmUp(setupOf('whole'), net, ops)),
    new Set(),
  );
  ops.dispose();
});
