/** Differences of pairs, and how many pairs a difference takes. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  deviation,
  pairedDifference,
  seedsToSee,
  typicalDeviation,
  visibleDifference,
} from '../../src/report/paired.js';

const near = (actual: number | null, expected: number) =>
  assert.ok(actual !== null && Math.abs(actual - expected) < 1e-4, `${actual}, expected ${expected}`);

test('pairedDifference() has the t interval of the differences, and a verdict only if it leaves out 0', () => {
  // R: t.test(c(1, 2, 4)) has the interval -1.461... to 6.128..., mean 2.333.
  const differences = [1, 2, 4];
  const found = pairedDifference(differences.map((each, i) => [10 * i + each, 10 * i]))!;
  near(found.mean, 7 / 3);
  near(found.low, -1.46125);
  near(found.high, 6.12791);
  near(found.sd, Math.sqrt(7 / 3));
  assert.deepEqual([found.pairs, found.verdict], [3, 'no difference seen']);
  const verdictOf = (...values: number[]) => pairedDifference(values.map((each) => [each, 0]))!.verdict;
  assert.deepEqual(
    [verdictOf(3, 3.1, 3.2), verdictOf(-3, -3.1, -3.2), verdictOf(3, 9)],
    ['worse', 'better', 'no difference seen'],
  );
});

test('pairedDifference() gives no verdict from one pair, and no interval of length 0', () => {
  assert.equal(pairedDifference([]), undefined);
  assert.deepEqual(pairedDifference([[3, 1]]), {
    ...{ pairs: 1, mean: 2, low: null, high: null, sd: null, verdict: 'one seed' },
  });
  const same = pairedDifference(
    [
      [0.901, 0.9],
      [0.801, 0.8],
    ],
    0.001,
  )!;
  assert.equal(same.verdict, 'no difference seen'); // one image of a thousand, twice by chance
  near(same.high, 0.001 + (12.7062 * 0.001) / Math.SQRT2);
});

test('seedsToSee() is the smallest number whose visibleDifference() is small enough', () => {
  for (const [difference, sd] of [
    [1, 1],
    [0.5, 1.3],
    [10, 1],
    [100, 1],
    [0.05, 1],
  ] as const) {
    const seeds = seedsToSee(difference, sd);
    assert.ok(visibleDifference(sd, seeds) <= difference);
    assert.ok(seeds === 2 || visibleDifference(sd, seeds - 1) > difference, `${seeds}`);
  }
  assert.equal(seedsToSee(1, 0), 2);
  assert.ok(seedsToSee(0, 1) > 1000);
});

test('visibleDifference() is seen in four of five experiments, also with few seeds', () => {
  // The noncentral t distribution, integrated numerically.
  for (const [seeds, exact, within] of [
    [2, 11.5499, 0.05],
    [3, 3.264, 0.02],
    [5, 1.682, 0.006],
    [10, 0.996, 0.002],
  ] as const) {
    const found = visibleDifference(1, seeds);
    assert.ok(Math.abs(found / exact - 1) < within, `${seeds} seeds: ${found}, expected ${exact}`);
  }
});

test('typicalDeviation() corrects the median of small samples', () => {
  // The square root of the median of chi-square over its degrees of freedom.
  for (const [size, median] of [
    [2, 0.6745],
    [3, 0.8326],
    [5, 0.9161],
    [10, 0.9627],
  ] as const) {
    const found = typicalDeviation(median, size);
    assert.ok(Math.abs(found - 1) < 0.02, `${size}: ${found}`);
  }
});

test('deviation() is the standard deviation by n - 1', () => {
  near(deviation([1, 2, 4]), Math.sqrt(7 / 3));
});
