/** Whole runs: split and single have the same losses, and their weights convert into each other. */
import '../faults/workers.js';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import type { Config } from '../../src/config/config.js';
import type { LogEvent } from '../../src/log.js';
import { buildNet, parametersOf } from '../../src/model/net.js';
import { evaluateRun, train } from '../../src/train/index.js';
import { fewImages } from '../data/sets.js';
import { withFault } from '../faults/fault.js';
import { DEVICES, SINGLE, smallConfig, smallNet } from './teams.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-train-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const FEW = fewImages(folder);

async function run(values: Record<string, unknown>, signal = new AbortController().signal) {
  const config = smallConfig({ ...smallNet('original', FEW), out: folder, steps: 20, ...values });
  const events: LogEvent[] = [];
  const result = await train(config, { report: (event) => events.push(event), signal });
  return { config, events, result };
}

function of<Name extends LogEvent['event']>(events: readonly LogEvent[], name: Name) {
  return events.filter((event): event is Extract<LogEvent, { event: Name }> => event.event === name);
}

let split: Awaited<ReturnType<typeof run>>;
let single: Awaited<ReturnType<typeof run>>;

test('train() split and single have the same losses over 20 steps, with dropout and augmentation', async () => {
  split = await run({ run: 'split', check: true });
  single = await run({ run: 'single', ...SINGLE });
  const [a, b] = [split, single].map(({ events }) => of(events, 'train_step').map(({ loss }) => loss));
  assert.equal(a!.length, 20);
  a!.forEach((loss, i) => {
    assert.ok(Math.abs(loss - b![i]!) <= 1e-4 * Math.abs(b![i]!), `step ${i + 1}: ${loss} and ${b![i]}`);
  });
});

test('train() logs the same norm of the gradients split and single, and what the batches cost', () => {
  const [a, b] = [split, single].map(({ events }) => of(events, 'train_step'));
  for (const [i, step] of a!.entries()) {
    const [norm, other] = [step.gradient_norm!, b![i]!.gradient_norm!];
    assert.ok(norm > 0 && Math.abs(norm - other) <= 1e-3 * other, `step ${i + 1}: ${norm} and ${other}`);
    assert.equal(step.device_bytes, 2 * b![i]!.device_bytes!, 'both towers read the images');
    assert.ok(step.device_bytes! > 2 * step.images * 67 * 67, `${step.device_bytes} bytes`);
    assert.ok(step.decode_ms! > 0 && step.resident_bytes! > 1e7);
    assert.equal(step.read_bytes, 0, 'the images are in memory');
  }
});

test('train() measures the same activations split and single: of the images, then of each layer by tower', async () => {
  const [a, b] = [split, single].map(({ events }) => of(events, 'activations'));
  assert.deepEqual(
    a!.map(({ step, images }) => [step, images]),
    [
      [0, 8],
      [20, 8],
    ],
  );
  const places = (event: Extract<LogEvent, { event: 'activations' }>) =>
    event.layers.map(({ layer, tower }) => `${layer} ${tower}`);
  const both = ['conv1', 'pool1', 'conv2', 'pool2', 'conv3', 'conv4', 'conv5', 'pool5', 'fc6', 'fc7'];
  const expected = ['images 0', ...both.flatMap((layer) => [`${layer} 0`, `${layer} 1`]), 'fc8 0'];
  for (const [i, mine] of a!.entries()) {
    assert.deepEqual([places(mine), places(b![i]!)], [expected, expected]);
    for (const [j, layer] of mine.layers.entries()) {
      const theirs = b![i]!.layers[j]!;
      for (const key of ['mean', 'sd', 'max', 'zero', 'signal'] as const) {
        const [x, y] = [layer[key], theirs[key]];
        assert.ok(Math.abs(x - y) <= 1e-3 * Math.max(layer.sd, Math.abs(x)), `${layer.layer} ${key}: ${x} and ${y}`);
      }
    }
  }
  const dead = a![0]!.layers.filter((layer) => layer.dead !== undefined).map(({ layer }) => layer);
  // ReLUs: after pool1 and pool5, not after conv1, conv5, pool2 and fc8.
  assert.deepEqual([...new Set(dead)], ['pool1', 'conv2', 'conv3', 'conv4', 'pool5', 'fc6', 'fc7']);
});

test('train() reports its events in order, and the devices on which TensorFlow has the towers', () => {
  const { events } = split;
  assert.deepEqual(
    events.map(({ event }) => event),
    [
      ...['run_start', 'check', 'activations', 'memory', 'train_step', 'exchange', ...Array(19).fill('train_step')],
      ...['eval', 'activations', 'memory', 'checkpoint', 'run_end'],
    ],
  );
  const [start] = of(events, 'run_start');
  assert.deepEqual(
    start!.towers.map(({ backing_device }) => backing_device.slice(-6)),
    DEVICES.map((name) => `:${name}`),
  );
  assert.equal(start!.parameters, start!.towers[0]!.parameters + start!.towers[1]!.parameters);
  const [end] = of(events, 'run_end');
  assert.deepEqual([end!.status, end!.exit_code, end!.steps, end!.images], ['done', 0, 20, 160]);
  assert.equal(of(events, 'check')[0]!.passed, true);
});

test('train() reports times that add up to step_ms, and the bytes that both towers sent', () => {
  for (const step of of(split.events, 'train_step')) {
    const parts = step.data_ms + step.compute_ms + step.exchange_ms + step.wait_ms + step.other_ms;
    assert.ok(Math.abs(parts - step.step_ms) < 1e-6);
    assert.ok(step.other_ms >= 0, `other_ms is ${step.other_ms}`);
    for (const tower of step.towers) {
      assert.ok(Math.abs(tower.compute_ms + tower.exchange_ms + tower.wait_ms - tower.step_ms) < 1e-6);
      assert.ok(tower.exchange_ms > 0 && tower.wait_ms >= 0 && tower.compute_ms > 0);
    }
    assert.equal(step.exchange_bytes, step.towers[0]!.exchange_bytes + step.towers[1]!.exchange_bytes);
    // conv3, fc6, fc7 both ways by each tower, fc8 once; a header is below 512 bytes.
    const floats = 3 * 3 * 16 + 1 * 16 + 256 + 256 / 2;
    const values = 4 * 8 * 2 * 2 * floats;
    assert.ok(step.exchange_bytes > values && step.exchange_bytes < values + 14 * 512, `${step.exchange_bytes}`);
    assert.equal(step.epoch, 1);
  }
});

test('train() reports once what a step sends, at each cross-connection', () => {
  const [exchange] = of(split.events, 'exchange');
  for (const step of of(split.events, 'train_step')) {
    const bytes = step.towers.map(({ tower }) =>
      exchange!.sites.reduce((total, each) => total + (each.tower === tower ? each.bytes : 0), 0),
    );
    assert.deepEqual(
      bytes,
      step.towers.map((tower) => tower.exchange_bytes),
    );
  }
  const both = { conv3: 3 * 3 * 16, fc6: 16, fc7: 256 };
  const values = [
    ...Object.entries(both).flatMap(([site, floats]) =>
      ['forward', 'backward'].map((way) => [`${site} ${way}`, floats]),
    ),
    ...[['gradients backward', 1 / 8]],
  ] as [string, number][];
  for (const tower of [0, 1]) {
    const sent = exchange!.sites.filter((each) => each.tower === tower);
    // Tower 0 has the last layer: it only receives there, and sends the gradient.
    const expected = new Map([...values, [`fc8 ${tower === 0 ? 'backward' : 'forward'}`, 256]]);
    assert.deepEqual(sent.map(({ site, direction }) => `${site} ${direction}`).sort(), [...expected.keys()].sort());
    for (const { site, direction, bytes } of sent) {
      const payload = 4 * 8 * expected.get(`${site} ${direction}`)!;
      assert.ok(bytes > payload && bytes < payload + 512, `${site} ${direction}: ${bytes} bytes for ${payload}`);
    }
  }
  assert.deepEqual(of(single.events, 'exchange'), []);
});

test('train() reports the memory with each activations: in the end each parameter and its velocity, and nothing else', () => {
  for (const { config, events } of [split, single]) {
    const [start] = of(events, 'run_start');
    const found = of(events, 'memory');
    assert.deepEqual(
      found.map(({ step }) => step),
      of(events, 'activations').map(({ step }) => step),
    );
    for (const { resident_bytes: resident, heap_bytes: heap } of found) assert.ok(resident > heap && heap > 2 ** 20);
    const expected = start!.towers.map(({ tower, parameters }) => {
      const own = parametersOf(buildNet(config.net), events === single.events ? undefined : (tower as 0 | 1));
      return { tower, tensors: 2 * own.length, tensor_bytes: 2 * 4 * parameters };
    });
    assert.deepEqual(found.at(-1)!.towers, expected);
  }
});

test('evaluateRun() evaluates a split run on two devices and on one, with the same result', async () => {
  const [expected] = of(split.events, 'eval');
  const onTwo = await evaluateRun(split.config, join(folder, 'split'));
  const one: Config = { ...split.config, ...SINGLE };
  const onOne = await evaluateRun(one, join(folder, 'split'));
  const fromSingle = await evaluateRun(split.config, join(folder, 'single'));
  for (const { images, loss, top1, top5 } of [onTwo, onOne, fromSingle]) {
    assert.deepEqual([images, top1, top5], [40, expected!.top1, expected!.top5]);
    assert.ok(Math.abs(loss - expected!.loss) < 1e-4 * expected!.loss);
  }
});

test('evaluateRun() refuses weights of another net, and a folder without any', async () => {
  const other = { ...split.config, net: { ...split.config.net, width: 0.25 } };
  await assert.rejects(
    evaluateRun(other, join(folder, 'split')),
    /conv1\/kernel has the shape \[11,11,3,6\] there, and \[11,11,3,12\]/,
  );
  fs.mkdirSync(join(folder, 'empty'));
  await assert.rejects(evaluateRun(split.config, join(folder, 'empty')), /it has no weights/);
});

test('train() stops after the present step, and saves the weights', async () => {
  const controller = new AbortController();
  const config = smallConfig({ ...smallNet('lenet', FEW), out: folder, run: 'stopped', steps: 50 });
  const events: LogEvent[] = [];
  const report = (event: LogEvent) => {
    events.push(event);
    if (event.event === 'train_step' && event.step === 3) controller.abort('SIGTERM');
  };
  // The requested name exists already, so another one is made.
  const begin = (asked: Config) => ({ ...asked, run: 'stopped' });
  const { exitCode, steps } = await train({ ...config, run: 'taken' }, { report, begin, signal: controller.signal });
  assert.deepEqual([exitCode, steps, of(events, 'run_start')[0]!.run], [143, 3, 'stopped']);
  assert.ok(!fs.existsSync(join(folder, 'taken')));
  assert.equal(of(events, 'run_end')[0]!.status, 'stopped');
  assert.ok(fs.existsSync(join(folder, 'stopped', 'tower-1-of-2.safetensors')));
});

test('train() stops before the update when the loss is not finite, and says at which step and rate', async () => {
  const { events, result } = await run({ run: 'nan', optimizer: { learningRate: 1e30 } });
  const [end] = of(events, 'run_end');
  assert.deepEqual([result.exitCode, end!.status, end!.exit_code], [1, 'failed', 1]);
  assert.match(
    end!.error!,
    /the loss of step 2 is (NaN|Infinity) at learning rate 1e\+30, first in the activation of conv\d.*; its batch has the training images \d+, \d+, \d+ and 5 more, which the log names; start again, with --run nan-lower --out \S+ --lr 1e\+29 beside the other flags$/,
  );
  const images = end!.batch_images!;
  assert.equal(new Set(images).size, 8);
  assert.ok(end!.error!.includes(`images ${images.slice(0, 3).join(', ')} and`));
  assert.ok(of(events, 'train_step').every(({ loss }) => Number.isFinite(loss)));
});

test('train() does not start when split and reference differ', async () => {
  const { events, result } = await withFault('swap-channels@fc6', () => run({ run: 'swapped', check: true }));
  assert.equal(result.exitCode, 1);
  assert.equal(of(events, 'train_step').length, 0);
  assert.match(of(events, 'run_end')[0]!.error!, /differs from the reference, first in tower0\/fc6\/input/);
});

test('train() evaluates after each epoch, or every evalEvery steps', async () => {
  const often = await run({ ...smallNet('lenet', FEW), ...SINGLE, run: 'often', steps: 5, evalEvery: 2 });
  assert.deepEqual(
    of(often.events, 'eval').map(({ step }) => step),
    [2, 4, 5],
  );
  const epochs = await run({
    ...smallNet('lenet', FEW),
    ...SINGLE,
    run: 'epochs',
    batchSize: 160,
    steps: null,
    epochs: 2,
  });
  assert.deepEqual(
    of(epochs.events, 'eval').map(({ step, epoch }) => [step, epoch]),
    [
      [3, 1],
      [6, 2],
    ],
  );
  assert.deepEqual(
    of(epochs.events, 'train_step').map(({ images }) => images),
    [160, 160, 80, 160, 160, 80],
  );
});
