/** The schedules that change the rate at every step, beside the values of PyTorch's formulas. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { parseSchedule } from '../../src/config/schedule-text.js';
import { CONFIG_SCHEMA } from '../../src/config/schema.js';
import {
  learningRateAt,
  type OptimizerOptions,
  type Schedule,
  type ScheduleState,
  scheduledRate,
} from '../../src/optim/schedule.js';

const OPTIONS: OptimizerOptions = {
  ...{ learningRate: 0.5, momentum: 0.9, weightDecay: 0.0005, biasRateFactor: 2, biasDecay: 0 },
  schedule: { kind: 'constant' },
};

/** The rates of all steps of a run. */
function ratesOf(schedule: Schedule, steps: number, more: Partial<OptimizerOptions> = {}, state?: ScheduleState) {
  const options = { ...OPTIONS, ...more, schedule };
  return Array.from({ length: steps }, (_, i) =>
    learningRateAt({ step: i + 1, steps, batchesPerEpoch: 2 }, options, state),
  );
}

function assertClose(actual: readonly number[], expected: readonly number[]): void {
  assert.equal(actual.length, expected.length);
  for (const [i, value] of expected.entries()) {
    assert.ok(Math.abs(actual[i]! - value) < 1e-8, `step ${i + 1}: ${actual[i]}, expected ${value}`);
  }
}

const COSINE = [
  0.5, 0.488008846, 0.453209164, 0.399007387, 0.330709164, 0.255, 0.179290836, 0.110992613, 0.0567908364, 0.0219911535,
];
const ONE_CYCLE = [0.02, 0.26, 0.5, 0.475242316, 0.405872827, 0.305631011, 0.194370989, 0.094129173, 0.024759684, 2e-6];

test("learningRateAt() of cosine and linear are PyTorch's CosineAnnealingLR and LinearLR", () => {
  assertClose(ratesOf({ kind: 'cosine', least: 0.01 }, 10), COSINE);
  assertClose(ratesOf({ kind: 'linear', least: 0.1 }, 4), [0.5, 0.4, 0.3, 0.2]);
  assertClose(ratesOf({ kind: 'linear', least: 0 }, 1), [0.5]);
  // A rate below the least one stays.
  assertClose(ratesOf({ kind: 'cosine', least: 1 }, 2), [0.5, 0.5]);
});

test("learningRateAt() of one-cycle is PyTorch's OneCycleLR, also of the shortest runs", () => {
  const defaults = { kind: 'one-cycle', rise: 0.3, divide: 25, finalDivide: 1e4 } as const;
  assertClose(ratesOf(defaults, 10), ONE_CYCLE);
  assertClose(
    ratesOf({ kind: 'one-cycle', rise: 0.25, divide: 10, finalDivide: 100 }, 12),
    [
      0.05, 0.275, 0.5, 0.484938232, 0.4415696, 0.375125, 0.293618632, 0.206881368, 0.125375, 0.0589304003, 0.015561768,
      0.0005,
    ],
  );
  assertClose(ratesOf(defaults, 1, { learningRate: 1 }), [4e-6]);
  assertClose(ratesOf(defaults, 2, { learningRate: 1 }), [0.811745653949763, 4e-6]);
  for (let steps = 1; steps < 30; steps++) {
    for (const rise of [0, 0.1, 0.5, 0.9]) assert.ok(ratesOf({ ...defaults, rise }, steps).every(Number.isFinite));
  }
  // It rises by itself, so a warm-up does not change it.
  assert.deepEqual(ratesOf(defaults, 10, { warmupEpochs: 2, warmupFrom: 0.01 }), ratesOf(defaults, 10));
  assertClose(
    ratesOf(defaults, 10, { linearScaling: 3 }),
    ONE_CYCLE.map((rate) => 3 * rate),
  );
});

test("learningRateAt() after a warm-up is PyTorch's LinearLR, then the schedule over the other steps", () => {
  const warmup = { warmupEpochs: 2, warmupFrom: 0.01 };
  const rise = [0.005, 0.12875, 0.2525, 0.37625];
  assertClose(ratesOf({ kind: 'cosine', least: 0 }, 10, warmup), [
    ...[...rise, 0.5, 0.466506351, 0.375, 0.25, 0.125, 0.0334936491],
  ]);
  assertClose(ratesOf({ kind: 'constant' }, 6, warmup), [...rise, 0.5, 0.5]);
  assertClose(ratesOf({ kind: 'steps', epochs: [1], factor: 0.5 }, 6, warmup), [
    ...[0.005, 0.12875, 0.12625, 0.188125, 0.25, 0.25],
  ]);
  // A half of an epoch of two steps is one step; three quarters are one and a half.
  assertClose(ratesOf({ kind: 'constant' }, 3, { ...warmup, warmupEpochs: 0.5 }), [0.005, 0.5, 0.5]);
  assertClose(ratesOf({ kind: 'linear', least: 0 }, 4, { ...warmup, warmupEpochs: 0.75 }), [0.005, 0.335, 0.5, 0.25]);
  // With linear scaling it begins at a share of the scaled rate, if one is named.
  assertClose(ratesOf({ kind: 'constant' }, 2, { ...warmup, warmupEpochs: 1, linearScaling: 4 }), [0.02, 1.01]);
});

test('learningRateAt() of a schedule that starts later goes over the steps that are left', () => {
  const start = { epoch: 3, step: 5, factor: 0.5 };
  const linear = ratesOf({ kind: 'linear', least: 0 }, 10, {}, { start });
  assertClose(linear.slice(5), [0.25, 0.2, 0.15, 0.1, 0.05]);
  const warm = { start: { ...start, factor: 1, warmup: true } };
  const after = ratesOf({ kind: 'linear', least: 0 }, 10, { warmupEpochs: 1, warmupFrom: 0.5 }, warm).slice(5);
  assertClose(after, [0.25, 0.375, 0.5, 0.5 * (2 / 3), 0.5 / 3]);
  // A checkpoint of an earlier version has no step: the first one of the epoch counts.
  const byEpoch = ratesOf({ kind: 'linear', least: 0 }, 8, {}, { start: { epoch: 3, factor: 1 } });
  assertClose(byEpoch.slice(4), [0.5, 0.375, 0.25, 0.125]);
});

test('scheduledRate() leaves out the warm-up', () => {
  const options = { ...OPTIONS, warmupEpochs: 2, warmupFrom: 0.01 };
  assert.equal(scheduledRate({ step: 2, steps: 10, batchesPerEpoch: 2 }, options), 0.5);
});

test('docs/recipe.md has the rates of every schedule', () => {
  const page = readFileSync(new URL('../../../docs/recipe.md', import.meta.url), 'utf8');
  const rows = page.split('\n').filter((line) => /^\|.*\| `\{ "kind"/.test(line));
  for (const row of rows) {
    const [, , flag, file, begin, middle, end] = row.split('|').map((cell) => cell.trim().replaceAll('`', ''));
    const typed = CONFIG_SCHEMA.shape.optimizer.shape.schedule.parse(parseSchedule(flag!));
    assert.deepEqual(typed, JSON.parse(file!), row);
    if (typed.kind === 'plateau') continue;
    const at = (step: number) =>
      learningRateAt(
        { step, steps: 90_000, batchesPerEpoch: 1000 },
        { ...OPTIONS, learningRate: 0.01, schedule: typed },
      );
    const two = (rate: number) => Number(rate.toPrecision(2));
    assert.deepEqual([1, 45_001, 90_000].map(at).map(two), [begin, middle, end].map(Number), row);
  }
  assert.equal(rows.length, 6);
});
