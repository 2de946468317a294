/** Steps of a variant beside the baseline's, in one process: short rounds of both, in turn. */
import { type Config, imagesPerStep } from '../config/config.js';
import { median } from '../numbers.js';
import { stepOnce, withTeam } from './accept/steps.js';

/** The first steps trace functions and choose algorithms. */
const WARM_UP = 5;
const ROUNDS = 4;
/** A round has as many steps as take about so long, at least one. */
const ROUND_MS = 300;

const NAMES = ['baseline', 'changed'] as const;

/** Milliseconds per image of each round. Rounds with the same index ran one after the other. */
export interface SpeedRounds {
  baseline: readonly number[];
  changed: readonly number[];
}

/**
 * Measures training steps of two nets in this process, on random images, without reading data. The rounds alternate, and so
 * does which of the two begins, so whatever slows the machine slows both.
 * @throws NativeError if an op fails.
 */
export async function compareRounds(baseline: Config, changed: Config): Promise<SpeedRounds> {
  const own = (config: Config): Config => ({ ...config, weights: null });
  return await withTeam(own(baseline), (a) =>
    withTeam(own(changed), async (b) => {
      const teams = { baseline: { team: a, config: baseline }, changed: { team: b, config: changed } };
      const steps = { baseline: 0, changed: 0 };
      const run = async (name: keyof typeof teams, count: number) => {
        const { team, config } = teams[name];
        const started = performance.now();
        for (let i = 0; i < count; i++) await stepOnce(team, config, ++steps[name]);
        return (performance.now() - started) / count;
      };
      const counts = { baseline: 1, changed: 1 };
      for (const name of NAMES) {
        await run(name, WARM_UP);
        const ms = median([await run(name, 1), await run(name, 1), await run(name, 1)]);
        counts[name] = Math.max(1, Math.round(ROUND_MS / ms));
      }
      const rounds = { baseline: [] as number[], changed: [] as number[] };
      for (let round = 0; round < ROUNDS; round++) {
        for (const name of round % 2 === 0 ? NAMES : NAMES.toReversed()) {
          rounds[name].push((await run(name, counts[name])) / imagesPerStep(teams[name].config));
        }
      }
      return rounds;
    }),
  );
}
