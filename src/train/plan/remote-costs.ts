/** Measures what TensorFlow's servers add to a step: the same small steps here and there, in turn. */
import type { Config } from '../../config/config.js';
import { imageBytes } from '../../data/index.js';
import { median } from '../../numbers.js';
import type { RemoteCost } from '../../plan/rates.js';
import { layoutFor, stepOnce, withTeam } from '../accept/steps.js';
import type { Team } from '../team.js';
import { REMOTE, SMALL, SMALL_MESSAGES } from './calibrate.js';

const STEPS = { warmUp: 10, counted: 30 };
/** Whose images take some milliseconds to send. */
const LARGE_BATCH = 256;

/** Medians, in milliseconds, of small steps: of one tower and of two, here and on servers, and with many images. */
export interface SmallSteps {
  single: Pair;
  split: Pair;
  large: Pair;
  /** Of one image, as it crosses. */
  imageBytes: number;
}

interface Pair {
  here: number;
  there: number;
}

/**
 * Measures small steps. TensorFlow's context must have joined the servers.
 * @param remote a device on each of two servers. @param local devices of this process, of the same speed.
 */
export async function smallSteps(
  config: Config,
  remote: readonly [string, string],
  local: readonly [string, string],
): Promise<SmallSteps> {
  const small: Config = { ...config, net: SMALL, batchSize: 1, replicas: 1 };
  const exchange = { ...config.exchange, transport: 'device' as const };
  const single = (devices: readonly string[], batchSize: number): Config => {
    return { ...small, placement: 'single', batchSize, devices: devices.slice(0, 1) };
  };
  const split = (devices: readonly string[]): Config => ({
    ...{ ...small, exchange, placement: 'split', devices: [...devices] },
  });
  const found = await mediansOf([
    ...[single(local, 1), single(remote, 1), split(local), split(remote)],
    ...[single(local, LARGE_BATCH), single(remote, LARGE_BATCH)],
  ]);
  const pair = (i: number): Pair => ({ here: found[i]!, there: found[i + 1]! });
  return { single: pair(0), split: pair(2), large: pair(4), imageBytes: imageBytes(layoutFor(small)) };
}

const LEAST_MS = 0.05;

/** What servers cost; the numbers of round trips are not measured. @param steps on an unlimited link. */
export function remoteCost(steps: SmallSteps): RemoteCost {
  const extra = ({ here, there }: Pair) => there - here;
  const crossing = extra(steps.split) - extra(steps.single);
  const imagesMs = Math.max(LEAST_MS, extra(steps.large) - extra(steps.single));
  return {
    callMs: Math.max(LEAST_MS, extra(steps.single) / 2), // a step has two calls
    callRoundTrips: REMOTE.callRoundTrips,
    message: {
      ...REMOTE.message,
      ms: Math.max(LEAST_MS, crossing / (SMALL_MESSAGES - 1)), // the norms of the gradients do not go by server
      bytesPerMs: (LARGE_BATCH * steps.imageBytes) / imagesMs,
    },
  };
}

/** Medians of the steps of each, which run in turn. */
async function mediansOf(configs: readonly Config[]): Promise<number[]> {
  const teams: Team[] = [];
  const times = configs.map((): number[] => []);
  const run = async () => {
    for (let step = 1; step <= STEPS.warmUp + STEPS.counted; step++) {
      for (const [i, team] of teams.entries()) {
        const started = performance.now();
        await stepOnce(team, configs[i]!, step);
        if (step > STEPS.warmUp) times[i]!.push(performance.now() - started);
      }
    }
  };
  const open = async (rest: readonly Config[]): Promise<void> => {
    const [first, ...others] = rest;
    if (!first) return await run();
    await withTeam(first, async (team) => {
      teams.push(team);
      await open(others);
    });
  };
  await open(configs);
  return times.map(median);
}
