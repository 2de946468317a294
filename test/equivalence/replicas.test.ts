/** K replicas compute what one net computes with K times the batch, and end together. */
import '../faults/workers.js';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import type { Config } from '../../src/config/config.js';
import { createSlot, floatLayout, slotViews } from '../../src/data/index.js';
import { NonFiniteError } from '../../src/errors.js';
import { listDevices } from '../../src/native/c/context.js';
import { bytesToAlignment } from '../../src/native/c/copy.js';
import { openFeed } from '../../src/train/feed.js';
import { evaluateRun, verify } from '../../src/train/index.js';
import { openTeam, type Team } from '../../src/train/team.js';
import { checkTeam } from '../../src/train/verify.js';
import { fewImages } from '../data/sets.js';
import { withFault } from '../faults/fault.js';
import { losses, newest, of, trainLenet } from './resumed-runs.js';
import { smallConfig, smallNet } from './teams.js';

listDevices({ cpus: 6 });

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-replicas-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));
const FEW = fewImages(folder);
const quiet = { print: () => {} };

/** Settings of so many pairs, or whole nets, on devices of their own. */
function replicas(count: number, placement: Config['placement'] = 'split') {
  const towers = placement === 'split' ? 2 * count : count;
  return { placement, replicas: count, devices: Array.from({ length: towers }, (_, i) => `CPU:${i}`) };
}

const LENETS = { ...smallNet('lenet'), ...replicas(2, 'single') };

const CASES = [
  // 400 images in batches of 399: the second has one image, and so does one of the replicas.
  {
    name: 'whole nets without images',
    values: { ...smallNet('lenet', FEW), ...replicas(3, 'single'), batchSize: 133 },
  },
  {
    name: 'pairs that average by a collective, op by op',
    values: { ...smallNet('original'), ...replicas(2), batchSize: 4, compile: 'off', average: 'collective' },
  },
  // The second batch has 4 images, of which one replica has two.
  {
    name: 'unequal shares, by copies, op by op',
    values: { ...smallNet('lenet', FEW), ...replicas(3, 'single'), batchSize: 132, compile: 'off' },
  },
];

for (const { name, values } of CASES) {
  test(`verify() passes with several replicas: ${name}`, async () => {
    const config = smallConfig(values);
    const result = await verify(config, { steps: 2 }, quiet);
    assert.deepEqual([result.firstDivergent, result.passed], [undefined, true]);
    assert.deepEqual(result.replicas, { count: config.replicas });
    for (const { kind, relative, name } of result.rows) {
      if (kind !== 'parameter') assert.ok(relative < 1e-4, `${name}: ${relative}`);
    }
    assert.equal(new Set(result.losses.map(({ split }) => split)).size, 2, 'the losses of two steps differ');
  });
}

test('verify() names the replica whose weights differ from those of the others, even by one bit', async () => {
  const config = smallConfig(LENETS);
  const result = await withFault('drift@average', () => verify(config, { steps: 2 }, quiet));
  assert.equal(result.passed, false);
  assert.match(String(result.firstDivergent), /^the gradient of tower\d\/\S+ in net 1, which is not that of/);
  // So does the check before a training, with that difference.
  const { feeder } = await openFeed(config);
  const team = await withFault('drift@average', () => openTeam(config, feeder));
  try {
    const check = await checkTeam(team, feeder, config);
    assert.deepEqual([check.passed, check.tolerance], [false, 0]);
    assert.equal(check.tensor, result.firstDivergent);
    assert.ok(check.worst_relative > 0);
  } finally {
    await team.close();
    await feeder.close();
  }
});

test('train() of two pairs has the losses of one with twice the batch, and resumes as that', async () => {
  const values = { optimizer: { learningRate: 0.1 }, steps: 12, checkpointEvery: 8 };
  const one = await trainLenet(folder, FEW, { ...values, run: 'one', batchSize: 16 });
  const pairs = { ...replicas(2), batchSize: 8, steps: 8, exchange: { transport: 'device' } };
  const two = await trainLenet(folder, FEW, { ...values, run: 'two', ...pairs });
  const back = await trainLenet(folder, FEW, { ...values, run: 'two', batchSize: 16 }, newest(join(folder, 'two')));
  assert.deepEqual([one, two, back].map(({ result }) => [result.exitCode, result.steps]).join(' '), '0,12 0,8 0,12');
  const expected = losses(one.events);
  assert.equal(new Set(expected).size, 12);
  for (const [i, loss] of [...losses(two.events), ...losses(back.events)].entries()) {
    assert.ok(Math.abs(loss - expected[i]!) < 1e-4 * expected[i]!, `step ${i + 1}: ${loss}, not ${expected[i]}`);
  }
  const [step] = of(two.events, 'train_step');
  assert.deepEqual([step!.images, step!.replicas, step!.towers.length], [16, 2, 4]);
  // Each parameter crosses twice: to its owner, and back as a sum.
  assert.equal(step!.average_bytes, 2 * 4 * of(two.events, 'run_start')[0]!.parameters);
  const { data, net } = back.config;
  const config = smallConfig({ ...replicas(3, 'single'), net, data, batchSize: 16 });
  const [own] = of(back.events, 'eval').slice(-1);
  const shared = await evaluateRun(config, join(folder, 'two'));
  assert.deepEqual([shared.images, shared.top1, shared.top5], [own!.images, own!.top1, own!.top5]);
  assert.ok(Math.abs(shared.loss - own!.loss) < 1e-5, `${shared.loss} and ${own!.loss}`);
});

/** Starts towers with a slot of images. */
async function open(values: Record<string, unknown>) {
  const config = smallConfig({ ...smallNet('lenet'), exchangeTimeoutMs: 5_000, ...values });
  const images = config.batchSize * config.replicas;
  const layout = floatLayout(images, config.net.inputSize, config.net.inputChannels);
  const slot = createSlot(layout, bytesToAlignment);
  const views = slotViews(slot, layout);
  views.images.forEach((_, i) => {
    views.images[i] = Math.sin(i);
  });
  views.labels.forEach((_, i) => {
    views.labels[i] = i % 10;
  });
  const team = await openTeam(config, { slots: [slot], layout });
  const step = (number: number) => {
    const command = { kind: 'step', slot: 0, count: images, step: number, epoch: 1 } as const;
    return team.ask({ ...command, learningRate: 0.1, update: true, keep: false });
  };
  return { team, step };
}

async function kernelsOf(team: Team, name: string): Promise<string[]> {
  const memory = () => new SharedArrayBuffer(4 * 84 * 10);
  const owners = team.towers.filter(({ setup }) => setup.part !== 1);
  return await Promise.all(
    owners.map(async (tower) => {
      const values = memory();
      await tower.ask({ kind: 'fetch', what: 'parameter', name }, values);
      return Buffer.from(values).toString('base64');
    }),
  );
}

test('a loss that is not a number in one replica updates none', async () => {
  const { team, step } = await open(replicas(2, 'single'));
  try {
    await step(1);
    const [first, second] = await kernelsOf(team, 'tower0/fc5/kernel');
    assert.equal(first, second, 'all replicas have the same weights');
    const bias = new SharedArrayBuffer(4 * 10);
    new Float32Array(bias).fill(Number.NaN);
    await team.towers.findLast(({ setup }) => setup.part !== 1)!.ask({ kind: 'put', name: 'tower0/fc5/bias' }, bias);
    const started = performance.now();
    await assert.rejects(
      step(2),
      (error) => error instanceof NonFiniteError && /(loss|gradient) of step 2/.test(error.message),
    );
    assert.ok(performance.now() - started < 5_000, 'the others do not wait for the deadline');
    assert.deepEqual(await kernelsOf(team, 'tower0/fc5/kernel'), [first, second]);
  } finally {
    await team.close();
  }
});

const LATE = { ...replicas(2, 'single'), exchangeTimeoutMs: 2_000 };

for (const [fault, values, cause] of [
  ['exit@backward:2', replicas(2), /the thread of tower 1 of pair 1 on CPU:3 ended/],
  // A member that never joins: nothing but the deadline of the collective ends the step. It is the last of this process.
  ['hang@forward:2 single', { ...LATE, average: 'collective' }, /net 0: another replica did not join within 2 s; /],
] as const) {
  test(`a tower that fails ends all replicas, and its error is the one reported: ${fault}`, async () => {
    await withFault(fault, async () => {
      const { team, step } = await open(values);
      try {
        await step(1);
        await assert.rejects(step(2), (error) => cause.test((error as Error).message) || assert.fail(String(error)));
        await assert.rejects(step(3), 'nothing goes on');
      } finally {
        await team.close();
      }
    });
  });
}
