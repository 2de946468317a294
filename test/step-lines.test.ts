/** Several steps in a line: what the fields are, where a line ends, and that no event is lost or moved. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { EventOf, LogEvent } from '../src/log.js';
import { eventWriter } from '../src/log-writer.js';
import {
  firstStepOf,
  gatherSteps,
  joinSteps,
  logBytes,
  MOST_MS,
  meanStep,
  stepsIn,
  worstOf,
} from '../src/step-lines.js';
import { ACTIVATIONS, CHECKPOINT, EVAL, EXCHANGE, RUN_END, RUN_START, trainStep, WARNING } from './events.js';

type Step = EventOf<'train_step'>;

const NEWER = {
  decode_ms: 5,
  ready_images: 8,
  read_bytes: 100,
  device_bytes: 64,
  gradient_norm: 2,
  resident_bytes: 1e9,
};

/** Steps of 4, 4 and 2 images. */
const THREE: readonly [Step, Step, Step] = [
  trainStep(7, { ...NEWER, loss: 1, top1: 0.5 }),
  trainStep(8, {
    ...NEWER,
    loss: 3,
    top1: 0.25,
    gradient_norm: 4,
    ready_images: 0,
    data_ms: 11,
    step_ms: 30,
    images_per_s: 400 / 3,
  }),
  trainStep(9, {
    ...NEWER,
    loss: 2,
    top1: 0,
    images: 2,
    learning_rate: 0.01,
    decode_ms: 8,
    resident_bytes: 2e9,
    images_per_s: 100,
  }),
];

test('joinSteps() sums, takes means and the last, and keeps the worst', () => {
  const line = joinSteps(THREE);
  const towers = line.towers.map(({ tower, ...sums }) => [tower, sums]);
  assert.deepEqual(
    { ...line, towers: [] },
    {
      ...{ event: 'train_step', step: 9, steps: 3, epoch: 1, images: 10 },
      ...{ loss: (4 + 12 + 4) / 10, last_loss: 2, top1: (2 + 1) / 10, learning_rate: 0.01 },
      ...{ step_ms: 70, data_ms: 13, compute_ms: 30, exchange_ms: 9, wait_ms: 12, other_ms: 6, exchange_bytes: 900 },
      images_per_s: (10 / 70) * 1000,
      ...{ decode_ms: 18, ready_images: 16 / 3, read_bytes: 300, device_bytes: 192, gradient_norm: 8 / 3 },
      resident_bytes: 2e9,
      worst: {
        ...{ loss: 3, step_ms: 30, data_ms: 11, compute_ms: 10, exchange_ms: 3, wait_ms: 4 },
        ...{ decode_ms: 8, gradient_norm: 4, ready_images: 0 },
      },
      towers: [],
    },
  );
  assert.deepEqual(towers, [
    [0, { step_ms: 51, compute_ms: 30, exchange_ms: 9, wait_ms: 12, exchange_bytes: 600 }],
    [1, { step_ms: 48, compute_ms: 27, exchange_ms: 9, wait_ms: 12, exchange_bytes: 300 }],
  ]);
});

test('joinSteps() leaves a single step as it is, and fields out that the steps do not have', () => {
  assert.equal(joinSteps([THREE[0]]), THREE[0]);
  const line = joinSteps([trainStep(1), trainStep(2)]);
  for (const name of Object.keys(NEWER)) assert.ok(!(name in line) && !(name in line.worst!), name);
  const replicas = { replicas: 2, average_bytes: 50 };
  assert.equal(joinSteps([trainStep(1, replicas), trainStep(2, replicas)]).average_bytes, 100);
  assert.equal(joinSteps([trainStep(1, replicas), trainStep(2, replicas)]).replicas, 2);
});

test('stepsIn(), firstStepOf(), meanStep() and worstOf() read both kinds of lines', () => {
  const [step, line] = [trainStep(9), joinSteps(THREE)];
  assert.deepEqual([step, line].map(stepsIn), [1, 3]);
  assert.deepEqual([step, line].map(firstStepOf), [9, 7]);
  assert.deepEqual(
    [step, line].map((each) => worstOf(each, 'step_ms')),
    [20, 30],
  );
  assert.equal(meanStep(step), step);
  const mean = meanStep(line);
  assert.deepEqual([mean.step_ms, mean.images, mean.towers[1]!.compute_ms], [70 / 3, 10 / 3, 9]);
  assert.deepEqual([mean.loss, mean.gradient_norm, mean.read_bytes], [line.loss, line.gradient_norm, 100]);
  // What a log from elsewhere may have.
  for (const steps of [0, -3, 1.5, Number.NaN, 'many' as never]) assert.equal(stepsIn({ steps }), 1, String(steps));
});

/** The lines of some events, each as its name and its steps. */
function linesOf(most: number, events: readonly (LogEvent | 'flush')[]): string[] {
  const lines: string[] = [];
  const { see, flush } = gatherSteps(most, (event) => {
    const steps = event.event === 'train_step' ? ` ${firstStepOf(event)}-${event.step}` : '';
    lines.push(`${event.event}${steps}`);
  });
  for (const event of events) event === 'flush' ? flush() : see(event);
  flush();
  return lines;
}

const steps = (from: number, to: number, changes: Partial<Step> = {}) =>
  Array.from({ length: to - from + 1 }, (_, i) => trainStep(from + i, changes));
const START = { ...RUN_START, steps: 40, steps_per_epoch: 16 };

test('gatherSteps() passes each step on with 1', () => {
  const events = [START, ...steps(1, 3), EVAL, ...steps(4, 5)];
  const seen: LogEvent[] = [];
  const { see } = gatherSteps(1, (event) => seen.push(event));
  events.forEach(see);
  assert.deepEqual(seen, events);
});

test('gatherSteps() ends a line after N steps, at the end of an epoch and of the run, and writes the first step alone', () => {
  assert.deepEqual(linesOf(6, [START, ...steps(1, 40)]), [
    ...['run_start', 'train_step 1-1', 'train_step 2-7', 'train_step 8-13', 'train_step 14-16'],
    ...['train_step 17-22', 'train_step 23-28', 'train_step 29-32', 'train_step 33-38', 'train_step 39-40'],
  ]);
});

test('gatherSteps() ends a line before every other event, and where a checkpoint is made', () => {
  const events = [START, ...steps(1, 3), WARNING, ...steps(4, 5), EVAL, ACTIVATIONS, ...steps(6, 8)];
  assert.deepEqual(linesOf(9, [...events, 'flush', ...steps(9, 10), CHECKPOINT, ...steps(11, 12), RUN_END]), [
    ...['run_start', 'train_step 1-1', 'train_step 2-3', 'warning', 'train_step 4-5', 'eval', 'activations'],
    ...['train_step 6-8', 'train_step 9-10', 'checkpoint', 'train_step 11-12', 'run_end'],
  ]);
});

test('gatherSteps() writes alone what is not finite, traced, or first after a loss of servers', () => {
  for (const bad of [{ loss: Number.NaN }, { gradient_norm: Number.POSITIVE_INFINITY }]) {
    assert.deepEqual(linesOf(9, [START, ...steps(1, 4), trainStep(5, bad), ...steps(6, 7)]), [
      'run_start',
      'train_step 1-1',
      'train_step 2-4',
      'train_step 5-5',
      'train_step 6-7',
    ]);
  }
  const trace: LogEvent = { event: 'trace', step: 5, step_ms: 20, source: 'host', towers: [] };
  assert.deepEqual(linesOf(9, [START, ...steps(1, 5), trace, ...steps(6, 7)]), [
    'run_start',
    'train_step 1-1',
    'train_step 2-4',
    'train_step 5-5',
    'trace',
    'train_step 6-7',
  ]);
  const back: LogEvent = { event: 'servers_back', step: 3, waited_ms: 1, times: 1 };
  assert.deepEqual(linesOf(9, [START, ...steps(1, 5), back, ...steps(4, 7)]), [
    'run_start',
    'train_step 1-1',
    'train_step 2-5',
    'servers_back',
    'train_step 4-4',
    'train_step 5-7',
  ]);
  assert.deepEqual(linesOf(9, [START, trainStep(1), EXCHANGE]), ['run_start', 'train_step 1-1', 'exchange']);
});

test('gatherSteps() is not silent for longer than its limit, however slow the steps are', () => {
  const slow = { step_ms: MOST_MS / 3 };
  assert.deepEqual(linesOf(9, [START, trainStep(1), ...steps(2, 7, slow)]), [
    ...['run_start', 'train_step 1-1', 'train_step 2-4', 'train_step 5-7'],
  ]);
});

test('gatherSteps() does not write a line again whose writing failed', () => {
  let isFull = true;
  const written: LogEvent[] = [];
  const { see, flush } = gatherSteps(9, (event) => {
    if (event.event === 'train_step' && isFull) throw new Error('the disk is full');
    written.push(event);
  });
  see(START);
  assert.throws(() => see(trainStep(1)), /full/);
  isFull = false;
  flush();
  see(RUN_END);
  assert.deepEqual(written, [START, RUN_END]);
});

test('logBytes() is near the size of a log, and says what several steps in a line save', () => {
  const whole = { steps: 2000, evaluations: 1, logSteps: 1, towers: 2 };
  const size = (most: number) => {
    let bytes = 0;
    const write = eventWriter({ write: (line: string) => (bytes += line.length) });
    const { see } = gatherSteps(most, write);
    see({ ...START, steps: 2000, steps_per_epoch: 2000 });
    const times = { step_ms: 20.123456789, data_ms: 1.123456789, compute_ms: 10.123456789, other_ms: 2.123456789 };
    const towers = trainStep(1).towers.map((tower) => ({ ...tower, ...times, exchange_ms: 3.123456789 }));
    for (const step of steps(1, 2000, { ...NEWER, ...times, loss: 2.123456789, towers })) see(step);
    return bytes;
  };
  for (const logSteps of [1, 20]) {
    const ratio = logBytes({ ...whole, logSteps }) / size(logSteps);
    assert.ok(ratio > 0.7 && ratio < 1.5, `${logSteps}: ${ratio}`);
  }
  const imagenet = { steps: 911_000, evaluations: 91, towers: 2 };
  const [each, lines] = [1, 20].map((logSteps) => logBytes({ ...imagenet, logSteps }) / 1e6) as [number, number];
  assert.ok(each > 700 && each < 1000 && lines > 40 && lines < 70, `${each} and ${lines} MB`);
});
