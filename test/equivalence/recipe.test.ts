/** The recipe of 2012 in whole runs: layers that stand still, rates by what validation says, nets with one thing changed. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { openTensors } from '../../src/checkpoint/format.js';
import type { LogEvent } from '../../src/log.js';
import { train, verify } from '../../src/train/index.js';
import { smallConfig, smallNet } from './teams.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-recipe-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

async function eventsOf(values: Record<string, unknown>): Promise<LogEvent[]> {
  const events: LogEvent[] = [];
  const config = smallConfig({ out: folder, check: false, ...values });
  const { exitCode } = await train(config, { report: (e) => events.push(e), signal: new AbortController().signal });
  assert.equal(exitCode, 0);
  return events;
}

function of<Name extends LogEvent['event']>(events: readonly LogEvent[], name: Name) {
  return events.filter((event): event is Extract<LogEvent, { event: Name }> => event.event === name);
}

/** A weights file's bytes of one tensor. */
function bytesOf(run: string, file: string, name: string): Buffer {
  const open = openTensors(join(folder, run, file));
  try {
    const entry = open.entries.find((each) => each.name === name)!;
    const values = open.read(name, entry.shape);
    return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  } finally {
    open.close();
  }
}

for (const placement of ['split', 'single'] as const) {
  test(`train() leaves conv1 as it is, bit for bit, after its epoch, and trains the rest (${placement})`, async () => {
    // Two steps an epoch; conv1 stands still after the first.
    const ownRates = [{ layer: 'conv1', after: 1, factor: 0 }];
    const common = { ...smallNet('lenet'), placement, batchSize: 5000, optimizer: { ownRates } };
    const devices = placement === 'split' ? ['CPU:0', 'CPU:1'] : ['CPU:0'];
    const names = [1, 2, 5].map((steps) => ({ run: `${placement}-${steps}`, steps }));
    for (const each of names) await eventsOf({ ...common, devices, ...each });
    const file = placement === 'split' ? 'tower-0-of-2.safetensors' : 'tower-0-of-1.safetensors';
    const [before, atEpoch, later] = names.map(
      ({ run }) =>
        (name: string) =>
          bytesOf(run, file, name),
    );
    for (const name of ['tower0/conv1/kernel', 'tower0/conv1/bias']) {
      assert.notDeepEqual(before!(name), atEpoch!(name), `${name} moves in epoch 1`);
      assert.deepEqual(atEpoch!(name), later!(name), `${name} stands still after it`);
    }
    for (const name of ['tower0/conv2/kernel', 'tower0/conv2/bias', 'tower0/fc5/kernel']) {
      assert.notDeepEqual(atEpoch!(name), later!(name), `${name} goes on`);
    }
  });
}

test('train() divides the rate when the evaluations stop improving', async () => {
  // At this rate nothing improves: from the second evaluation on each is no better than the first.
  const schedule = { kind: 'plateau', factor: 0.1, patience: 2, least: 1e-11 };
  const optimizer = { learningRate: 1e-9, schedule };
  const events = await eventsOf({ ...smallNet('lenet'), run: 'plateau', steps: 7, evalEvery: 1, optimizer });
  const rates = of(events, 'train_step').map(({ learning_rate }) => learning_rate);
  assert.equal(new Set(of(events, 'eval').map(({ top1 }) => top1)).size, 1);
  const expected = [1e-9, 1e-9, 1e-9, 1e-10, 1e-10, 1e-11, 1e-11];
  for (const [i, rate] of rates.entries())
    assert.ok(Math.abs(rate / expected[i]! - 1) < 1e-9, `step ${i + 1}: ${rate}`);
});

test('verify() passes without norms, without overlap and with other activations', async () => {
  for (const changes of [{ norm: false }, { overlap: false }, { activation: 'tanh' }, { activation: 'sigmoid' }]) {
    const small = smallNet('original');
    const config = smallConfig({ ...small, net: { ...(small.net as object), ...changes } });
    const { passed, firstDivergent } = await verify(config, { steps: 2 }, { print: () => {} });
    assert.deepEqual([passed, firstDivergent], [true, undefined], JSON.stringify(changes));
  }
});

test('train() trains the one-GPU net on one device, compiled and op by op alike', async () => {
  const net = { ...(smallNet('original').net as object), table: 'one-gpu' };
  const common = { placement: 'single', devices: ['CPU:0'], net, steps: 3, data: { workers: 0 } };
  const losses: number[][] = [];
  for (const compile of ['on', 'off']) {
    const events = await eventsOf({ ...common, run: `one-${compile}`, compile });
    losses.push(of(events, 'train_step').map(({ loss }) => loss));
    assert.equal(of(events, 'run_start')[0]!.towers.length, 1);
  }
  for (const [i, loss] of losses[0]!.entries()) assert.ok(Math.abs(loss - losses[1]![i]!) < 1e-4 * loss, `${losses}`);
});
