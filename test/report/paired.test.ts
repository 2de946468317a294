/** Differences of pairs, and how many pairs a difference takes. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { deviation, pairedDifference, seedsToSee, visibleDifference } from '../../src/report/paired.js';

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
  near(visibleDifference(1, 10), (2.26216 + 0.841621) / Math.sqrt(10));
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

test('deviation() is the standard deviation by n - 1', () => {
  near(deviation([1, 2, 4]), Math.sqrt(7 / 3));
});
