/** What all benchmarks share: interleaved timing, ratios with quartiles, and files of results. */
import { table } from '../../src/cli/format.js';
import { median } from '../../src/numbers.js';
import { originNow, writeJson } from '../origin.js';

/** One of the compared variants. */
export interface Variant {
  name: string;
  /** Runs once. If it returns a number, that is its time in milliseconds; otherwise the call is timed. */
  run(): unknown;
}

/** Milliseconds of a variant in each round. */
export interface Timing {
  name: string;
  times: readonly number[];
}

/**
 * Runs all variants in turn, so that noise affects all of them equally.
 * @param rounds rounds that count.
 * @param warmup rounds before those, which do not count.
 * @param burst runs of a variant per round; the time is their mean. Short variants need several.
 */
export async function interleave(
  variants: readonly Variant[],
  rounds: number,
  warmup = 2,
  burst = 1,
): Promise<Timing[]> {
  const timings = variants.map(({ name }) => ({ name, times: [] as number[] }));
  for (let round = -warmup; round < rounds; round++) {
    for (const [i, variant] of variants.entries()) {
      let total = 0;
      for (let run = 0; run < burst; run++) {
        const started = performance.now();
        const own = await variant.run();
        total += typeof own === 'number' ? own : performance.now() - started;
      }
      if (round >= 0) timings[i]!.times.push(total / burst);
    }
  }
  return timings;
}

/** Returns the quantile by the nearest rank. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** Returns how many times as fast as the first variant each variant is: the median and quartiles over the rounds. */
export function ratios(timings: readonly Timing[]): { name: string; ratio: number; low: number; high: number }[] {
  const [first] = timings;
  return timings.map(({ name, times }) => {
    const each = times.map((time, i) => first!.times[i]! / time);
    return { name, ratio: median(each), low: quantile(each, 0.25), high: quantile(each, 0.75) };
  });
}

/** Prints medians and ratios. @param extra further columns. */
export function printTimings(
  timings: readonly Timing[],
  extra: Readonly<Record<string, (medianMs: number) => string>> = {},
): void {
  const compared = ratios(timings);
  const header = ['variant', 'median ms', 'quartiles', ...Object.keys(extra), 'speed against the first', 'quartiles'];
  const rows = timings.map(({ name, times }, i) => {
    const { ratio, low, high } = compared[i]!;
    const middle = median(times);
    return [
      name,
      middle.toFixed(2),
      `${quantile(times, 0.25).toFixed(2)}-${quantile(times, 0.75).toFixed(2)}`,
      ...Object.values(extra).map((column) => column(middle)),
      ratio.toFixed(3),
      `${low.toFixed(3)}-${high.toFixed(3)}`,
    ];
  });
  for (const line of table(header, rows)) console.log(line);
}

/** Writes a result with its machine and commit, if there is a file for it. */
export function save(file: string | undefined, result: object): void {
  if (file === undefined) return;
  writeJson(file, { ...originNow(), ...result });
  console.log(`written to ${file}`);
}
