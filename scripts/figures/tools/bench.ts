/** What makers read from the files of `npm run bench`. */
import { median } from '../../../src/numbers.js';
import type { ratios, Timing } from '../../bench/report.js';

export interface Timings {
  timings: readonly Timing[];
  ratios: ReturnType<typeof ratios>;
}

/** A variant's figures: medians of its rounds. */
export interface Speed {
  name: string;
  ms: number;
  /** Times as fast as the first variant: the median and the quartiles over the rounds. */
  ratio: number;
  low: number;
  high: number;
}

/** @param ratios without the variants that are only for comparison. */
export function speedsOf({ timings, ratios }: Timings): Speed[] {
  return ratios.map((ratio) => {
    const { times } = timings.find(({ name }) => name === ratio.name)!;
    return { ...ratio, ms: median(times) };
  });
}
