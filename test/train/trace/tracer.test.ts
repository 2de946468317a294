/** The trace of a step that does not end as it should. Stand-ins take the place of data and towers. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Config } from '../../../src/config/config.js';
import { PRESETS } from '../../../src/config/presets.js';
import type { BatchFeeder } from '../../../src/data/index.js';
import type { LogEvent } from '../../../src/log.js';
import { profilerMissing, startProfiler } from '../../../src/native/c/profiler.js';
import type { Checkpoints } from '../../../src/train/checkpoints.js';
import type { Progress } from '../../../src/train/progress.js';
import type { Team } from '../../../src/train/team.js';
import { trainLoop } from '../../../src/train/train.js';

const REPLY = { loss: 1, top1: 1, stepMs: 1, computeMs: 1, exchangeMs: 0, waitMs: 0, exchangeBytes: 0, spans: [] };

/** Trains three steps, the second one traced. @param step what the towers do in a traced step. */
async function train(out: string, step: () => Promise<unknown>, abort = new AbortController()) {
  const config: Config = { ...PRESETS.mini, devices: ['CPU:0', 'CPU:1'], run: 'r', out, evalEvery: 9, traceSteps: '2' };
  const events: LogEvent[] = [];
  const asked: boolean[] = [];
  const feeder = {
    batchesPerEpoch: 100,
    train: async (step: number) => ({ slot: 0, count: 4, step, epoch: 0 }),
    release: () => {},
  } as unknown as BatchFeeder;
  const team = {
    stage: () => undefined,
    ask: async (command: { trace?: boolean }) => {
      asked.push(command.trace === true);
      return command.trace ? step() : [REPLY];
    },
  } as unknown as Team;
  const checkpoints = { after: async () => {} } as unknown as Checkpoints;
  const progress: Progress = { steps: 0, images: 0, trainMs: 0, stopped: false, errors: [] };
  const report = (event: LogEvent) => {
    events.push(event);
    if (event.event === 'train_step' && event.step === 3) abort.abort('SIGTERM');
  };
  const ui = { report, signal: abort.signal, checkpoints };
  const error = await trainLoop({ config, team, feeder, steps: 100 }, ui, progress).then(
    () => undefined,
    (failure: unknown) => failure as Error,
  );
  const nameOf = (each: LogEvent) => {
    if (each.event === 'warning') return each.message;
    return each.event === 'trace' && each.file === undefined ? 'trace without a file' : each.event;
  };
  return { events: events.map(nameOf), asked, error };
}

function folderOf(t: { after(fn: () => void): void }): string {
  const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-tracer-'));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Another session starts, so none was left open. */
function assertNoSession(): void {
  const session = startProfiler();
  assert.ok(session, 'another session runs');
  session.stop();
}

const skip = profilerMissing() ?? false;

test('only the steps that the settings name are traced', { skip }, async (t) => {
  const { asked } = await train(folderOf(t), async () => [REPLY]);
  assert.deepEqual(asked, [false, true, false]);
  assertNoSession();
});

test('a traced step that fails leaves no session of the profiler open', { skip }, async (t) => {
  const { error, events } = await train(folderOf(t), () => Promise.reject(new Error('the tower is gone')));
  assert.equal(error?.message, 'the tower is gone');
  assert.deepEqual(events, ['train_step', 'exchange']);
  assertNoSession();
});

test('a traced step at which the run is stopped leaves no session open', { skip }, async (t) => {
  const abort = new AbortController();
  const stop = async () => {
    abort.abort('SIGTERM');
    return [REPLY];
  };
  await train(folderOf(t), stop, abort);
  assertNoSession();
});

test('if another session runs, the trace has what the threads report, and says so', { skip }, async (t) => {
  const session = startProfiler();
  const { events } = await train(folderOf(t), async () => [REPLY]);
  session!.stop();
  assert.ok(
    events.includes(
      "the trace shows what the towers' threads can see: the profiler does not start, because another one runs",
    ),
    `${events}`,
  );
  assert.ok(events.includes('trace'));
});

test('a trace that cannot be written is a warning, and the run goes on', { skip }, async (t) => {
  const folder = folderOf(t);
  fs.mkdirSync(join(folder, 'r'));
  fs.writeFileSync(join(folder, 'r', 'traces'), 'a file');
  const { events, error } = await train(folder, async () => [REPLY]);
  assert.equal(error, undefined);
  assert.equal(events.filter((each) => each === 'train_step').length, 3);
  assert.ok(
    events.some((each) => each.startsWith('the trace of step 2 was not written to traces/step-2.json: ')),
    `${events}`,
  );
  assert.ok(events.includes('trace without a file'), `${events}`);
});
