import assert from 'node:assert/strict';
import { once } from 'node:events';
import { before, test } from 'node:test';
import { Worker } from 'node:worker_threads';

import tf = require('@tensorflow/tfjs');

import { allGather, type Exchanger } from '../../src/exchange/all-gather.js';
import { createMailboxes } from '../../src/exchange/mailbox.js';
import { slotBytesFor } from '../../src/exchange/transport.js';
import { runHalf, runWhole } from './halves.js';

before(() => tf.setBackend('cpu'));

/** A peer that sends what the test says; what was done is noted in order. */
function fakePeer(fromPeer: Record<string, number[]>) {
  const did: { what: 'send' | 'receive'; at: string; values: number[] }[] = [];
  const exchanger: Exchanger = {
    send(tensor, { site, direction }) {
      did.push({ what: 'send', at: `${direction} ${site}`, values: [...tensor.dataSync()] });
    },
    receive(shape, { site, direction }) {
      const values = fromPeer[direction];
      assert.ok(values, `nothing comes ${direction}`);
      did.push({ what: 'receive', at: `${direction} ${site}`, values });
      return tf.tensor(values, [...shape], 'float32');
    },
    receiveFor(shape, place, compute) {
      const tensor = exchanger.receive(shape, place);
      const result = compute(tensor);
      tensor.dispose();
      return result;
    },
  };
  return { exchanger, did };
}

/** Gathers [[1, 2], [3, 4]] in `tower`, weighted by 1 to 8 in the loss. */
function gathered(tower: 0 | 1, options: { home?: 0 | 1 } = {}) {
  const fake = fakePeer({ forward: [10, 20, 30, 40], backward: [100, 200, 300, 400] });
  const value: number[] = [];
  const site = { name: 'conv3', home: options.home };
  const gradient = tf.grad((own) => {
    const both = allGather(own, site, tower, fake.exchanger);
    value.push(...both.dataSync());
    if (both.rank === 0) return both;
    return tf.sum(tf.mul(both, tf.tensor2d([1, 2, 3, 4, 5, 6, 7, 8], [2, 4])));
  })(tf.tensor2d([1, 2, 3, 4], [2, 2]));
  return { value, gradient: [...gradient.dataSync()], did: fake.did };
}

const own = [1, 2, 3, 4];
const peer = [10, 20, 30, 40];
const fromPeer = [100, 200, 300, 400];

test("allGather() in tower 0 puts its half first and adds the peer's gradient to its own", () => {
  assert.deepEqual(gathered(0), {
    value: [1, 2, 10, 20, 3, 4, 30, 40],
    gradient: [101, 202, 305, 406],
    did: [
      { what: 'send', at: 'forward conv3', values: own },
      { what: 'receive', at: 'forward conv3', values: peer },
      { what: 'send', at: 'backward conv3', values: [3, 4, 7, 8] },
      { what: 'receive', at: 'backward conv3', values: fromPeer },
    ],
  });
});

test('allGather() in tower 1 puts its half second', () => {
  assert.deepEqual(gathered(1), {
    value: [10, 20, 1, 2, 30, 40, 3, 4],
    gradient: [103, 204, 307, 408],
    did: [
      { what: 'send', at: 'forward conv3', values: own },
      { what: 'receive', at: 'forward conv3', values: peer },
      { what: 'send', at: 'backward conv3', values: [1, 2, 5, 6] },
      { what: 'receive', at: 'backward conv3', values: fromPeer },
    ],
  });
});

for (const home of [0, 1] as const) {
  test(`allGather() with home ${home} receives values and sends a gradient there, and the reverse in the other tower`, () => {
    const at = gathered(home, { home });
    assert.deepEqual(at.value, home === 0 ? [1, 2, 10, 20, 3, 4, 30, 40] : [10, 20, 1, 2, 30, 40, 3, 4]);
    assert.deepEqual(at.gradient, home === 0 ? [1, 2, 5, 6] : [3, 4, 7, 8]);
    assert.deepEqual(at.did, [
      { what: 'receive', at: 'forward conv3', values: peer },
      { what: 'send', at: 'backward conv3', values: home === 0 ? [3, 4, 7, 8] : [1, 2, 5, 6] },
    ]);
    assert.deepEqual(gathered(home === 0 ? 1 : 0, { home }), {
      value: [0],
      gradient: fromPeer,
      did: [
        { what: 'send', at: 'forward conv3', values: own },
        { what: 'receive', at: 'backward conv3', values: fromPeer },
      ],
    });
  });
}

test('allGather() joins the channels of maps', () => {
  const fake = fakePeer({ forward: [5, 6, 7, 8] });
  const both = allGather(tf.tensor4d([1, 2, 3, 4], [1, 2, 1, 2]), { name: 'conv3' }, 0, fake.exchanger);
  assert.deepEqual(both.shape, [1, 2, 1, 4]);
  assert.deepEqual([...both.dataSync()], [1, 2, 5, 6, 3, 4, 7, 8]);
});

test('allGather() leaves no tensors behind', () => {
  const fake = fakePeer({ forward: peer, backward: fromPeer });
  const x = tf.tensor2d(own, [2, 2]);
  const f = tf.grad((each) => tf.sum(allGather(each, { name: 'conv3' }, 0, fake.exchanger)));
  const run = () => f(x).dispose();
  run();
  const before = tf.memory().numTensors;
  for (let i = 0; i < 10; i++) run();
  assert.equal(tf.memory().numTensors, before);
});

test('allGather() in two threads gives the same loss and gradients as the whole function in one', async () => {
  const whole = runWhole();
  const mailboxes = createMailboxes(slotBytesFor(4 * 24));
  const worker = new Worker(new URL('./gather-worker.js', import.meta.url), { workerData: { mailboxes } });
  const posted = once(worker, 'message');
  const half0 = runHalf(0, mailboxes);
  const [half1] = await posted;
  assert.equal(half1.loss, 0);
  const found = [half0.loss, half0.gradients, half1.gradients].flat(2);
  const expected = [whole.loss, whole.gradients].flat(2);
  assert.equal(found.length, expected.length);
  found.forEach((value: number, i) => {
    assert.ok(
      Math.abs(value - expected[i]!) < 1e-4 * Math.max(1, Math.abs(expected[i]!)),
      `${i}: ${value}, ${expected[i]}`,
    );
  });
});
