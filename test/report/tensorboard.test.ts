/** TensorBoard's own reader reads what is written of a run's events. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import type { LogEvent } from '../../src/log.js';
import { eventFileName, isEventFile, tensorboardEncoder } from '../../src/report/tensorboard.js';
import { ACTIVATIONS, EVAL, EXCHANGE, MEMORY, RUN_END, RUN_START, trainStep } from '../events.js';
import { openReader } from '../tensorboard-reader.js';

const temporary = mkdtempSync(join(tmpdir(), 'alexnet-split-tensorboard-'));
after(() => rmSync(temporary, { recursive: true, force: true }));

const reader = await openReader();
const skip = 'skip' in reader && reader.skip;
const read = 'skip' in reader ? undefined : reader.tool;

const START_MS = 1_760_000_000_000;

/** Writes a file of events, one second apart. */
function write(folder: string, events: readonly LogEvent[], start = START_MS): void {
  const encode = tensorboardEncoder();
  mkdirSync(folder, { recursive: true });
  const bytes = events.map((event, i) => encode(event, start + 1000 * i));
  writeFileSync(join(folder, eventFileName(start, 'test')), Buffer.concat(bytes));
}

test('every number has its tag, step, time and value', { skip }, async () => {
  const folder = join(temporary, 'values');
  write(folder, [RUN_START, ACTIVATIONS, MEMORY, trainStep(1), EXCHANGE, trainStep(2, { loss: 1.25 }), EVAL, RUN_END]);
  const { scalars, times } = await read!(folder);
  const step = { 1: 2.3, 2: 1.25 };
  assert.deepEqual(scalars['train/loss'], rounded(step));
  assert.deepEqual(times['train/loss'], { 1: START_MS / 1000 + 3, 2: START_MS / 1000 + 5 });
  assert.deepEqual(scalars['train/top1'], { 1: 0.25, 2: 0.25 });
  assert.deepEqual(scalars['train/learning_rate'], rounded({ 1: 0.02, 2: 0.02 }));
  assert.deepEqual(scalars['time/images_per_s'], { 1: 200, 2: 200 });
  assert.deepEqual(scalars['time/step_ms'], { 1: 20, 2: 20 });
  assert.deepEqual(scalars['time/tower1/compute_ms'], { 1: 9, 2: 9 });
  assert.deepEqual(scalars['time/tower0/wait_ms'], { 1: 4, 2: 4 });
  assert.deepEqual(scalars['exchange/bytes'], { 1: 300, 2: 300 });
  assert.deepEqual(scalars['eval/top1'], rounded({ 3: EVAL.top1 }));
  assert.deepEqual(scalars['eval/loss'], { 3: 0.5 });
  assert.deepEqual(scalars['memory/resident_bytes'], rounded({ [MEMORY.step]: MEMORY.resident_bytes }));
  const [layer] = ACTIVATIONS.layers;
  const tag = `activations_sd/${layer!.layer}/tower${layer!.tower}`;
  assert.deepEqual(scalars[tag], rounded({ [ACTIVATIONS.step]: layer!.sd }));
  const [site] = EXCHANGE.sites;
  const sent = `exchange/${site!.site}/${site!.direction}/tower${site!.tower}_bytes`;
  assert.deepEqual(scalars[sent], rounded({ [EXCHANGE.step]: site!.bytes }));
});

test('settings, warnings and the end are texts that Markdown does not change', { skip }, async () => {
  const folder = join(temporary, 'texts');
  const message = '<b>*loud*</b> | ```\n# second line';
  write(folder, [RUN_START, trainStep(1), { event: 'warning', message }, RUN_END]);
  const { texts } = await read!(folder);
  const config = texts['run/config']!['0']!;
  assert.deepEqual(JSON.parse(config), RUN_START.config);
  assert.ok(config.split('\n').every((line) => line.startsWith('    ')));
  assert.equal(texts['warning/other']!['1'], '    <b>*loud*</b> | ```\n    # second line');
  assert.match(texts['run/end']!['3']!, /^ {4}done: test accuracy 0\.8200/);
});

test('the settings of the training are hyper-parameters', { skip }, async () => {
  const folder = join(temporary, 'settings');
  const config = {
    ...{ run: 'r', out: 'runs', logEvery: 10, batchSize: 64, seed: 0, steps: null, check: false, empty: '' },
    ...{ devices: ['CPU:0', 'CPU:1'], optimizer: { learningRate: 0.01, schedule: { kind: 'constant' } } },
  };
  write(folder, [{ ...RUN_START, config }]);
  assert.deepEqual((await read!(folder)).settings, {
    ...{ batchSize: 64, seed: 0, check: false, empty: '', devices: '["CPU:0","CPU:1"]' },
    ...{ 'optimizer.learningRate': 0.01, 'optimizer.schedule.kind': 'constant' },
  });
});

test('NaN and infinities stay what they are', { skip }, async () => {
  const folder = join(temporary, 'nan');
  const losses = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  write(folder, [RUN_START, ...losses.map((loss, i) => trainStep(i + 1, { loss }))]);
  const { scalars } = await read!(folder);
  assert.deepEqual(scalars['train/loss'], { 1: 'nan', 2: 'inf', 3: '-inf' });
});

test('steps that a resume repeats count once, from one file or from two', { skip }, async () => {
  const first = [RUN_START, ...[1, 2, 3, 4].map((step) => trainStep(step, { loss: step }))];
  const resume: LogEvent = { event: 'resume', step: 2, checkpoint: 'runs/r/checkpoints/2', skipped: [] };
  const second = [RUN_START, resume, ...[3, 4, 5].map((step) => trainStep(step, { loss: step + 0.5 }))];
  const [one, two] = [join(temporary, 'one'), join(temporary, 'two')];
  write(one, [...first, ...second]);
  write(two, first);
  write(two, second, START_MS + 60_000);
  const expected = { 1: 1, 2: 2, 3: 3.5, 4: 4.5, 5: 5.5 };
  for (const folder of [one, two]) assert.deepEqual((await read!(folder)).scalars['train/loss'], expected, folder);
});

test('a step above 2^32 and a long text have room', { skip }, async () => {
  const folder = join(temporary, 'large');
  const step = 2 ** 40;
  write(folder, [trainStep(step), { event: 'warning', message: 'm'.repeat(100_000), step }]);
  const { scalars, texts } = await read!(folder);
  assert.deepEqual(Object.keys(scalars['train/loss']!), [String(step)]);
  assert.equal(texts['warning/other']![step]!.length, 100_004);
});

test('names of event files sort by time', () => {
  const names = [START_MS, START_MS + 1000, 0].map((time) => eventFileName(time, 'x'));
  assert.deepEqual([...names].sort(), [names[2], names[0], names[1]]);
  assert.ok(names.every(isEventFile));
  assert.ok(!isEventFile('log.ndjson'));
});

/** TensorBoard keeps float32. */
function rounded(values: Record<number, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([step, value]) => [step, Math.fround(value)]));
}
