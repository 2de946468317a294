/** Trainings that start from other weights: a new last layer, frozen layers, and a rate of the last layer. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { openTensors } from '../../src/checkpoint/safetensors.js';
import { newestCheckpoint } from '../../src/checkpoint/store.js';
import { weightsNames } from '../../src/checkpoint/weights-files.js';
import type { EventOf, LogEvent } from '../../src/log.js';
import { buildNet } from '../../src/model/net.js';
import { openFeed } from '../../src/train/feed.js';
import { train } from '../../src/train/index.js';
import { openTeam } from '../../src/train/team.js';
import { exportWeights } from '../../src/weights/export.js';
import { fewImages } from '../data/sets.js';
import { DEVICES, SINGLE, smallConfig, smallNet } from './teams.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-fine-tuning-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));

const SMALL: Record<string, unknown> = { ...smallNet('lenet', fewImages(out)), out };
const SPLIT = { placement: 'split', devices: DEVICES };

function configOf(values: Record<string, unknown>, net = {}) {
  return smallConfig({ ...SMALL, net: { ...(SMALL.net as object), ...net }, ...values });
}

async function run(values: Record<string, unknown>) {
  const config = configOf(values);
  const events: LogEvent[] = [];
  const { found: checkpoint } = newestCheckpoint(join(out, config.run, 'checkpoints'));
  const resume = checkpoint && { checkpoint, skipped: [] };
  const ui = { report: (each: LogEvent) => events.push(each), signal: new AbortController().signal, resume };
  assert.equal((await train(config, ui)).exitCode, 0);
  const of = <Name extends LogEvent['event']>(name: Name) =>
    events.filter((each): each is EventOf<Name> => each.event === name);
  return { config, of, weights: weightsOf(join(out, config.run)) };
}

/** Each parameter's bytes, by its name. */
function weightsOf(folder: string): Map<string, Buffer> {
  const values = new Map<string, Buffer>();
  for (const file of fs.readdirSync(folder).filter((name) => name.endsWith('.safetensors'))) {
    const tensors = openTensors(join(folder, file));
    for (const { name, shape } of tensors.entries) values.set(name, Buffer.from(tensors.read(name, shape).buffer));
    tensors.close();
  }
  return values;
}

/** Saves the weights with which towers start, in a folder below `out`. */
async function saveStart(name: string, values: Record<string, unknown>, net = {}): Promise<Map<string, Buffer>> {
  const config = configOf(values, net);
  const { feeder } = await openFeed(configOf({ placement: 'single', devices: [DEVICES[0]] }));
  const team = await openTeam(config, feeder);
  try {
    const folder = join(out, name);
    fs.mkdirSync(folder);
    const files = weightsNames(team.first.length).map((file) => join(folder, file));
    await Promise.all(team.first.map((tower, i) => tower.ask({ kind: 'save', file: files[i]!, step: 0 })));
    return weightsOf(folder);
  } finally {
    await team.close();
    await feeder.close();
  }
}

// The weights of another training: another seed, and seven classes.
const base = await saveStart('base', { ...SPLIT, seed: 5 }, { classes: 7 });
const START = { weights: 'base', newHead: true };

/** The names of parameters whose bytes are the same. */
function sameIn(a: Map<string, Buffer>, b: Map<string, Buffer>): string[] {
  return [...a.keys()].filter((name) => b.get(name)?.equals(a.get(name)!));
}

test('newHead draws the last layer anew, and takes the rest of a run or of a file', async () => {
  const fresh = await saveStart('fresh', SPLIT);
  const starts: Map<string, Buffer>[] = [];
  const file = join(out, 'base.safetensors');
  const net = buildNet(configOf({}, { classes: 7 }).net);
  exportWeights(
    net,
    weightsNames(2).map((name) => join(out, 'base', name)),
    file,
    {},
  );
  const [head, rest] = [0, 1].map((is) => [...fresh.keys()].filter((name) => name.includes('fc5') === (is === 0)));
  assert.deepEqual([head!.length, rest!.length], [2, 16]);
  for (const [i, weights] of ['base', file].entries()) {
    const start = await saveStart(`start-${i}`, { ...SPLIT, weights, newHead: true });
    assert.deepEqual(sameIn(start, base), rest);
    starts.push(start);
  }
  // Weights of the same seed and as many classes began with the values of a new net.
  const own = await saveStart('own', { ...SPLIT, weights: 'fresh', newHead: true });
  const single = await saveStart('own-single', { ...SINGLE, weights: 'fresh', newHead: true });
  const kernel = head!.filter((name) => name.endsWith('kernel'));
  assert.equal(kernel.length, 1);
  for (const start of [...starts, own, single]) {
    assert.ok(!sameIn(start, fresh).includes(kernel[0]!));
    assert.deepEqual(
      sameIn(start, own).filter((name) => head!.includes(name)),
      head,
    );
  }
});

test('a split training with frozen layers and a new head equals the single one, and keeps the frozen bits', async () => {
  const optimizer = { freeze: ['conv1-conv2'], headRate: 5 };
  const split = await run({ ...START, ...SPLIT, run: 'split', steps: 3, optimizer, check: true });
  const single = await run({ ...START, ...SINGLE, run: 'single', steps: 3, optimizer });
  assert.equal(split.of('check')[0]!.passed, true);
  const losses = [split, single].map(({ of }) => of('train_step').map(({ loss }) => loss));
  for (const [i, loss] of losses[0]!.entries()) assert.ok(Math.abs(loss - losses[1]![i]!) < 1e-5 * loss, `${losses}`);
  const frozen = [...base.keys()].filter((name) => /conv/.test(name));
  for (const { weights } of [split, single]) assert.deepEqual(sameIn(base, weights), frozen);
  const { parameters, frozen: event } = split.of('run_start')[0]!;
  assert.deepEqual(event!.layers, ['conv1', 'conv2']);
  assert.equal(
    event!.parameters,
    frozen.reduce((sum, name) => sum + base.get(name)!.length / 4, 0),
  );
  assert.ok(event!.parameters < parameters);
  // No gradient crosses below the lowest layer that trains.
  const crossed = (direction: string) =>
    split
      .of('exchange')[0]!
      .sites.flatMap((each) => (each.direction === direction && each.tower === 0 ? each.site : []));
  assert.deepEqual(crossed('forward'), ['conv2', 'fc3', 'fc4']);
  assert.deepEqual(crossed('backward'), ['fc5', 'fc4', 'gradients']);
});

test('a run that trains the last layer alone continues from its checkpoint with the same bits', async () => {
  // Tower 1 has no layer to train then.
  const values = { ...START, ...SPLIT, check: false, optimizer: { freeze: ['conv1-fc4'] } };
  const whole = await run({ ...values, run: 'whole', steps: 4 });
  await run({ ...values, run: 'parts', steps: 2 });
  fs.renameSync(join(out, 'base'), join(out, 'moved'));
  const parts = await run({ ...values, run: 'parts', steps: 4 });
  fs.renameSync(join(out, 'moved'), join(out, 'base'));
  assert.equal(parts.of('resume').length, 1);
  assert.equal(sameIn(whole.weights, parts.weights).length, whole.weights.size);
  const twice = { replicas: 2, batchSize: 4, devices: [...DEVICES, ...DEVICES] };
  const pairs = await run({ ...values, ...twice, run: 'pairs', steps: 1 });
  const opByOp = await run({ ...values, ...SINGLE, run: 'op-by-op', steps: 1, compile: 'off' });
  const [a, b, c] = [whole, pairs, opByOp].map(({ of }) => of('train_step')[0]!.loss);
  assert.ok(Math.abs(a! - b!) < 1e-5 * a! && Math.abs(a! - c!) < 1e-5 * a!, `${a} ${b} ${c}`);
});

test('train() names --new-head if only the classes of the weights differ', async () => {
  const file = join(out, 'base.safetensors');
  const start = (values: Record<string, unknown>) => run({ ...SINGLE, run: 'wrong', steps: 1, ...values });
  await assert.rejects(
    start({ weights: 'base' }),
    /Cannot start from the weights base: they are for 7 classes, and this net has 10; draw .* fc5, anew with --new-head/,
  );
  await assert.rejects(start({ weights: file }), /fc5\.weight is \[7,84\] and .*; --new-head draws fc5 anew/);
  const net = { ...(SMALL.net as object), width: 2 };
  await assert.rejects(
    start({ ...START, net }),
    /base: tower0\/conv1\/kernel has the shape \[5,5,1,3\] there, and \[5,5,1,6\] in this net; choose the net/,
  );
});
