/** The training loop stops at a signal, whatever it waits for. Stand-ins take the place of data and towers. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Config } from '../../src/config/config.js';
import { PRESETS } from '../../src/config/presets.js';
import type { BatchFeeder } from '../../src/data/index.js';
import type { LogEvent } from '../../src/log.js';
import { runningTimeMs } from '../../src/running-time.js';
import type { Checkpoints } from '../../src/train/checkpoints.js';
import type { Progress } from '../../src/train/progress.js';
import type { Team } from '../../src/train/team.js';
import { trainLoop } from '../../src/train/train.js';
import { Stopped } from '../../src/train/waiting.js';

const CONFIG: Config = { ...PRESETS.mini, devices: ['CPU:0', 'CPU:1'], run: 'r', evalEvery: 3 };
const REPLY = { loss: 1, top1: 1, stepMs: 1, computeMs: 1, exchangeMs: 0, waitMs: 0, exchangeBytes: 0 };
const forever = () => new Promise<never>(() => {});

/**
 * Runs the loop until a stand-in waits, then aborts it. `waits` is what never comes, from its step on.
 * @param work what a step takes its time with.
 */
async function stopIn(waits: 'data' | 'step' | 'test' | 'evaluate' | 'measure', from: number, work = () => {}) {
  const controller = new AbortController();
  const events: LogEvent[] = [];
  const saved: number[] = [];
  /** The step that was asked for last when test batches were. */
  const prepared: number[] = [];
  let asked = 0;
  let isWaiting = false;
  const hang = () => {
    isWaiting = true;
    return forever();
  };
  const feeder = {
    batchesPerEpoch: 100,
    testBatches: 4,
    train: async (step: number) => (waits === 'data' && step >= from ? hang() : { slot: 0, count: 4, step, epoch: 0 }),
    test: async (step: number) => (waits === 'test' && step >= from ? hang() : { slot: 3, count: 4, step, epoch: 0 }),
    prepareTest: () => void prepared.push(asked),
    sample: async () => ({ slot: 4, count: 4, step: 0, epoch: 0 }),
    release: () => {},
  } as unknown as BatchFeeder;
  const team = {
    ask: async ({ kind, step }: { kind: string; step: number }) => {
      if (kind === 'step') asked = step;
      if (waits === kind && step >= from) return hang();
      if (kind === 'measure') return [{ layers: [], tensors: 0, tensorBytes: 0 }];
      if (kind === 'evaluate') return [{ loss: 4, top1: 1, top5: 1 }];
      await turn();
      work();
      return [REPLY];
    },
    stage: () => undefined,
  } as unknown as Team;
  const checkpoints = { after: async ({ steps }: Progress) => void saved.push(steps) } as unknown as Checkpoints;
  const result: Progress = { steps: 0, images: 0, trainMs: 0, stopped: false, errors: [] };
  const ui = { report: (event: LogEvent) => events.push(event), signal: controller.signal, checkpoints };
  const ended = trainLoop({ config: CONFIG, team, feeder, steps: 10 }, ui, result).then(
    () => undefined,
    (error: unknown) => error,
  );
  // The batch of a step is asked for in the step before it.
  while (!isWaiting || (waits === 'data' && saved.length < from - 1)) await turn();
  controller.abort('SIGTERM');
  return { ended, result, saved, prepared, events: events.map(({ event }) => event) };
}

test('trainLoop() stops while it waits for data, and returns normally so that a checkpoint can follow', async () => {
  const { ended, result, saved } = await stopIn('data', 3);
  assert.equal(await ended, undefined);
  assert.deepEqual([result.steps, result.images, saved], [2, 8, [1, 2]]);
  assert.equal(result.stopped, true);
});

test('trainLoop() has each batch filled and copied while the step before it runs, and frees its slot only after its own', async () => {
  const order: string[] = [];
  const feeder = {
    batchesPerEpoch: 100,
    testBatches: 0,
    train: async (step: number) => ({ slot: step % 3, count: 4, step, epoch: 0 }),
    release: ({ step }: { step: number }) => order.push(`release ${step}`),
  } as unknown as BatchFeeder;
  const team = {
    stage: ({ step }: { step: number }) => {
      order.push(`copy ${step}`);
      return [BigInt(step)];
    },
    ask: async ({ kind, step, slot, staged }: { kind: string; step: number; slot: number; staged: bigint[] }) => {
      assert.deepEqual([kind, slot, staged], ['step', step % 3, [BigInt(step)]]);
      order.push(`step ${step}`);
      for (let i = 0; i < 3; i++) await turn();
      order.push(`end ${step}`);
      return [REPLY];
    },
  } as unknown as Team;
  const signal = new AbortController();
  const result: Progress = { steps: 0, images: 0, trainMs: 0, stopped: false, errors: [] };
  const events: LogEvent[] = [];
  const checkpoints = {
    after: async ({ steps }: Progress) => steps === 3 && signal.abort(),
  } as unknown as Checkpoints;
  const ui = { report: (event: LogEvent) => events.push(event), signal: signal.signal, checkpoints };
  await trainLoop({ config: { ...CONFIG, evalEvery: 50 }, team, feeder, steps: 10 }, ui, result);
  const wanted = [1, 2, 3].flatMap((step) => [`step ${step}`, `copy ${step + 1}`, `end ${step}`, `release ${step}`]);
  assert.deepEqual(order, ['copy 1', ...wanted]);
});

test('trainLoop() does not wait for the first step, which compiles', async () => {
  const { ended, result } = await stopIn('step', 1);
  assert.ok((await ended) instanceof Stopped);
  assert.equal(result.steps, 0);
});

test('trainLoop() abandons a later step, or a batch of an evaluation, that hangs after the signal', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  for (const [waits, from, steps] of [
    ['step', 2, 1],
    ['evaluate', 3, 3],
  ] as const) {
    const { ended, result, events } = await stopIn(waits, from);
    let isOver = false;
    void ended.then(() => {
      isOver = true;
    });
    t.mock.timers.tick(4_900);
    await turn();
    assert.equal(isOver, false);
    t.mock.timers.tick(200);
    assert.ok((await ended) instanceof Stopped);
    assert.equal(result.steps, steps);
    assert.ok(!events.includes('eval'));
  }
});

test('trainLoop() waits three times the longest step for the first evaluation, and for the measurement after it', async (t) => {
  let wall = performance.now();
  t.mock.method(performance, 'now', () => wall);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const pass = (ms: number) => {
    for (let left = ms; left > 0; left -= 100, runningTimeMs()) wall += 100;
  };
  let isFirst = true;
  const work = () => {
    pass(isFirst ? 10_000 : 100);
    isFirst = false;
  };
  for (const waits of ['evaluate', 'measure'] as const) {
    isFirst = true;
    const { ended, result } = await stopIn(waits, 3, work);
    let isOver = false;
    void ended.then(() => {
      isOver = true;
    });
    t.mock.timers.tick(29_900);
    await turn();
    assert.equal(isOver, false, waits);
    t.mock.timers.tick(200);
    assert.ok((await ended) instanceof Stopped);
    assert.equal(result.steps, 3);
  }
});

test('trainLoop() stops while it waits for a batch of an evaluation, which is prepared during the step before', async () => {
  const { ended, result, events, prepared } = await stopIn('test', 2);
  assert.equal(await ended, undefined);
  assert.deepEqual([result.steps, result.top1, result.stopped], [3, undefined, true]);
  assert.deepEqual(prepared, [2]); // while step 3 runs, after which it is
  assert.ok(!events.includes('eval'));
});
