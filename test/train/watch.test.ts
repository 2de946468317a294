/** Warnings among a run's events: when they come, and how often. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Config } from '../../src/config/config.js';
import { PRESETS } from '../../src/config/presets.js';
import type { EventOf, LogEvent } from '../../src/log.js';
import { openWatch } from '../../src/train/watch.js';
import { ACTIVATIONS, EVAL, RUN_START, trainStep } from '../events.js';

const CONFIG: Config = { ...PRESETS.mini, devices: ['CPU:0', 'CPU:1'], run: 'r' };

type Losses = ReturnType<ReturnType<typeof openWatch>['losses']>;

/** Tells the events to a watch. @returns all that is reported, and what a run that goes on has to know. */
function watched(events: readonly LogEvent[], earlier?: Losses): { heard: LogEvent[]; losses: Losses } {
  const heard: LogEvent[] = [];
  const watch = openWatch(CONFIG, (event) => heard.push(event), { losses: earlier });
  for (const event of [{ ...RUN_START, steps: 5000 }, ...events]) watch.report(event);
  return { heard, losses: watch.losses() };
}

/** What is reported, warnings by their kind. */
function told(events: readonly LogEvent[], earlier?: Losses): string[] {
  return watched(events, earlier).heard.map((event) =>
    event.event === 'warning' ? (event.kind ?? 'none') : event.event,
  );
}

const warnings = (events: readonly LogEvent[], earlier?: Losses) =>
  told(events, earlier).filter((name) => name.includes('-') || name === 'collapse');

/** Steps of 64 images with these losses and shares of right answers. */
function steps(count: number, loss: (step: number) => number, top1 = 0.1): EventOf<'train_step'>[] {
  return Array.from({ length: count }, (_, i) => trainStep(i + 1, { loss: loss(i + 1), top1, images: 64 }));
}

/** Noise of a batch, the same in each run. */
const noise = (step: number) => 0.2 * Math.sin(7 * step ** 2);

test('openWatch() hands every event on, and a warning after the one that gave cause for it', () => {
  const blind = { ...ACTIVATIONS, layers: ACTIVATIONS.layers.map((layer) => ({ ...layer, signal: 0 })) };
  assert.deepEqual(told([blind, trainStep(1), EVAL]), ['run_start', 'activations', 'no-signal', 'train_step', 'eval']);
});

test('openWatch() says once that a net has not begun, however noisy its batches are', () => {
  const stuck = steps(1500, (step) => 2.31 + noise(step));
  assert.deepEqual(warnings(stuck.slice(0, 999)), []);
  assert.deepEqual(warnings(stuck), ['no-learning']);
});

test('openWatch() says nothing of a net that learns, however noisy its batches are', () => {
  const learns = steps(1500, (step) => 2.5 * 0.999 ** step + 0.3 + 2 * noise(step), 0.5);
  assert.deepEqual(warnings([ACTIVATIONS, ...learns, EVAL]), []);
});

test('openWatch() says once that a net fell back to chance, before it would have said that it never began', () => {
  const falls = steps(800, (step) => (step < 300 ? 1.5 : 2.31) + noise(step));
  assert.deepEqual(warnings(falls), ['collapse']);
});

test('openWatch() says once that the loss rises', () => {
  const rises = steps(60, (step) => 2.3 * 1.05 ** step);
  assert.deepEqual(warnings(rises), ['rising-loss']);
  assert.deepEqual(warnings(steps(3, (step) => 2.3 * 1000 ** (step - 1))), ['rising-loss']);
});

test('openWatch() goes on with what a run knew: where its loss began, and how low it was', () => {
  const all = steps(500, (step) => (step < 300 ? 1.5 : 2.31) + noise(step));
  const { losses } = watched(all.slice(0, 310));
  assert.deepEqual(losses?.first, { step: 1, loss: all[0]!.loss });
  assert.ok(Math.abs(losses!.best! - 1.5) < 0.1);
  assert.deepEqual(warnings(all.slice(310), losses), ['collapse'], 'it fell before it was resumed');
  assert.deepEqual(warnings(all.slice(310)), [], 'as of a run that never knew anything');
  assert.equal(watched([]).losses, undefined);
  assert.deepEqual(Object.keys(watched(all.slice(0, 49)).losses!), ['first'], 'no mean yet');
  const rises = steps(60, (step) => 0.01 * 1.2 ** step);
  const from = { first: { step: 1, loss: 5 }, best: 0.5 };
  const { heard } = watched(rises, from);
  const rising = heard.find((event) => event.event === 'warning' && event.kind === 'rising-loss');
  assert.match((rising as EventOf<'warning'>).message, /, after 5 in step 1, and/);
});

test('openWatch() holds an evaluation against the last steps alone', () => {
  const guessed = { ...EVAL, top1: 0.1 };
  const learns = [...steps(60, () => 2.3), ...steps(60, () => 1, 0.6)];
  assert.deepEqual(warnings([...learns, guessed, guessed]), ['test-at-chance']);
  assert.deepEqual(warnings([...learns, { ...EVAL, top1: 0.5 }]), []);
  const forgot = [...steps(60, () => 1, 0.6), ...steps(60, () => 1, 0.2)];
  assert.deepEqual(warnings([...forgot, guessed]), [], 'training was better once');
  assert.deepEqual(warnings([guessed]), [], 'before the first step of a run that goes on');
});

test('openWatch() speaks again of dead units when there are more layers of them', () => {
  const [images, conv2] = ACTIVATIONS.layers as [
    EventOf<'activations'>['layers'][0],
    EventOf<'activations'>['layers'][0],
  ];
  const dead = (...names: string[]) => ({
    ...ACTIVATIONS,
    layers: [images, ...names.map((layer) => ({ ...conv2, layer, dead: 32 }))],
  });
  assert.deepEqual(warnings([dead('conv2'), dead('conv2')]), ['dead-units']);
  assert.deepEqual(warnings([dead('conv2'), dead('conv2', 'fc6'), dead('conv2')]), ['dead-units', 'dead-units']);
});
