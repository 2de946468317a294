/** The recipe of 2012 in complete runs: frozen layers, rates that follow the validation error, nets with one change. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import type { Config } from '../../src/config/config.js';
import type { LogEvent } from '../../src/log.js';
import { volume } from '../../src/model/net.js';
import { openFeed } from '../../src/train/feed.js';
import { train, verify } from '../../src/train/index.js';
import { openTeam, type Team } from '../../src/train/team.js';
import { trainLoop } from '../../src/train/train.js';
import { fewImages } from '../data/sets.js';
import { SINGLE, smallConfig, smallNet } from './teams.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-recipe-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const FEW = fewImages(folder);

async function eventsOf(values: Record<string, unknown>): Promise<LogEvent[]> {
  const events: LogEvent[] = [];
  const config = smallConfig({ out: folder, ...values });
  const { exitCode } = await train(config, { report: (e) => events.push(e), signal: new AbortController().signal });
  assert.equal(exitCode, 0);
  return events;
}

function of<Name extends LogEvent['event']>(events: readonly LogEvent[], name: Name) {
  return events.filter((event): event is Extract<LogEvent, { event: Name }> => event.event === name);
}

/** Bytes of these parameters of tower 0 after each step of a training. */
async function bytesByStep(config: Config, names: readonly string[], steps: number): Promise<Map<string, Buffer>[]> {
  const { feeder } = await openFeed(config);
  const team = await openTeam(config, feeder);
  try {
    const shapes = new Map((await team.towers[0]!.ask({ kind: 'list' })).map(({ name, shape }) => [name, shape]));
    const snapshots: Map<string, Buffer>[] = [];
    const fetchAll = async () => {
      const values = new Map<string, Buffer>();
      for (const name of names) {
        const memory = new SharedArrayBuffer(4 * volume(shapes.get(name)!));
        await team.towers[0]!.ask({ kind: 'fetch', what: 'parameter', name }, memory);
        values.set(name, Buffer.from(memory));
      }
      return values;
    };
    const ask: Team['ask'] = async (command) => {
      const replies = await team.ask(command);
      if (command.kind === 'step') snapshots.push(await fetchAll());
      return replies;
    };
    const result = { steps: 0, images: 0, trainMs: 0, stopped: false, errors: [] };
    const checkpoints = { after: async () => {}, finish: async () => {}, close: async () => {} };
    const ui = { report: () => {}, signal: new AbortController().signal, checkpoints };
    await trainLoop({ config, team: { ...team, ask }, feeder, steps }, ui, result);
    return snapshots;
  } finally {
    await team.close();
    await feeder.close();
  }
}

for (const placed of [{ placement: 'split' }, SINGLE] as const) {
  test(`train() does not change a bit of conv1 after its epoch, and trains the rest (${placed.placement})`, async () => {
    // Two steps an epoch; conv1 stands still after the first.
    const optimizer = { ownRates: [{ layer: 'conv1', after: 1, factor: 0 }] };
    const config = smallConfig({ ...smallNet('lenet', FEW), ...placed, batchSize: 200, optimizer });
    const still = ['tower0/conv1/kernel', 'tower0/conv1/bias'];
    const moving = ['tower0/conv2/kernel', 'tower0/conv2/bias', 'tower0/fc5/kernel'];
    const steps = await bytesByStep(config, [...still, ...moving], 5);
    assert.equal(steps.length, 5);
    for (let i = 1; i < 5; i++) {
      const isSame = (name: string) => steps[i]!.get(name)!.equals(steps[i - 1]!.get(name)!);
      for (const name of still) assert.equal(isSame(name), i > 1, `${name} in step ${i + 1}`);
      for (const name of moving) assert.equal(isSame(name), false, `${name} in step ${i + 1}`);
    }
  });
}

test('train() divides the rate when epochs stop improving, whatever --eval-every says', async () => {
  // At this rate nothing improves: from the second evaluation on each is no better than the first.
  const schedule = { kind: 'plateau', factor: 0.1, patience: 2, least: 1e-11 };
  const optimizer = { learningRate: 1e-9, schedule };
  for (const evalEvery of [1, 5]) {
    const values = {
      ...smallNet('lenet', FEW),
      ...SINGLE,
      run: `plateau-${evalEvery}`,
      batchSize: 200,
      steps: 12,
      evalEvery,
    };
    const events = await eventsOf({ ...values, optimizer });
    const rates = of(events, 'train_step').map(({ learning_rate }) => learning_rate);
    assert.equal(new Set(of(events, 'eval').map(({ top1 }) => top1)).size, 1);
    // Two steps an epoch: the first was the best, and two were no better.
    const expected = [1e-9, 1e-9, 1e-9, 1e-10, 1e-10, 1e-11].flatMap((rate) => [rate, rate]);
    for (const [i, rate] of rates.entries())
      assert.ok(Math.abs(rate / expected[i]! - 1) < 1e-9, `step ${i + 1}: ${rate}, eval-every ${evalEvery}`);
  }
});

test('verify() passes without norms, without overlap and with other activations', async () => {
  for (const changes of [
    { norm: false, activation: 'tanh' },
    { overlap: false, activation: 'sigmoid' },
  ]) {
    const small = smallNet('original');
    const config = smallConfig({ ...small, net: { ...(small.net as object), ...changes } });
    const { passed, firstDivergent } = await verify(config, { steps: 2 }, { print: () => {} });
    assert.deepEqual([passed, firstDivergent], [true, undefined], JSON.stringify(changes));
  }
});

test('train() trains the one-GPU net on one device, with the same result compiled and op by op', async () => {
  const net = { ...(smallNet('original').net as object), table: 'one-gpu' };
  const common = { ...SINGLE, net, steps: 3, data: { workers: 0, source: FEW } };
  const losses: number[][] = [];
  for (const compile of ['on', 'off']) {
    const events = await eventsOf({ ...common, run: `one-${compile}`, compile });
    losses.push(of(events, 'train_step').map(({ loss }) => loss));
    assert.equal(of(events, 'run_start')[0]!.towers.length, 1);
  }
  for (const [i, loss] of losses[0]!.entries()) assert.ok(Math.abs(loss - losses[1]![i]!) < 1e-4 * loss, `${losses}`);
});
