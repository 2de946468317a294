/** Plans against sums by hand, against the program's own counts, and against one another. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { createSlot, floatLayout, slotViews } from '../../src/data/index.js';
import { encode, PREFIX_BYTES } from '../../src/exchange/codec.js';
import { buildNet } from '../../src/model/net.js';
import { summarize, totalsOf } from '../../src/model/summary.js';
import { planOf } from '../../src/plan/plan.js';
import { openTeam } from '../../src/train/team.js';
import { configOf, planned, ratesOf } from './rates.js';

const LOCAL = ['CPU:0', 'CPU:1'];
const REMOTE = ['a:1/CPU:0', 'b:1/CPU:0'];
/** Bytes per millisecond of 1 Gbit/s. */
const GBIT = 125_000;
const near = (found: number, expected: number) =>
  assert.ok(Math.abs(found - expected) <= 1e-6 * expected, `${found}, not ${expected}`);
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

test('a step that only sends takes its messages one after another', () => {
  const plan = planOf(planned(REMOTE, { values: { exchange: { transport: 'device' } } }));
  const net = buildNet(configOf({ preset: 'lenet' }).net);
  const images = (10 * (28 * 28 + 4)) / GBIT; // a byte for each grey level
  // The coordinator sends the images to a, then to b. At each of the first three crossings the one that is later makes the
  // other one later, so after these b is the one that has gone on earlier; and the last layer waits for b's half alone.
  const crossing = sum(summarize(net, 10).map(({ exchange }) => (exchange ? 2 * (exchange.forward[1] / GBIT + 1) : 0)));
  // The norm to the coordinator, the update's start, and its end: a delay of 1 ms each.
  near(plan.stepMs, images + 1 + crossing + 3);
});

test('by way of the coordinator each message crosses the link twice', () => {
  const [direct, relayed] = (['device', 'msgpack'] as const).map((transport) => {
    return planOf(planned(REMOTE, { values: { exchange: { transport } }, link: { gbps: 1, roundTripMs: 0 } }));
  });
  const exchanged = ({ traffic }: typeof direct & object) =>
    sum(traffic.filter(({ kind }) => kind === 'exchange').map(({ bytes }) => bytes));
  assert.equal(exchanged(relayed!), 2 * exchanged(direct!));
  assert.ok(relayed!.stepMs > direct!.stepMs);
});

test('a step that only computes takes the layers of the slower tower, and kernel gradients beside them', () => {
  // Tower 0 alone has the last layer. 3 layers and 2 pools, 4 activations, 4 gathers: each 1 ms forward, 1 ms backward.
  const config = configOf({ preset: 'lenet', batchSize: 10 });
  const net = buildNet(config.net);
  const one = planOf(planned(LOCAL, { rates: ratesOf(net, 10, 1, { slots: 100 }), link: undefined }));
  const layers = net.layers.length + net.layers.filter(({ site }) => site).length;
  // Backward, the first layer has no gradient of what it reads, but one of its kernel.
  near(one.stepMs, 2 * layers);
  const busy = planOf(planned(LOCAL, { rates: ratesOf(net, 10, 1, { slots: 1 }), link: undefined }));
  assert.ok(busy.stepMs > 2 * one.stepMs, 'on one slot the towers take turns, and kernel gradients take time');
});

test('the parts of each tower add up to the step, and one that has less to do waits', () => {
  const config = configOf({ preset: 'lenet', batchSize: 10 });
  const rates = ratesOf(buildNet(config.net), 10, 3, { stepMs: 5 });
  for (const devices of [LOCAL, REMOTE]) {
    for (const replicas of [1, 3]) {
      const plan = planOf(planned(devices, { rates, replicas }));
      for (const { parts } of plan.towers) near(sum(Object.values(parts)), plan.stepMs);
      const [first, second] = plan.towers.map(({ parts }) => parts.wait);
      assert.ok(second! > first!, 'tower 1 has no last layer');
      assert.equal(plan.towers[0]!.parts.average > 0, replicas > 1);
    }
  }
});

test('a slower or longer link never makes a step shorter, and more replicas never make it shorter', () => {
  const config = configOf({ preset: 'mini' });
  const rates = ratesOf(buildNet(config.net), config.batchSize, 2);
  for (const transport of ['msgpack', 'device'] as const) {
    const values = { preset: 'mini', batchSize: config.batchSize, exchange: { transport } };
    const stepMs = (gbps: number, roundTripMs: number, replicas: number) =>
      planOf(planned(REMOTE, { values, rates, replicas, link: { gbps, roundTripMs } })).stepMs;
    for (const replicas of [1, 3]) {
      const slower = [100, 10, 3, 1, 0.3, 0.1].map((gbps) => stepMs(gbps, 1, replicas));
      const longer = [0, 0.1, 1, 5, 20].map((ms) => stepMs(1, ms, replicas));
      for (const list of [slower, longer]) {
        assert.deepEqual(
          list,
          list.toSorted((a, b) => a - b),
        );
      }
    }
    const more = [1, 2, 3, 6].map((replicas) => stepMs(1, 1, replicas));
    assert.deepEqual(
      more,
      more.toSorted((a, b) => a - b),
    );
  }
});

test('one replica is averaged with none, and each of K sends 2(K - 1)/K of its parameters', () => {
  const one = planOf(planned(REMOTE));
  assert.equal(one.replicaEfficiency, 1);
  assert.ok(one.traffic.every(({ kind }) => kind !== 'average'));
  const parameters = totalsOf(summarize(buildNet(configOf({ preset: 'lenet' }).net), 10)).parameters;
  for (const replicas of [2, 3, 7]) {
    const { traffic } = planOf(planned(REMOTE, { replicas }));
    const averaged = sum(traffic.filter(({ kind }) => kind === 'average').map(({ bytes }) => bytes));
    near(averaged, replicas * ((2 * (replicas - 1)) / replicas) * 4 * sum(parameters));
  }
});

test('split dense layers send activations instead of their gradients', () => {
  const values = { placement: 'single' };
  const [data, trick] = [false, true].map((splitDense) =>
    planOf(planned(['a:1/GPU:0'], { values, replicas: 4, splitDense })),
  );
  const bytesOf = ({ traffic }: NonNullable<typeof data>, wanted: string) =>
    sum(traffic.filter(({ kind }) => kind === wanted).map(({ bytes }) => bytes));
  const net = buildNet(configOf({ preset: 'lenet' }).net);
  const dense = net.layers.filter(({ kind }) => kind === 'dense');
  const perTower = summarize(net, 1).filter(({ kind }) => kind === 'dense');
  const denseBytes = 4 * sum(perTower.flatMap(({ parameters }) => parameters));
  near(bytesOf(data!, 'average') - bytesOf(trick!, 'average'), 4 * 1.5 * denseBytes);
  const inputs = sum(dense.map(({ input }) => input[0] * input[1] * input[2]));
  near(bytesOf(trick!, 'exchange'), 4 * 3 * 2 * 10 * inputs * 4);
});

test('crossings have the bytes that a real step sends, and memory the bytes that a tower holds', async () => {
  const config = configOf({ preset: 'mini', batchSize: 4 });
  const { inputSize, inputChannels } = config.net;
  const layout = floatLayout(4, inputSize, inputChannels);
  const slot = createSlot(layout);
  slotViews(slot, layout).images.fill(0.5);
  const team = await openTeam(config, { slots: [slot], layout });
  try {
    const command = { kind: 'step', slot: 0, count: 4, step: 1, learningRate: 0.1, epoch: 1, update: true } as const;
    const replies = await team.ask({ ...command, keep: false, bySite: true });
    const rates = ratesOf(buildNet(config.net), 4, 0);
    const plan = planOf({ ...planned(LOCAL, { rates }), config, link: undefined });
    const shapes = new Map(buildNet(config.net).layers.flatMap(({ site }) => (site ? [[site.name, site.shape]] : [])));
    for (const [tower, { sent = [] }] of replies.entries()) {
      const counted = sent.filter(({ site }) => site !== 'gradients');
      const expected = counted.map(({ site, direction }, i) => {
        const [height, width, channels] = shapes.get(site)!;
        const shape = height === 1 && width === 1 ? [4, channels] : [4, height, width, channels];
        const { bytes } = plan.crossings.find(
          (each) => each.site === site && each.direction === direction && each.tower === tower,
        )!;
        const header = { seq: i + 1, site, step: 1, direction, shape, dtype: 'float32' } as const;
        return { site, direction, bytes: bytes + encode(header, new Uint8Array(PREFIX_BYTES + bytes)) };
      });
      assert.deepEqual(counted, expected);
      assert.equal(counted.length, plan.crossings.filter((each) => each.tower === tower).length);
    }
    const held = await team.ask({ kind: 'measure', slot: 0, count: 4, step: 1 });
    for (const [tower, { tensorBytes }] of held.entries()) {
      const { parameters, velocities } = plan.towers[tower]!.memory;
      const rest = tensorBytes - parameters - velocities;
      assert.ok(
        rest >= 0 && rest < 0.01 * tensorBytes,
        `tower ${tower} holds ${tensorBytes}, planned ${parameters + velocities}`,
      );
    }
  } finally {
    await team.close();
  }
});
