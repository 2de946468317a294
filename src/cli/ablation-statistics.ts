/** What the trainings of an ablation say: means over the seeds, and differences from the baseline in pairs. */
import { median } from '../numbers.js';
import { meanOf } from '../report/intervals.js';
import {
  type Difference,
  deviation,
  pairedDifference,
  seedsToSee,
  typicalDeviation,
  visibleDifference,
} from '../report/paired.js';
import type { Result } from '../train/ablate-result.js';
import { type Training, type Until, untilOf } from './ablation-until.js';

/** What is compared; each is better if it is smaller. Errors are shares of images. */
export const MEASURES = ['top1Error', 'top5Error', 'testLoss', 'trainTop1Error', 'trainLoss'] as const;
export type Measure = (typeof MEASURES)[number];

/** A measure of a variant: its mean over the seeds, and its difference from the baseline with the same seeds. */
export interface Measured {
  mean: number;
  /** Standard deviation between seeds; null with one. */
  sd: number | null;
  /** null for the baseline, and if no seed has both. */
  difference: Difference | null;
}

export interface VariantStatistics {
  variant: string;
  change: string;
  /** The seeds with a result. */
  seeds: readonly number[];
  /** How many trainings there are or will be. */
  trainings: number;
  /** Absent without a finite value. */
  measures: Partial<Record<Measure, Measured>>;
}

/** How small a difference of top-1 errors can be seen. All are shares of images. */
export interface Sensitivity {
  /** Standard deviation of the paired differences between seeds: the median of the variants, corrected for few seeds. */
  sd: number;
  /** Seeds that a difference of 1 and of 0.5 points takes, to be seen in four of five experiments. */
  seedsForOnePoint: number;
  seedsForHalfPoint: number;
  /** The fewest seeds that a variant has, if it has two, and what they can show. */
  seeds: number;
  visible: number;
}

export interface Statistics {
  confidence: 0.95;
  variants: readonly VariantStatistics[];
  /** null before two seeds of a variant are done. */
  sensitivity: Sensitivity | null;
  /** Test images, and the standard error that they alone give a difference of two errors like the baseline's. */
  test: { images: number; standardError: number } | null;
  /** null without a level of the training error. */
  until: Until | null;
}

/** @param rows in any order. The first variant is the baseline. @param untilError a level of the training error. */
export function statisticsOf(rows: readonly Training[], untilError?: number): Statistics {
  const names = [...new Set(rows.map(({ variant }) => variant))];
  const own = names.map((name) => rows.filter(({ variant }) => variant === name));
  const [baseline = []] = own;
  const variants = own.map((each) => variantStatistics(each, baseline));
  const images = baseline.find(({ result }) => result?.testImages)?.result?.testImages;
  const error = variants[0]?.measures.top1Error?.mean;
  const isKnown = images !== undefined && images > 0 && error !== undefined && error >= 0 && error <= 1;
  return {
    ...{ confidence: 0.95, variants, sensitivity: sensitivityOf(variants) },
    test: isKnown ? { images, standardError: testStandardError(error, images) } : null,
    until: untilOf(rows, untilError),
  };
}

/**
 * The standard error of the difference of two shares of the same size, each of `images` images of its own. Two nets that
 * are tested on the same images have many errors in common, so theirs is smaller.
 */
export function testStandardError(error: number, images: number): number {
  return Math.sqrt((2 * error * (1 - error)) / images);
}

function variantStatistics(rows: readonly Training[], baseline: readonly Training[]): VariantStatistics {
  const { variant, change } = rows[0]!;
  const measured = MEASURES.map((measure) => [measure, measuredOf(rows, baseline, measure)] as const);
  return {
    ...{ variant, change, trainings: rows.length },
    seeds: rows.filter(({ result }) => measuredIn(result, 'top1Error') !== undefined).map(({ seed }) => seed),
    measures: Object.fromEntries(measured.filter(([, value]) => value !== undefined)),
  };
}

function measuredOf(rows: readonly Training[], baseline: readonly Training[], measure: Measure): Measured | undefined {
  const values = rows.flatMap(({ result }) => measuredIn(result, measure) ?? []);
  if (values.length === 0) return undefined;
  const pairs = rows.flatMap(({ seed, result }) => {
    const other = measuredIn(baseline.find((row) => row.seed === seed)?.result, measure);
    const value = measuredIn(result, measure);
    return value === undefined || other === undefined ? [] : [[value, other] as const];
  });
  const key = measure.startsWith('train') ? 'trainImages' : 'testImages';
  const images = rows.find(({ result }) => result?.[key])?.result?.[key] ?? 0;
  const resolution = measure.endsWith('Error') && images > 0 ? 1 / images : 0;
  return {
    mean: meanOf(values),
    sd: values.length > 1 ? deviation(values) : null,
    difference: rows === baseline ? null : (pairedDifference(pairs, resolution) ?? null),
  };
}

/** undefined unless the training is done and the value is finite. */
function measuredIn(result: Result | null | undefined, measure: Measure): number | undefined {
  const value = result?.status === 'done' ? result[measure] : undefined;
  return Number.isFinite(value) ? value : undefined;
}

function sensitivityOf(variants: readonly VariantStatistics[]): Sensitivity | null {
  const known = variants.flatMap(({ measures }) => measures.top1Error?.difference ?? []);
  const sd = median(known.flatMap(({ sd, pairs }) => (sd === null ? [] : typicalDeviation(sd, pairs))));
  if (!Number.isFinite(sd)) return null;
  const seeds = Math.min(...known.map(({ pairs }) => pairs).filter((pairs) => pairs > 1));
  return {
    ...{ sd, seeds, visible: visibleDifference(sd, seeds) },
    ...{ seedsForOnePoint: seedsToSee(0.01, sd), seedsForHalfPoint: seedsToSee(0.005, sd) },
  };
}
