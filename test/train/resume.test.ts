/** What a resumed run may change, and where its schedule stands. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import type { RunState } from '../../src/checkpoint/contents.js';
import { readCheckpoint } from '../../src/checkpoint/store.js';
import { type Config, resolveConfig } from '../../src/config/config.js';
import { learningRateAt, type OptimizerOptions, type Schedule, type ScheduleState } from '../../src/optim/schedule.js';
import {
  configHash,
  type Resume,
  refuseOlder,
  resumeNotes,
  scheduleAfter,
  settingsChanged,
} from '../../src/train/resume.js';
import { putCheckpoint } from '../checkpoint/put-checkpoint.js';
import { flags, machineWith } from '../config/machines.js';

const STEPS: Schedule = { kind: 'steps', epochs: [1, 3], factor: 0.1 };
const PLATEAU: Schedule = { kind: 'plateau', factor: 0.1, patience: 2, least: 1e-6 };
/** Steps an epoch. */
const EPOCH = 10;
const LONG = { steps: 100, batchesPerEpoch: EPOCH };

function configOf(values: Record<string, unknown>): Config {
  const schedule = STEPS;
  const base = flags({ preset: 'lenet', run: 'x', optimizer: { learningRate: 0.5, schedule } });
  return resolveConfig([base, flags(values)], machineWith('CPU:0', 'CPU:1')).config;
}

function after(step: number, config: Config, state: Partial<RunState> = {}): Resume {
  const folder = join(config.out, config.run, 'checkpoints', String(step).padStart(10, '0'));
  const known = { step, config: { ...config }, configHash: configHash(config), errors: [], ...state };
  return { checkpoint: { folder, state: known as unknown as RunState, files: [], bytes: 0 }, skipped: [] };
}

test('settingsChanged() allows a branch another optimizer, and returns old and new values', () => {
  const resume = after(10, configOf({}));
  const optimizer = { learningRate: 0.05, momentum: 0.5, weightDecay: 0.1, schedule: { kind: 'constant' } };
  const changes = settingsChanged(resume, configOf({ run: 'y', optimizer }));
  assert.deepEqual(
    changes.filter(({ setting }) => !setting.includes('schedule')),
    [
      { setting: 'optimizer.learningRate', was: '0.5', now: '0.05' },
      { setting: 'optimizer.momentum', was: '0', now: '0.5' },
      { setting: 'optimizer.weightDecay', was: '0', now: '0.1' },
    ],
  );
  assert.deepEqual(
    changes.find(({ setting }) => setting === 'optimizer.schedule.kind'),
    { setting: 'optimizer.schedule.kind', was: '"steps"', now: '"constant"' },
  );
  assert.deepEqual(settingsChanged(resume, configOf({ run: 'y' })), []);
});

test('settingsChanged() refuses another optimizer under the same name, and advises a branch', () => {
  const optimizer = { learningRate: 0.05 };
  const resume = after(10, configOf({}));
  const message =
    'Cannot resume from runs/x/checkpoints/0000000010: optimizer.learningRate is 0.5 there, and 0.05 now; leave that setting out, or continue in a new run, which may change it and keeps weights and velocities: npm run train:split -- --resume runs/x/checkpoints/0000000010 --run x-branch --lr 0.05';
  assert.throws(() => settingsChanged(resume, configOf({ optimizer }), 'npm run train:split --'), {
    name: 'ConfigError',
    message,
  });
  assert.throws(
    () => settingsChanged(resume, configOf({ optimizer, out: 'elsewhere' })),
    /0010 --run x-branch --out elsewhere --lr 0\.05$/,
    'only moved',
  );
  // What else was asked stays.
  assert.throws(
    () =>
      settingsChanged(
        resume,
        configOf({ optimizer, steps: null, epochs: 42, check: !resume.checkpoint.state.config.check }),
      ),
    /0010 --run x-branch --(no-)?check --epochs 42 --lr 0\.05$/,
  );
  const renamed = after(10, configOf({}));
  renamed.checkpoint = { ...renamed.checkpoint, folder: join('runs', 'renamed', 'checkpoints', '0000000010') };
  assert.throws(
    () => settingsChanged(renamed, configOf({ optimizer, run: 'renamed' })),
    /or continue in a new run, .*: alexnet-split train --resume /,
  );
  assert.throws(() => settingsChanged(resume, configOf({ optimizer, seed: 9, run: 'y' })), {
    message: /: seed is \d+ there, and 9 now; leave that setting out, or start a new run with another --run$/,
  });
  const quoted = after(10, configOf({ out: "a b's" }));
  assert.throws(() => settingsChanged(quoted, configOf({ optimizer, out: "a b's" })), {
    message: /--resume 'a b'\\''s\/x\/checkpoints\/0000000010' --run x-branch --out 'a b'\\''s' --lr 0\.05$/,
  });
});

/** The kernels' rate in an epoch. */
const learningRateIn = (epoch: number, optimizer: OptimizerOptions, state?: ScheduleState) =>
  learningRateAt({ step: epoch * EPOCH, steps: 1000, batchesPerEpoch: EPOCH }, optimizer, state);

/** The rates of those epochs, in a run resumed after step 15, which is in the second epoch. */
function rates(optimizer: Record<string, unknown>, epochs: readonly number[], state: Partial<RunState> = {}): number[] {
  const config = configOf({ run: 'y', optimizer });
  const schedule = scheduleAfter(after(15, configOf({}), state).checkpoint, config, EPOCH);
  return epochs.map((epoch) => Number(learningRateIn(epoch, config.optimizer, schedule).toPrecision(6)));
}

test('settingsChanged() prints the flags of everything that differs', () => {
  const resume = after(10, configOf({}));
  const refused = (optimizer: Record<string, unknown>, flags: RegExp) =>
    assert.throws(() => settingsChanged(resume, configOf({ optimizer })), flags);
  refused({ schedule: { kind: 'cosine' }, momentum: 0.5 }, / --run x-branch --schedule cosine:0 --momentum 0\.5$/);
  refused({ schedule: { epochs: [2, 3] } }, / --run x-branch --schedule steps:2,3$/);
  refused({ biasDecay: 0.1, weightDecay: 0.1 }, / --run x-branch --weight-decay 0\.1 --config FILE$/);
});

test('scheduleAfter() applies another rate from the next step on, with only the later drops', () => {
  assert.deepEqual(rates({}, [2, 3, 4]), [0.05, 0.05, 0.005]);
  assert.deepEqual(rates({ learningRate: 0.02 }, [2, 3, 4]), [0.02, 0.02, 0.002]);
  assert.deepEqual(rates({ momentum: 0.5, weightDecay: 0.1 }, [2, 3, 4]), [0.05, 0.05, 0.005]);
});

test('scheduleAfter() starts another schedule with the present rate', () => {
  assert.deepEqual(rates({ schedule: { kind: 'constant' } }, [2, 9]), [0.05, 0.05]);
  assert.deepEqual(rates({ schedule: { epochs: [2, 3] } }, [2, 3, 4]), [0.05, 0.005, 0.0005]);
  const branched = { scheduleStart: { epoch: 2, factor: 0.5 } };
  assert.deepEqual(rates({ schedule: { kind: 'constant' } }, [2, 9], branched), [0.25, 0.25]);
  assert.deepEqual(rates({}, [2, 4], branched), [0.25, 0.025], 'an earlier restart continues');
});

test('scheduleAfter() resets a plateau with another rate, and continues it without', () => {
  const config = configOf({ optimizer: { schedule: PLATEAU } });
  const errors = [1, 2, 3].map((epoch) => ({ epoch, error: 0.5 }));
  const { checkpoint } = after(30, config, { errors });
  assert.deepEqual(scheduleAfter(checkpoint, config, EPOCH), { errors, start: undefined });
  const other = configOf({ optimizer: { schedule: PLATEAU, learningRate: 0.1 } });
  assert.deepEqual(scheduleAfter(checkpoint, other, EPOCH), { errors: [], start: { epoch: 4, factor: 1 } });
});

test('scheduleAfter() continues with the rate of a plateau whose errors an earlier version saved without epochs', () => {
  const config = configOf({ optimizer: { schedule: PLATEAU } });
  const { checkpoint } = after(27, config, { errors: [0.1, 0.2, 0.3, 0.4, 0.5], learningRate: 0.005 });
  const schedule = scheduleAfter(checkpoint, config, EPOCH);
  assert.deepEqual(schedule, { errors: [], start: { epoch: 3, factor: 0.01 } });
  assert.equal(learningRateIn(3, config.optimizer, schedule), 0.005);
  const [note] = resumeNotes(checkpoint, config, [], LONG, schedule);
  assert.match(note!, /counted evaluations: the run continues with the learning rate 0\.005,/);
  const constant = configOf({ optimizer: { schedule: { kind: 'constant' } } });
  assert.deepEqual(scheduleAfter(checkpoint, constant, EPOCH), { errors: [], start: { epoch: 3, factor: 0.01 } });
  const lower = configOf({ optimizer: { schedule: PLATEAU, learningRate: 0.1 } });
  assert.deepEqual(scheduleAfter(checkpoint, lower, EPOCH), { errors: [], start: { epoch: 3, factor: 1 } });
  const bySteps = after(27, configOf({}), { errors: [0.1], learningRate: 0.05 }).checkpoint;
  assert.deepEqual(
    scheduleAfter(bySteps, configOf({}), EPOCH),
    { errors: [], start: undefined },
    'other schedules ignore them',
  );
  assert.deepEqual(resumeNotes(bySteps, configOf({}), [], LONG), []);
});

test('refuseOlder() refuses an older checkpoint in its own folder, unless no newer one is complete', (t) => {
  const out = mkdtempSync(join(tmpdir(), 'alexnet-split-older-'));
  t.after(() => rmSync(out, { recursive: true, force: true }));
  const config = configOf({ out });
  const [first, second, third] = [3, 10, 12].map((step) => putCheckpoint(join(out, 'x'), step));
  const from = (folder: string): Resume => ({ checkpoint: readCheckpoint(folder), skipped: [] });
  assert.throws(() => refuseOlder(from(first!), config), {
    name: 'ConfigError',
    exitCode: 2,
    message: `Cannot resume from ${first} in its own folder: step 12 is there too, expected the newest checkpoint, which eval, predict, export and the next --resume take; branch with --run: --resume ${first} --run NAME, or remove the newer ones`,
  });
  refuseOlder(from(third!), config);
  refuseOlder(from(first!), configOf({ out, run: 'y' }));
  truncateSync(join(third!, 'state.json'), 5);
  refuseOlder(from(second!), config);
  assert.throws(() => refuseOlder(from(first!), config), /step 10 is there too/);
});

test('settingsChanged() compares the images of all replicas, however many share them', () => {
  const devices = Array(6).fill('CPU:0');
  const four = { placement: 'split', net: { table: 'original' }, preset: 'mini', devices: devices.slice(0, 4) };
  const resume = after(10, configOf({ ...four, replicas: 2, batchSize: 24 }));
  const now = (values: Record<string, unknown>) => settingsChanged(resume, configOf({ ...four, ...values }));
  assert.deepEqual(now({ batchSize: 48, devices: devices.slice(0, 2) }), []);
  assert.deepEqual(now({ batchSize: 16, replicas: 3, devices }), []);
  for (const run of ['x', 'y']) {
    assert.throws(
      () => now({ run, batchSize: 24, replicas: 3, devices }),
      /a step has 48 images there, and 72 \(3 pairs × 24\) now; --batch-size 16 with --replicas 3 has as many/,
    );
  }
  assert.throws(() => now({ batchSize: 24, devices: devices.slice(0, 2) }), /and 24 now; --batch-size 48 has as many/);
});

test('scheduleAfter() starts a warm-up where a branch gets another rate, and keeps the factor of a scaled one', () => {
  const devices = Array(4).fill('CPU:0');
  const pairs = { placement: 'split', net: { table: 'original' }, preset: 'mini', devices, replicas: 2 };
  const plain = after(EPOCH + 3, configOf(pairs));
  const scaled = configOf({ ...pairs, run: 'y', optimizer: { linearScaling: true, warmupEpochs: 1 } });
  assert.equal(scaled.optimizer.linearScaling, 2);
  assert.deepEqual(scheduleAfter(plain.checkpoint, scaled, EPOCH).start, { epoch: 2, factor: 1, warmup: true });
  const resumed = scheduleAfter(after(EPOCH + 3, scaled).checkpoint, scaled, EPOCH);
  assert.deepEqual([resumed.start, resumed.errors], [undefined, []]);
});

test('scheduleAfter() starts the warm-up again for a higher rate or another warm-up, and not for a drop by hand', () => {
  const warm = { warmupEpochs: 1, warmupFrom: 0.01, schedule: { kind: 'linear' } };
  const saved = after(2 * EPOCH, configOf({ steps: 40, optimizer: warm })).checkpoint;
  const rateIn = (optimizer: Record<string, unknown>) => {
    const config = configOf({ run: 'y', steps: 40, optimizer: { ...warm, ...optimizer } });
    const state = scheduleAfter(saved, config, EPOCH);
    return six(learningRateAt({ step: 2 * EPOCH + 1, steps: 40, batchesPerEpoch: EPOCH }, config.optimizer, state));
  };
  assert.equal(rateIn({ learningRate: 0.05 }), 0.05);
  // Lower than the first rate, and higher than the present one of 0.35.
  assert.equal(rateIn({ learningRate: 0.4 }), 0.004);
  assert.equal(rateIn({ learningRate: 0.05, warmupEpochs: 0.5 }), 0.0005);
});

/** A rate to six digits. */
const six = (rate: number) => Number(rate.toPrecision(6));

test('scheduleAfter() starts a smooth schedule at the next step, over the steps that are left', () => {
  const config = configOf({ run: 'y', steps: 25, optimizer: { schedule: { kind: 'linear' } } });
  const state = scheduleAfter(after(15, configOf({}), {}).checkpoint, config, EPOCH);
  assert.deepEqual(state.start, { epoch: 2, step: 15, factor: 0.1 });
  const at = (step: number) =>
    six(learningRateAt({ step, steps: 25, batchesPerEpoch: EPOCH }, config.optimizer, state));
  assert.deepEqual([at(16), at(21), at(25)], [0.05, 0.025, 0.005]);
  const lower = configOf({ run: 'y', steps: 25, optimizer: { schedule: { kind: 'linear' }, learningRate: 0.1 } });
  const other = scheduleAfter(after(15, config).checkpoint, lower, EPOCH);
  assert.deepEqual(other.start, { epoch: 2, step: 15, factor: 1 });
});

test('scheduleAfter() leaves a smooth schedule with the rate of its last step, also at its end', () => {
  const linear = { optimizer: { schedule: { kind: 'linear' } } };
  const constant = configOf({ run: 'y', optimizer: { schedule: { kind: 'constant' } } });
  const half = scheduleAfter(after(11, configOf({ ...linear, steps: 20 })).checkpoint, constant, EPOCH);
  assert.equal(learningRateIn(3, constant.optimizer, half), 0.25);
  const end = scheduleAfter(after(20, configOf({ ...linear, epochs: 2 })).checkpoint, constant, EPOCH);
  assert.equal(six(learningRateIn(3, constant.optimizer, end)), 0.025);
});

test('scheduleAfter() keeps a smooth schedule in a longer run, and resumeNotes() says that the rate changes', () => {
  const linear = { optimizer: { schedule: { kind: 'linear' } } };
  const { checkpoint } = after(20, configOf({ ...linear, epochs: 2 }), { learningRate: 0.025 });
  const config = configOf({ ...linear, epochs: 4 });
  assert.deepEqual(scheduleAfter(checkpoint, config, EPOCH), { errors: [], start: undefined });
  assert.deepEqual(resumeNotes(checkpoint, config, [], { steps: 40, batchesPerEpoch: EPOCH }), [
    'the run had 20 steps before, and has 40 now: the schedule linear goes over the new length, so step 21 uses the learning rate 0.25, after 0.025 in step 20',
  ]);
  assert.deepEqual(
    resumeNotes(checkpoint, config, [], { steps: 20, batchesPerEpoch: EPOCH }).filter(
      (note) => !/no step is left/.test(note),
    ),
    [],
  );
});
