/** When and how often a monitor warns among a run's events, and the flags it advises. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import type { Config } from '../../src/config/config.js';
import { PRESETS } from '../../src/config/presets.js';
import { eventLine } from '../../src/event-lines.js';
import type { EventOf, LogEvent } from '../../src/log.js';
import { lowerRate } from '../../src/train/branch.js';
import { openMonitor } from '../../src/train/monitor.js';
import { ACTIVATIONS, EVAL, RUN_END, RUN_START, trainStep } from '../events.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-monitor-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));
const CONFIG: Config = { ...PRESETS.mini, devices: ['CPU:0', 'CPU:1'], run: 'r', out };

type Losses = ReturnType<ReturnType<typeof openMonitor>['losses']>;

/** Gives the events to a monitor. @returns everything it reports, and what a resumed run has to know. */
function monitored(events: readonly LogEvent[], earlier?: Losses): { reported: LogEvent[]; losses: Losses } {
  const reported: LogEvent[] = [];
  const monitor = openMonitor(CONFIG, (event) => reported.push(event), { losses: earlier });
  for (const event of [{ ...RUN_START, steps: 5000 }, ...events]) monitor.report(event);
  return { reported, losses: monitor.losses() };
}

/** The names of the reported events, and the kinds of warnings. */
function reportedKinds(events: readonly LogEvent[], earlier?: Losses): string[] {
  return monitored(events, earlier).reported.map((event) =>
    event.event === 'warning' ? (event.kind ?? 'none') : event.event,
  );
}

const warnings = (events: readonly LogEvent[], earlier?: Losses) =>
  reportedKinds(events, earlier).filter((name) => name.includes('-') || name === 'collapse');

/** Steps of 64 images with these losses and shares of right answers. */
function steps(count: number, loss: (step: number) => number, top1 = 0.1): EventOf<'train_step'>[] {
  return Array.from({ length: count }, (_, i) => trainStep(i + 1, { loss: loss(i + 1), top1, images: 64 }));
}

/** Noise of a batch, the same in each run. */
const noise = (step: number) => 0.2 * Math.sin(7 * step ** 2);

test('openMonitor() passes every event on, followed by the warning it causes', () => {
  const blind = { ...ACTIVATIONS, layers: ACTIVATIONS.layers.map((layer) => ({ ...layer, signal: 0 })) };
  assert.deepEqual(reportedKinds([blind, trainStep(1), EVAL]), [
    'run_start',
    'activations',
    'no-signal',
    'train_step',
    'eval',
  ]);
});

test('openMonitor() warns once of a net that has not begun to learn, however noisy its batches are', () => {
  const stuck = steps(1500, (step) => 2.31 + noise(step));
  assert.deepEqual(warnings(stuck.slice(0, 999)), []);
  assert.deepEqual(warnings(stuck), ['no-learning']);
});

test('openMonitor() does not warn of a net that learns, however noisy its batches are', () => {
  const learns = steps(1500, (step) => 2.5 * 0.999 ** step + 0.3 + 2 * noise(step), 0.5);
  assert.deepEqual(warnings([ACTIVATIONS, ...learns, EVAL]), []);
});

test('openMonitor() warns once of a net that fell back to chance, before the patience for one that never began', () => {
  const falls = steps(800, (step) => (step < 300 ? 1.5 : 2.31) + noise(step));
  assert.deepEqual(warnings(falls), ['collapse']);
});

test('openMonitor() warns once that the loss rises', () => {
  const rises = steps(60, (step) => 2.3 * 1.05 ** step);
  assert.deepEqual(warnings(rises), ['rising-loss']);
  assert.deepEqual(warnings(steps(3, (step) => 2.3 * 1000 ** (step - 1))), ['rising-loss']);
});

test('openMonitor() of a resumed run knows the first and the lowest loss', () => {
  const all = steps(500, (step) => (step < 300 ? 1.5 : 2.31) + noise(step));
  const { losses } = monitored(all.slice(0, 310));
  assert.deepEqual(losses?.first, { step: 1, loss: all[0]!.loss });
  assert.ok(Math.abs(losses!.best! - 1.5) < 0.1);
  assert.deepEqual(warnings(all.slice(310), losses), ['collapse'], 'it fell before it was resumed');
  assert.deepEqual(warnings(all.slice(310)), [], 'without that knowledge the run never learnt');
  assert.equal(monitored([]).losses, undefined);
  assert.deepEqual(Object.keys(monitored(all.slice(0, 49)).losses!), ['first'], 'no mean yet');
  const rises = steps(60, (step) => 0.01 * 1.2 ** step);
  const from = { first: { step: 1, loss: 5 }, best: 0.5 };
  const { reported } = monitored(rises, from);
  const rising = reported.find((event) => event.event === 'warning' && event.kind === 'rising-loss');
  assert.match((rising as EventOf<'warning'>).message, /, after 5 in step 1, and/);
});

test('openMonitor() compares an evaluation with the last steps only', () => {
  const guessed = { ...EVAL, top1: 0.1 };
  const learns = [...steps(60, () => 2.3), ...steps(60, () => 1, 0.6)];
  assert.deepEqual(warnings([...learns, guessed, guessed]), ['test-at-chance']);
  assert.deepEqual(warnings([...learns, { ...EVAL, top1: 0.5 }]), []);
  const forgot = [...steps(60, () => 1, 0.6), ...steps(60, () => 1, 0.2)];
  assert.deepEqual(warnings([...forgot, guessed]), [], 'training was better once');
  assert.deepEqual(warnings([guessed]), [], 'before the first step of a resumed run');
});

test('openMonitor() compares the last evaluation alone with the largest class', () => {
  const dataset = { ...RUN_START.dataset, test_majority: 0.5 };
  const start = { ...RUN_START, dataset, steps: 4, steps_per_epoch: 1 };
  const evaluated = (step: number) => ({ ...EVAL, step, top1: 0.5 });
  assert.deepEqual(warnings([start, evaluated(3)]), []);
  assert.deepEqual(warnings([start, evaluated(4)]), ['below-majority']);
  const learns = steps(60, () => 1, 0.6);
  const guessed = { ...EVAL, step: 60, top1: 0.1 };
  const longer = { ...start, steps: 60, steps_per_epoch: 10 };
  assert.deepEqual(warnings([longer, ...learns, guessed]), ['test-at-chance'], 'and no second one');
});

test('openMonitor() warns again of dead units when more layers have them', () => {
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

const at = (step: number) => join(out, 'r', 'checkpoints', String(step).padStart(10, '0'));
for (const step of [100, 200, 300]) fs.mkdirSync(at(step), { recursive: true });

test('lowerRate() names the newest healthy checkpoint, a free name and a tenth of the rate', () => {
  const flags = (step: number, name: string) => `--resume ${at(step)} --run ${name} --out ${out} --lr 0.002`;
  assert.equal(lowerRate(CONFIG, 0.02, 250), `continue with ${flags(200, 'r-lower')}`);
  assert.equal(lowerRate(CONFIG, 0.02, undefined), `continue with ${flags(100, 'r-lower')}`);
  fs.mkdirSync(join(out, 'r-lower'));
  assert.equal(lowerRate(CONFIG, 0.02, 300), `continue with ${flags(300, 'r-lower-2')}`);
  fs.rmdirSync(join(out, 'r-lower'));
  assert.equal(
    lowerRate(CONFIG, 0.02, 99),
    `start again, with --run r-lower --out ${out} --lr 0.002 beside the other flags`,
  );
  assert.equal(
    lowerRate({ ...CONFIG, out: PRESETS.mini.out, run: 'no-such' }, 0.5, 9),
    'start again, with --run no-such-lower --lr 0.05 beside the other flags',
  );
  // Four replicas: --lr 0.005 is multiplied by 4.
  const scaled = { ...CONFIG, optimizer: { ...CONFIG.optimizer, linearScaling: 4 } };
  assert.match(lowerRate(scaled, 0.2, 300), /--lr 0\.005$/);
});

/** The warnings' messages of a training at a rate of 0.02. */
function messagesOf(events: readonly LogEvent[]): string[] {
  return monitored(events).reported.flatMap((event) => (event.event === 'warning' ? [event.message] : []));
}

const stepsFrom = (from: number, to: number, loss: number) =>
  Array.from({ length: to - from }, (_, i) => trainStep(from + i + 1, { loss, top1: 0.1, images: 64 }));

test('openMonitor() ends warnings with flags that continue from the last healthy checkpoint with a lower rate', () => {
  const continues = (step: number) =>
    new RegExp(`; continue with --resume ${at(step)} --run r-lower --out ${out} --lr 0.002$`);
  const [collapse] = messagesOf([...stepsFrom(0, 250, 1.2), ...stepsFrom(250, 400, 2.31)]);
  assert.match(collapse!, /^the net has forgotten what it learnt/);
  assert.match(collapse!, continues(200));
  const [rises] = messagesOf([...stepsFrom(0, 305, 1.2), ...stepsFrom(305, 320, 9)]);
  assert.match(rises!, /^the loss rises/);
  assert.match(rises!, continues(300));
  const measured = (step: number, dead: number): EventOf<'activations'> => {
    const layers = ACTIVATIONS.layers.map((each) => (each.dead === undefined ? each : { ...each, dead }));
    return { ...ACTIVATIONS, step, layers };
  };
  const trained = stepsFrom(0, 5, 1);
  const [dies] = messagesOf([measured(0, 0), ...trained, measured(150, 0), measured(250, 32)]);
  assert.match(dies!, /^most units are dead/);
  assert.match(dies!, continues(100));
  const [early] = messagesOf([measured(0, 0), ...trained, measured(50, 32)]);
  assert.match(early!, /; start again, with --run r-lower --out \S+ --lr 0\.002 beside the other flags$/);
  const [atOnce] = messagesOf([measured(0, 32)]);
  assert.doesNotMatch(atOnce!, /--resume|start again/, 'no step was done');
});

test('openMonitor() says at the end of a run that overfits whether the batch was learnt, with its first and last loss', () => {
  const endOf = (last: number, overfit: boolean) => {
    const reported: LogEvent[] = [];
    const monitor = openMonitor({ ...CONFIG, overfit }, (event) => reported.push(event));
    const events = [{ ...RUN_START, steps: 2 }, trainStep(1, { loss: 2.31 }), trainStep(2, { loss: last }), RUN_END];
    for (const event of events) monitor.report(event);
    return reported.slice(3).map((event) => (event.event === 'warning' ? event.message : event));
  };
  assert.deepEqual(endOf(0.003, true), [{ ...RUN_END, overfit: { first_loss: 2.31, last_loss: 0.003, learnt: true } }]);
  assert.match(eventLine(endOf(0.003, true)[0] as LogEvent), /; loss 2\.31 → 0\.003: the net can learn$/);
  const [warning, end] = endOf(1.5, true);
  assert.match(
    `${warning}`,
    /^the net has not learnt its one batch by heart: the loss is still 1\.50 after 2 steps, expected/,
  );
  assert.match(eventLine(end as LogEvent), /; loss 2\.31 → 1\.5: the batch was not learnt$/);
  assert.deepEqual(endOf(0.003, false), [RUN_END]);
});
