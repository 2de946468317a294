/** Every reader says the same of a log with a line for each step and of one with several steps in a line. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { followState } from '../../src/cli/live-state.js';
import type { LogEvent } from '../../src/log.js';
import { analyseLog } from '../../src/report/analyse.js';
import { checkLog } from '../../src/report/check.js';
import { csvOf } from '../../src/report/csv.js';
import { runMetrics } from '../../src/report/prometheus.js';
import { tensorboardEncoder } from '../../src/report/tensorboard.js';
import { gatherSteps, joinSteps, meanStep } from '../../src/step-lines.js';
import { watchTraining } from '../../src/train/ablate-result.js';
import { EVAL, RESUME, RUN_END, RUN_START, trainStep } from '../events.js';
import { logFiles } from './logs.js';

const fileOf = logFiles();
const START = { ...RUN_START, steps: 60, steps_per_epoch: 20 };

/** Steps that differ in everything that readers sum or average. */
const steps = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => {
    const step = from + i;
    const own = {
      epoch: Math.ceil(step / 20),
      images: step % 20 === 0 ? 2 : 4,
      data_ms: 1 + (step % 7),
      decode_ms: step,
    };
    const ms = 19 + own.data_ms;
    const speed = { step_ms: ms, images_per_s: (1000 * own.images) / ms };
    return trainStep(step, { ...own, ...speed, loss: 3 - step / 30 + (step % 3) / 9, top1: step / 80 });
  });

/** Killed after step 47; its last checkpoint is that of step 33. A process with other lines goes on, and is done. */
const PROCESSES: readonly (readonly LogEvent[])[] = [
  [START, ...steps(1, 20), { ...EVAL, step: 20, epoch: 1 }, ...steps(21, 47)],
  [START, { ...RESUME, step: 33 }, ...steps(34, 60), { ...EVAL, step: 60, epoch: 3 }, { ...RUN_END, steps: 60 }],
];

/** The log, with so many steps in a line in the first process and in the second one. */
function log(first: number, second: number): LogEvent[] {
  const written: LogEvent[] = [];
  for (const [i, most] of [first, second].entries()) {
    const { see, flush } = gatherSteps(most, (event) => written.push(event));
    for (const event of PROCESSES[i]!) {
      see(event);
      if (event.event === 'train_step' && event.step === 33) flush();
    }
    if (i === 1) flush(); // the first one is killed: what it has gathered is lost
  }
  return written;
}

const SINGLE = log(1, 1);
const KINDS: Record<string, LogEvent[]> = {
  'several steps in each line': log(7, 5),
  'several steps before the resume': log(6, 1),
  'several steps after the resume': log(1, 10),
  'without a resume event': log(1, 10).filter(({ event }) => event !== 'resume'),
};

test('the logs have lines of several steps', () => {
  for (const events of Object.values(KINDS)) assert.ok(events.length < SINGLE.length - 10);
});

test('report says the same', async () => {
  const expected = await analyseLog(fileOf(SINGLE));
  for (const [name, events] of Object.entries(KINDS)) {
    const found = await analyseLog(fileOf(events));
    const { stepsPerLine, ...facts } = found.log;
    assert.ok(stepsPerLine > 1 && stepsPerLine <= 10, name);
    assert.equal(facts.problems, 0, name);
    for (const key of ['steps', 'images', 'evals', 'status'] as const)
      assert.deepEqual(found[key], expected[key], name);
    const [time, whole] = [found.time!, expected.time!];
    assert.equal(time.steps, whole.steps, name);
    const numbers = ({ mean, imagesPerSecond, parts, towers }: typeof time) => [
      ...[mean, imagesPerSecond, ...Object.values(parts)],
      ...towers.flatMap(({ step, compute, exchange, wait }) => [step, compute, exchange, wait]),
    ];
    for (const [i, value] of numbers(time).entries()) assert.ok(Math.abs(value - numbers(whole)[i]!) < 1e-9, name);
    // The slowest of 7 steps is among them, so quantiles are near; the exact ones are lost.
    assert.ok(Math.abs(time.median - whole.median) < 2 && Math.abs(time.p95 - whole.p95) < 2, name);
    const mean = (values: typeof found.loss, width: number) => values.mean[width];
    assert.ok(Math.abs(mean(found.loss, 0)! - mean(expected.loss, 0)!) < 1e-9, name);
    assert.equal(found.loss.step.at(-1), 60, name);
    assert.ok(
      Math.abs(Math.max(...(found.loss.high as number[])) - Math.max(...(expected.loss.high as number[]))) < 1e-9,
    );
  }
});

test('report --check finds nothing, and finds steps that are missing or cannot be', async () => {
  for (const [name, events] of Object.entries(KINDS)) {
    if (name === 'without a resume event') continue; // then the first step is one of any number
    assert.deepEqual((await checkLog(fileOf(events))).problems, [], name);
  }
  const line = joinSteps(steps(2, 5));
  const wrong: [LogEvent, RegExp][] = [
    [joinSteps(steps(3, 5)), /^train_step\.step: expected 4, found 5$/],
    [{ ...line, steps: 2.5 }, /^train_step\.steps: expected a number from 1 on, found 2\.5$/],
    [
      { ...line, worst: { ...line.worst!, step_ms: 1 } },
      /^train_step\.worst\.step_ms: 1\.00 ms is less than the mean, /,
    ],
    [
      { ...line, worst: { ...line.worst!, data_ms: 99 } },
      /^train_step\.worst\.data_ms: 99\.0 ms is more than the sum, /,
    ],
    [{ ...line, step_ms: 1 }, /is not the sum of its parts/],
  ];
  for (const [event, message] of wrong) {
    const { problems } = await checkLog(fileOf([START, trainStep(1), event]));
    assert.ok(
      problems.some((each) => message.test(each.message)),
      `${message}: ${JSON.stringify(problems)}`,
    );
  }
});

test('the CSV has each step that counts in one row', async () => {
  for (const [name, events] of Object.entries(KINDS)) {
    let text = '';
    for await (const part of csvOf([{ run: 'r', file: fileOf(events) }])) text += part;
    const [header, ...rows] = text
      .split('\r\n')
      .slice(0, -1)
      .map((row) => row.split(','));
    const column = (field: string) => rows.map((row) => Number(row[header!.indexOf(field)]));
    let next = 1;
    for (const [i, count] of column('steps').entries()) {
      next += count;
      assert.equal(column('step')[i], next - 1, name);
    }
    assert.equal(next, 61, name);
    assert.equal(
      column('images').reduce((a, b) => a + b),
      57 * 4 + 3 * 2,
      name,
    );
  }
});

test('an ablation finds when the training error fell, also from the log of an earlier process', () => {
  const reached = (events: readonly LogEvent[]) => {
    const monitor = watchTraining({ untilError: 0.5 });
    const small = (event: LogEvent): LogEvent =>
      event.event === 'run_start' ? { ...event, dataset: { ...event.dataset, train_images: 40 } } : event;
    for (const event of events) monitor.see(small(event));
    return monitor.result()!.until!.epochs!;
  };
  for (const [name, events] of Object.entries(KINDS)) {
    // At the end of a line instead of within it.
    const later = 20 * (reached(events) - reached(SINGLE));
    assert.ok(later >= 0 && later < 10, `${name}: ${later} steps later`);
  }
});

test('the view of a running training counts images and time alike', () => {
  const state = (events: readonly LogEvent[]) => {
    const live = followState();
    for (const [i, event] of events.entries()) live.see(event, 20 * ('step' in event ? (event.step ?? i) : i));
    return live.state()!;
  };
  const [single, lines] = [SINGLE, KINDS['several steps after the resume']!].map(state);
  assert.deepEqual([lines!.step, lines!.since], [single!.step, single!.since]);
  assert.ok(Math.abs(lines!.imagesPerSecond - single!.imagesPerSecond) < 1e-9);
  assert.ok(Math.abs(lines!.towers[1]!.wait - single!.towers[1]!.wait) < 1e-9);
});

test('TensorBoard gets the mean step, and the worst', () => {
  const line = joinSteps(steps(2, 5));
  const encode = tensorboardEncoder();
  encode(START, 0);
  const text = Buffer.from(encode(line, 0)).toString('latin1');
  assert.match(text, /worst\/step_ms/);
  const { worst: _, steps: __, ...plain } = meanStep(line);
  const mean = tensorboardEncoder();
  mean(START, 0);
  const alone = Buffer.from(mean(plain, 0)).toString('latin1');
  const [record] = alone.match(/time\/step_ms.{6}/s)!; // the tag and its float
  assert.ok(text.includes(record), 'the time of a step is the mean, under the same name');
});

test('the metrics count steps, images and seconds alike', async () => {
  const body = async (events: readonly LogEvent[]) => {
    const { see, text } = runMetrics();
    events.forEach(see);
    const { body } = await text();
    const value = (name: string) => Number(body.match(new RegExp(`^alexnet_split_${name} (.*)$`, 'm'))![1]);
    return ['steps_total', 'images_total', 'step_duration_seconds_count', 'decode_seconds_total'].map(value);
  };
  const all = [START, ...steps(1, 8)];
  const [one, joined] = await Promise.all([
    body(all),
    body([START, trainStep(1, steps(1, 1)[0]), joinSteps(steps(2, 8))]),
  ]);
  for (const [i, value] of joined.entries()) assert.ok(Math.abs(value - one[i]!) < 1e-9, `${i}`);
});
