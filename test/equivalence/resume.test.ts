/** A run that was stopped and resumed is the run that was not: every loss, every weight. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { checkpointsFolder, newestCheckpoint, readCheckpoint, stepsIn } from '../../src/checkpoint/store.js';
import type { Config } from '../../src/config/config.js';
import type { LogEvent } from '../../src/log.js';
import { evaluateRun, type Resume, train } from '../../src/train/index.js';
import { fewImages } from '../data/sets.js';
import { DEVICES, SINGLE, smallConfig, smallNet } from './teams.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-resume-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));

const FEW = fewImages(out);
/** An epoch of 400 images has 50: all of these lie within one. */
const STEPS = 12;
const BATCH = 8;

function configOf(values: Record<string, unknown>): Config {
  return smallConfig({ ...smallNet('original', FEW), out, steps: STEPS, batchSize: BATCH, ...values });
}

/** Trains, and asks for a stop after step `stopAt`, or after the following evaluation. */
async function run(
  values: Record<string, unknown>,
  resume?: Resume,
  stopAt?: number,
  at: 'train_step' | 'eval' = 'train_step',
) {
  const config = configOf(values);
  const events: LogEvent[] = [];
  const controller = new AbortController();
  const report = (event: LogEvent) => {
    events.push(event);
    if (event.event === at && event.step === stopAt) controller.abort('SIGTERM');
  };
  const result = await train(config, { report, signal: controller.signal, resume });
  return { config, events, result, folder: join(out, config.run) };
}

function newest(folder: string): Resume {
  const { found, skipped } = newestCheckpoint(checkpointsFolder(folder));
  return { checkpoint: found!, skipped };
}

function of<Name extends LogEvent['event']>(events: readonly LogEvent[], name: Name) {
  return events.filter((event): event is Extract<LogEvent, { event: Name }> => event.event === name);
}

function losses(events: readonly LogEvent[]): [number, number][] {
  return of(events, 'train_step').map(({ step, loss }) => [step, loss]);
}

function weights(folder: string): string[] {
  const files = fs.readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
  return files.sort().map(
    (name) =>
      `${name} ${createHash('sha256')
        .update(fs.readFileSync(join(folder, name)))
        .digest('hex')}`,
  );
}

let undisturbed: Awaited<ReturnType<typeof run>>;

test('train() resumes in the middle of an epoch with the same bits as an uninterrupted run', async () => {
  undisturbed = await run({ run: 'undisturbed', checkpointEvery: 5, keep: 9 });
  const stopped = await run({ run: 'stopped' }, undefined, 6);
  assert.deepEqual([stopped.result.exitCode, stopped.result.steps], [143, 6]);
  const again = await run({ run: 'stopped' }, newest(stopped.folder), 9);
  const first = { step: 1, loss: losses(undisturbed.events)[0]![1] };
  assert.deepEqual(
    newest(again.folder).checkpoint.state.losses,
    { first },
    'the first loss of the run, not of the process',
  );
  const last = await run({ run: 'stopped' }, newest(stopped.folder));
  assert.deepEqual(
    [...losses(stopped.events), ...losses(again.events), ...losses(last.events)],
    losses(undisturbed.events),
  );
  assert.deepEqual(weights(last.folder), weights(undisturbed.folder));
  const [a, b] = [undisturbed, last].map(({ events }) =>
    of(events, 'eval').map(({ step, epoch, images, loss, top1, top5 }) => ({ step, epoch, images, loss, top1, top5 })),
  );
  assert.deepEqual(b, a);
  const [end] = of(last.events, 'run_end');
  assert.deepEqual([end!.steps, end!.images], [STEPS, STEPS * BATCH]);
  const [start] = of(last.events, 'resume');
  assert.deepEqual([start!.step, start!.skipped], [9, []]);
});

test('train() resumes from any checkpoint, across the end of an epoch, with the learning rate of its schedule', async () => {
  const epochs = {
    ...smallNet('lenet', FEW),
    ...SINGLE, // epochs and rates do not depend on the placement
    ...{
      batchSize: 80,
      steps: 12,
      checkpointEvery: 1,
      keep: 20,
      optimizer: { schedule: { kind: 'steps', epochs: [1], factor: 0.1 } },
    },
  };
  const whole = await run({ ...epochs, run: 'epochs' });
  const rates = of(whole.events, 'train_step').map(({ learning_rate }) => learning_rate);
  assert.equal(new Set(rates).size, 2);
  for (const step of [4, 5, 11]) {
    const folder = join(checkpointsFolder(whole.folder), String(step).padStart(10, '0'));
    const checkpoint = readCheckpoint(folder);
    const inEpoch = ((step - 1) % 5) + 1;
    assert.deepEqual([checkpoint.state.epoch, checkpoint.state.epochImages], [Math.ceil(step / 5), inEpoch * 80]);
    assert.equal(checkpoint.state.learningRate, rates[step - 1]);
    const resumed = await run({ ...epochs, run: `from${step}` }, { checkpoint, skipped: [] });
    assert.deepEqual(losses(resumed.events), losses(whole.events).slice(step));
    assert.deepEqual(weights(resumed.folder), weights(whole.folder));
  }
});

test('train() resumes a checkpoint with the other placement, and back, with the same weights', async () => {
  const from = { checkpoint: readCheckpoint(join(checkpointsFolder(undisturbed.folder), '0000000005')), skipped: [] };
  const single = await run({ run: 'single', ...SINGLE, steps: 8 }, from);
  assert.deepEqual(stepsIn(checkpointsFolder(single.folder)), [8]);
  const back = await run({ run: 'back' }, newest(single.folder));
  const expected = losses(undisturbed.events).slice(5);
  const found = [...losses(single.events), ...losses(back.events)];
  assert.equal(found.length, expected.length);
  found.forEach(([step, loss], i) => {
    assert.ok(Math.abs(loss - expected[i]![1]) < 1e-4 * loss, `step ${step}: ${loss} and ${expected[i]![1]}`);
  });
  assert.equal(found[0]![1], expected[0]![1], 'the loss before the first update is of the same weights');
});

test('train() does a missed evaluation after it is resumed', async () => {
  const values = { ...smallNet('lenet', FEW), ...SINGLE, run: 'left-out', steps: 6, evalEvery: 3 };
  const stopped = await run(values, undefined, 3);
  assert.deepEqual(of(stopped.events, 'eval'), []);
  const resumed = await run(values, newest(stopped.folder));
  assert.deepEqual(
    of(resumed.events, 'eval').map(({ step }) => step),
    [3, 6],
  );
});

test('train() saves the best evaluation if it is stopped in the measurement after it', async () => {
  const values = { ...smallNet('lenet', FEW), ...SINGLE, run: 'measured', steps: 6, evalEvery: 3 };
  const { events, folder } = await run(values, undefined, 3, 'eval');
  const { top1 } = of(events, 'eval')[0]!;
  assert.deepEqual(newest(folder).checkpoint.state.best, { step: 3, top1 });
});

test('train() keeps the newest checkpoints and the one with the best evaluation', async () => {
  const rate = { learningRate: 0.5 }; // from the first evaluation on it learns nothing more
  const { events, folder } = await run({
    ...{
      ...smallNet('lenet', FEW),
      ...SINGLE,
      run: 'best',
      steps: 12,
      evalEvery: 2,
      checkpointEvery: 3,
      keep: 2,
      optimizer: rate,
    },
  });
  const evaluations = of(events, 'eval');
  const best = evaluations.reduce((a, b) => (b.top1 > a.top1 ? b : a));
  assert.deepEqual(
    stepsIn(checkpointsFolder(folder)),
    [...new Set([best.step, 9, 12])].sort((a, b) => a - b),
  );
  assert.deepEqual(newest(folder).checkpoint.state.best, { step: best.step, top1: best.top1 });
  const written = of(events, 'checkpoint');
  assert.ok(written.every(({ bytes, copy_ms, write_ms }) => bytes > 0 && copy_ms > 0 && write_ms > 0));
  assert.ok(written.flatMap(({ removed }) => removed).length > 0);
});

test('train() writes only the last checkpoint with checkpointEvery 0', async () => {
  const values = { ...smallNet('lenet', FEW), ...SINGLE, run: 'none', steps: 4, evalEvery: 1, checkpointEvery: 0 };
  const { folder } = await run(values);
  assert.deepEqual(stepsIn(checkpointsFolder(folder)), [4]);
});

test('train() refuses a checkpoint with other settings, and names both values', async () => {
  const resume = newest(undisturbed.folder);
  const other = { ...(smallNet('original', FEW).data as object) };
  const cases: [values: Record<string, unknown>, message: RegExp][] = [
    [
      { net: { width: 0.25 } },
      /: net\.width is 0\.125 there, and 0\.25 now; leave that setting out, or start a new run/,
    ],
    [{ seed: 2 }, /: seed is 1 there, and 2 now;/],
    [{ batchSize: 4 }, /: a step has 8 images there, and 4 now; --batch-size 8 has as many images in a step/],
    [{ exchange: { dtype: 'float16' } }, /: exchange\.dtype is "float32" there, and "float16" now;/],
    [{ data: { ...other, flip: false } }, /: data\.flip is true there, and false now;/],
  ];
  for (const [values, message] of cases) {
    const config = smallConfig({
      ...smallNet('original', FEW),
      out,
      steps: 30,

      run: 'other',
      ...values,
      net: { ...(smallNet('original', FEW).net as object), ...(values.net as object) },
    });
    const train2 = train(config, { report: () => {}, signal: new AbortController().signal, resume });
    await assert.rejects(
      train2,
      (error: Error & { exitCode: number }) => error.exitCode === 2 && message.test(error.message),
    );
  }
  assert.equal(fs.existsSync(join(out, 'other')), false);
});

test('train() refuses other images', async () => {
  const resume = newest(undisturbed.folder);
  const { checkpoint } = resume;
  const state = { ...checkpoint.state, data: { ...checkpoint.state.data, trainImages: 60_000 } };
  await assert.rejects(run({ run: 'other' }, { ...resume, checkpoint: { ...checkpoint, state } }), {
    name: 'DataError',
    message:
      /the run was trained with 60000 training and 40 test images, and the data has 400 training and 40 test images;/,
  });
  const classes = { ...checkpoint.state, classes: ['cat', 'dog'] };
  await assert.rejects(run({ run: 'other' }, { ...resume, checkpoint: { ...checkpoint, state: classes } }), {
    message: /the run's classes are cat, dog, and the data's are T-shirt\/top, trouser, pullover, dress, … \(10\);/,
  });
});

test('train() resumes with other devices, length and intervals', async () => {
  const from = { checkpoint: readCheckpoint(join(checkpointsFolder(undisturbed.folder), '0000000010')), skipped: [] };
  const values = {
    devices: DEVICES.toReversed(),
    steps: 11,
    logEvery: 1,
    evalEvery: 2,
    keep: 1,
    exchangeTimeoutMs: 5000,
  };
  const { events } = await run({ run: 'elsewhere', ...values }, from);
  assert.deepEqual(losses(events), losses(undisturbed.events).slice(10, 11));
});

test('evaluateRun() takes the newest complete checkpoint of an unfinished run, and says which ones it skipped', async () => {
  const { folder } = undisturbed;
  const config = { ...undisturbed.config, ...SINGLE };
  const whole = await evaluateRun(config, folder);
  for (const name of fs.readdirSync(folder)) if (name.endsWith('.safetensors')) fs.rmSync(join(folder, name));
  assert.deepEqual(await evaluateRun(config, folder), whole);
  fs.truncateSync(newest(folder).checkpoint.files[0]!, 100);
  const told: string[] = [];
  const before = await evaluateRun(config, folder, { note: (line) => told.push(line) });
  assert.notDeepEqual(before, whole);
  assert.match(told.join(), /^skipped the checkpoint .*0000000012: tower-0-of-2\.safetensors has 100 bytes, and/);
});
