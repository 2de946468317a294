/** How long the variants of an ablation take to the same training error. */
import { meanOf } from '../report/intervals.js';
import { type Difference, pairedDifference } from '../report/paired.js';
import type { Result } from '../train/ablate-result.js';

/** One training of an ablation. */
export interface Training {
  readonly variant: string;
  readonly change: string;
  readonly seed: number;
  readonly result: Result | null;
}

/** The time of a variant over the baseline's, with the same seeds: the geometric mean, with its 95 % interval. */
export interface Ratio extends Omit<Difference, 'sd' | 'verdict'> {
  verdict: 'slower' | 'faster' | 'no difference seen' | 'one seed';
}

export interface Until {
  /** The level of the training error, from 0 to 1. */
  error: number;
  variants: readonly {
    variant: string;
    /** How many of its trainings are done, and how many of them got there. */
    trainings: number;
    reached: number;
    /** Geometric mean over its seeds; null unless all got there. */
    epochs: number | null;
    /** null for the baseline, and unless it and the baseline got there with every seed that both have. */
    ratio: Ratio | null;
  }[];
}

const RATIO_VERDICTS = { worse: 'slower', better: 'faster' } as const;

/** @param rows of which the first one is of the baseline. @returns null if no training has such a level. */
export function untilOf(rows: readonly Training[], error: number | undefined): Until | null {
  if (error === undefined) return null;
  const known = rows.filter(({ result }) => result?.status === 'done' && result.until?.error === error);
  const baseline = rows[0]?.variant;
  const epochsOf = ({ result }: Training) => result!.until!.epochs;
  const variants = [...new Set(rows.map(({ variant }) => variant))].map((variant) => {
    const own = known.filter((row) => row.variant === variant);
    const times = own.map(epochsOf).filter((epochs) => epochs !== null);
    const isWhole = own.length > 0 && times.length === own.length;
    const epochs = isWhole ? Math.exp(meanOf(times.map(Math.log))) : null;
    const others = known.filter((row) => row.variant === baseline && own.some(({ seed }) => seed === row.seed));
    const isPaired = variant !== baseline && isWhole && others.every((row) => epochsOf(row) !== null);
    const rows = others.map((other) => [own.find(({ seed }) => seed === other.seed)!, other] as const);
    const pairs = rows.map(([row, other]) => [Math.log(epochsOf(row) ?? 1), Math.log(epochsOf(other) ?? 1)] as const);
    const ratio = isPaired ? ratioOf(pairs, Math.max(0, ...rows.flat().map(stepShare))) : null;
    return { variant, trainings: own.length, reached: times.length, epochs, ratio };
  });
  return { error, variants };
}

/** What one step more or less changes in the logarithm of a training's time. */
function stepShare({ result }: Training): number {
  const { epochs, stepEpochs = 0 } = result!.until!;
  return epochs ? Math.log1p(stepEpochs / epochs) : 0;
}

/**
 * @param logs of pairs of times. @param resolution how exact these logarithms are; see {@link pairedDifference}.
 * @returns null without a pair.
 */
export function ratioOf(logs: readonly (readonly [number, number])[], resolution = 0): Ratio | null {
  const difference = pairedDifference(logs, resolution);
  if (!difference) return null;
  const { pairs, mean, low, high, verdict } = difference;
  return {
    ...{ pairs, mean: Math.exp(mean), low: low === null ? null : Math.exp(low) },
    high: high === null ? null : Math.exp(high),
    verdict: verdict === 'worse' || verdict === 'better' ? RATIO_VERDICTS[verdict] : verdict,
  };
}
