/** What a training is warned of, made to happen; and that trainings as the presets have them are warned of nothing. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { openTensors, writeTensors } from '../../src/checkpoint/safetensors.js';
import type { EventOf, LogEvent } from '../../src/log.js';
import { train } from '../../src/train/index.js';
import { fewImages, idx } from '../data/sets.js';
import { SINGLE, smallConfig, smallNet } from './teams.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-warnings-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const FEW = fewImages(folder);
/** Enough for every warning; the rest of the sample would only be evaluated. */
const SOME = fewImages(fs.mkdtempSync(join(folder, 'some-')), { train: 4000, test: 200 });

/** Trains on sixteen images a step. @returns the warnings that have a kind, by it. */
async function warningsOf(run: string, values: Record<string, unknown>) {
  const config = smallConfig({ out: folder, run, batchSize: 16, checkpointEvery: 0, ...values });
  const events: LogEvent[] = [];
  await train(config, { report: (event) => events.push(event), signal: new AbortController().signal });
  const warnings = events.filter((event): event is EventOf<'warning'> => event.event === 'warning');
  return { events, warnings, kinds: warnings.map(({ kind }) => kind), of: new Map(warnings.map((w) => [w.kind, w])) };
}

/** LeNet with ReLUs instead of sigmoids: it learns in some steps. */
const RELU_NET = { ...smallNet('lenet', SOME), net: { ...(smallNet('lenet').net as object), activation: 'relu' } };

test('train() warns that the loss rises, and of the layers, before the loss stops being finite', async () => {
  const values = {
    ...smallNet('original', FEW),
    optimizer: { learningRate: 10, momentum: 0.9 },
    steps: 20,
    evalEvery: 2,
  };
  const { events, of } = await warningsOf('rate', values);
  const end = events.at(-1) as EventOf<'run_end'>;
  assert.match(end.error!, /^Cannot continue: the loss of step \d is (NaN|Infinity)/);
  const { step, value, bound } = of.get('rising-loss')!;
  assert.equal(step, 2);
  assert.ok(value! > bound!);
  assert.ok(of.get('large-activations')!.layers!.some(({ layer }) => layer === 'fc8'));
});

test('train() warns before the first step of initial values that leave no signal, or hardly any', async () => {
  const net = { ...(smallNet('original').net as object), activation: 'sigmoid' };
  const values = { ...smallNet('original', FEW), steps: 1, evalEvery: 100 };
  const weak = await warningsOf('weak', { ...values, ...SINGLE, net });
  assert.deepEqual(weak.kinds.slice(0, 1), ['weak-signal']);
  const { events, of } = await warningsOf('none', { ...values, net: { ...net, init: 'table' } });
  assert.deepEqual([of.get('no-signal')!.step, of.has('weak-signal')], [0, false]);
  assert.ok(
    events.findIndex(({ event }) => event === 'warning') < events.findIndex(({ event }) => event === 'train_step'),
  );
});

test('train() warns of dead units with layer and tower, and of a layer without signal', async () => {
  const values = { ...RELU_NET, optimizer: { learningRate: 1e-6, momentum: 0 }, steps: 2, evalEvery: 1 };
  await warningsOf('alive', { ...values, ...SINGLE });
  killUnits(join(folder, 'alive'), 'fc3/bias');
  const { of } = await warningsOf('dead', { ...values, weights: join(folder, 'alive') });
  const layers = [0, 1].map((tower) => ({ layer: 'fc3', tower, value: 1 }));
  assert.deepEqual(of.get('dead-units')!.layers, layers);
  assert.deepEqual(
    of.get('no-signal')!.layers!.slice(0, 2),
    layers.map((each) => ({ ...each, value: 0 })),
  );
});

/** Writes a bias into the final weights of a run with which no unit of the layer is ever active. */
function killUnits(run: string, bias: string): void {
  fs.rmSync(join(run, 'checkpoints'), { recursive: true });
  for (const name of fs.readdirSync(run).filter((each) => each.endsWith('.safetensors'))) {
    const file = openTensors(join(run, name));
    const values = file.entries.map(({ name, shape }) => file.read(name, shape));
    file.close();
    writeTensors(join(run, name), file.entries, file.metadata, (entry, bytes) => {
      const own = values[file.entries.indexOf(entry)]!;
      bytes.set(new Uint8Array((entry.name.endsWith(bias) ? own.fill(-1000) : own).buffer));
    });
  }
}

test('train() warns at the end that a net of sigmoids has not begun to learn', async () => {
  const values = {
    ...smallNet('lenet', SOME),
    ...SINGLE,
    optimizer: { learningRate: 0.9, momentum: 0 },
    steps: 200,
    evalEvery: 1000,
  };
  const { kinds, of } = await warningsOf('stuck', values);
  assert.deepEqual(kinds, ['no-learning']);
  assert.deepEqual(of.get('no-learning')!.step, 200);
});

interface Bars {
  /** So much too high are the labels of the test images. */
  shift?: number;
  /** The test images are sorted by class, and all images of a class are the same. */
  isSorted?: boolean;
}

/** Ten classes, each with a bright bar of its own. */
function writeBars(name: string, { shift = 0, isSorted = false }: Bars): string {
  const path = join(folder, name);
  fs.mkdirSync(path);
  for (const part of ['train', 't10k'] as const) {
    const isTest = part === 't10k';
    const count = isTest ? 200 : 640;
    const classOf = (image: number) => (isTest && isSorted ? Math.floor(image / 20) : image % 10);
    const noiseOf = (i: number) => (isTest && isSorted ? 0 : (i * 7919) % 50);
    const images = new Uint8Array(count * 784).map((_, i) => {
      const [image, column] = [Math.floor(i / 784), i % 28];
      return (Math.floor(column / 2.8) === classOf(image) ? 200 : 0) + noiseOf(i);
    });
    const labels = Array.from({ length: count }, (_, i) => (classOf(i) + (isTest ? shift : 0)) % 10);
    fs.writeFileSync(join(path, `${part}-images-idx3-ubyte`), idx(0x803, [count, 28, 28], images));
    fs.writeFileSync(join(path, `${part}-labels-idx1-ubyte`), idx(0x801, [count], labels));
  }
  return path;
}

test('train() warns of test images whose classes are in another order, and not if the order is right', async () => {
  for (const shift of [0, 1]) {
    const data = { ...(RELU_NET as { data?: object }).data, source: writeBars(`bars-${shift}`, { shift }) };
    const { kinds, events } = await warningsOf(`bars-${shift}`, {
      ...RELU_NET,
      ...SINGLE,
      data,
      steps: 60,
      evalEvery: 60,
    });
    const { top1 } = events.find((event): event is EventOf<'eval'> => event.event === 'eval')!;
    assert.deepEqual(kinds, shift === 0 ? [] : ['test-at-chance'], `top-1 is ${top1}`);
  }
});

test('train() measures layers on images of all classes, even if test images are sorted by class', async () => {
  const source = writeBars('sorted', { isSorted: true });
  const data = { ...(RELU_NET as { data?: object }).data, source };
  const { kinds, events } = await warningsOf('sorted', { ...RELU_NET, ...SINGLE, data, steps: 2, evalEvery: 1 });
  const found = events.filter((event): event is EventOf<'activations'> => event.event === 'activations');
  assert.deepEqual(
    found.map(({ step, images, layers }) => [step, images, layers[0]!.signal === found[0]!.layers[0]!.signal]),
    [0, 1, 2].map((step) => [step, 16, true]),
  );
  assert.ok(found[0]!.layers[0]!.signal > 0.1, `the images' deviation is ${found[0]!.layers[0]!.signal}`);
  assert.deepEqual(kinds, []);
});

const NARROW = { width: 0.125, inputSize: 67, classes: 10 };

// Two towers have the same losses as one (train.test.ts): one preset with two is enough.
for (const [preset, values] of [
  ['mini', { data: { source: SOME } }],
  ['fashion', { ...SINGLE, net: { ...NARROW, width: 0.25 }, data: { source: SOME, resize: 74 } }],
  ['imagenet', { ...SINGLE, net: { ...NARROW, width: 0.25 }, data: { source: SOME, resize: 74 } }],
  ['tutorial', { ...SINGLE, net: NARROW, data: { source: SOME, resize: 67 } }],
  ['lenet', { ...SINGLE, data: { source: SOME } }],
] as const) {
  test(`train() does not warn in a training with the preset ${preset}`, async () => {
    const { kinds } = await warningsOf(`good-${preset}`, { preset, ...values, steps: 60, evalEvery: 30 });
    assert.deepEqual(kinds, []);
  });
}
