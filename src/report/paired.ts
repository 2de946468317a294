/** Differences between trainings in pairs: of each seed, one training with a change and one without. */
import { type Interval, meanOf, studentInterval, studentQuantile } from './intervals.js';

/**
 * What the pairs say about a measure that is better if it is smaller, such as an error. `no difference seen`: the interval
 * has 0 in it, so there may be none, or one that is too small for so few seeds.
 */
export type Verdict = 'worse' | 'better' | 'no difference seen' | 'one seed';

/** The mean difference of pairs, with its 95 % interval (Student's t). */
export interface Difference {
  pairs: number;
  mean: number;
  /** null with one pair. */
  low: number | null;
  high: number | null;
  /** Standard deviation of the differences; null with one pair. */
  sd: number | null;
  verdict: Verdict;
}

/** The normal distribution's quantile for a difference that is seen in four of five experiments. */
const Z_POWER = 0.841621;
const MOST_SEEDS = 100_000;

/**
 * Compares pairs: the mean of the first numbers minus the second ones.
 * @param resolution the smallest step of the measure, such as one test image. Differences of a few pairs can be equal by
 * chance; their standard deviation is taken as this at least, so that the interval never has the length 0.
 * @returns undefined without a pair.
 */
export function pairedDifference(
  pairs: readonly (readonly [changed: number, unchanged: number])[],
  resolution = 0,
): Difference | undefined {
  const differences = pairs.map(([changed, unchanged]) => changed - unchanged);
  if (differences.length === 0) return undefined;
  const mean = meanOf(differences);
  if (differences.length === 1) return { pairs: 1, mean, low: null, high: null, sd: null, verdict: 'one seed' };
  const sd = Math.max(deviation(differences), resolution);
  const half = halfWidth(sd, differences.length);
  const interval = { mean, low: mean - half, high: mean + half };
  return { pairs: differences.length, ...interval, sd, verdict: verdictOf(interval) };
}

function verdictOf({ low, high }: Interval): Verdict {
  if (low > 0) return 'worse';
  return high < 0 ? 'better' : 'no difference seen';
}

/** The standard deviation of two values or more, by n - 1. */
export function deviation(values: readonly number[]): number {
  const { mean, high } = studentInterval(values);
  return ((high - mean) * Math.sqrt(values.length)) / studentQuantile(values.length - 1);
}

/** Half the length of the 95 % interval of the mean of `pairs` differences. */
function halfWidth(sd: number, pairs: number): number {
  return (studentQuantile(pairs - 1) * sd) / Math.sqrt(pairs);
}

/**
 * The true difference for which `seeds` pairs give a verdict in four of five experiments, by the normal approximation of
 * the noncentral t distribution (Abramowitz and Stegun, 26.7.10).
 * @param sd standard deviation of the differences. @param seeds two or more.
 */
export function visibleDifference(sd: number, seeds: number): number {
  const degrees = seeds - 1;
  const t = studentQuantile(degrees);
  const standardErrors = t * (1 - 1 / (4 * degrees)) + Z_POWER * Math.sqrt(1 + t ** 2 / (2 * degrees));
  return (standardErrors * sd) / Math.sqrt(seeds);
}

/**
 * The true standard deviation for which a sample's would be below and above the sample's own equally often. Samples of two
 * are a third too small in the median.
 * @param sd of a sample, by n - 1. @param size two or more.
 */
export function typicalDeviation(sd: number, size: number): number {
  return sd / (1 - 2 / (9 * (size - 1))) ** 1.5; // Wilson and Hilferty's median of chi-square
}

/** The smallest number of seeds, from two up, for which {@link visibleDifference} is at most `difference`. */
export function seedsToSee(difference: number, sd: number): number {
  let [few, enough] = [1, 2];
  while (visibleDifference(sd, enough) > difference && enough < MOST_SEEDS) [few, enough] = [enough, 2 * enough];
  while (enough - few > 1) {
    const middle = Math.floor((few + enough) / 2);
    if (visibleDifference(sd, middle) > difference) few = middle;
    else enough = middle;
  }
  return enough;
}
