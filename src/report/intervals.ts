/** Means with 95 % intervals. */

/** The normal distribution's quantile for a two-sided interval of 95 %. */
const Z = 1.959964;

/** Student's quantiles for 1, 2, … degrees of freedom, where the series of {@link studentQuantile} is not exact enough. */
const STUDENT = [12.7062, 4.30265, 3.18245, 2.77645, 2.57058, 2.44691, 2.36462, 2.306, 2.26216, 2.22814];

export interface Interval {
  mean: number;
  low: number;
  high: number;
}

/** The mean of measurements, such as of several seeds, and Student's t interval. Needs two values or more. */
export function studentInterval(values: readonly number[]): Interval {
  const mean = meanOf(values);
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  const half = studentQuantile(values.length - 1) * Math.sqrt(variance / values.length);
  return { mean, low: mean - half, high: mean + half };
}

/** The share of successes among independent trials, and Wilson's score interval. */
export function wilsonInterval(share: number, trials: number): Interval {
  const [square, scale] = [Z ** 2, 1 + Z ** 2 / trials];
  const centre = (share + square / (2 * trials)) / scale;
  const half = (Z / scale) * Math.sqrt((share * (1 - share)) / trials + square / (4 * trials ** 2));
  return { mean: share, low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The 97.5 % quantile of Student's distribution: Cornish and Fisher's series (Abramowitz and Stegun, 26.7.5). */
export function studentQuantile(degrees: number): number {
  const tabled = STUDENT[degrees - 1];
  if (tabled !== undefined) return tabled;
  const [z, d] = [Z, degrees];
  return (
    z +
    (z ** 3 + z) / (4 * d) +
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * d ** 2) +
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * d ** 3)
  );
}
