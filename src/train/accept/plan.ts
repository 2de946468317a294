/** What an acceptance runs: the nets, the sizes, the deadlines. */
import { fileURLToPath } from 'node:url';
import { type Config, type Machine, resolveConfig } from '../../config/config.js';

export interface Plan {
  quick: boolean;
  /** Of the whole net: most of the checks. */
  net: Config;
  /** Of a narrow net: the trainings that are compared with one another. */
  run: Config;
  /** Images a step, where speed is measured. */
  batchSizes: readonly number[];
  /** How long each placement and batch is measured. */
  seconds: number;
  verifySteps: number;
  /** How the nets that are verified are run. */
  compiles: readonly Config['compile'][];
  /** Reference files by name; none when it is to be quick, for their nets are whole. */
  goldens: readonly { name: string; file: string }[];
}

const GOLDENS = ['original', 'paper', 'd2l'] as const;

/** Shorter than the checks' deadlines: what the exchange has to say of a peer that does not answer is said first. */
const EXCHANGE_TIMEOUT_MS = 45_000;

/**
 * @param devices two of the settings' names.
 * @param folder where runs go.
 * @throws ConfigError for devices that are not among the machine's.
 */
export function planOf(devices: readonly string[], machine: Machine, quick: boolean, folder: string): Plan {
  const isHost = devices.every((name) => name.startsWith('CPU'));
  const common = {
    ...{ placement: 'split', devices, out: folder, check: false, evalEvery: 0 },
    ...{ exchangeTimeoutMs: EXCHANGE_TIMEOUT_MS, data: { source: 'embedded', ...(quick && { workers: 0 }) } },
  };
  const narrow = quick ? { net: { width: 0.125 }, batchSize: 100, steps: 4 } : { batchSize: 64, steps: 8 };
  const whole = quick
    ? { preset: 'mini', net: { width: 0.125 }, batchSize: 8 }
    : { preset: 'fashion', batchSize: isHost ? 32 : 128 };
  const settle = (values: Record<string, unknown>) =>
    resolveConfig([{ values: { ...common, ...values } }], machine).config;
  return {
    quick,
    net: settle(whole),
    run: settle({ preset: 'mini', checkpointEvery: 2, ...narrow }),
    batchSizes: quick ? [8] : isHost ? [8, 32, 128] : [32, 128, 256],
    seconds: quick ? 0 : 3,
    verifySteps: quick ? 1 : 3,
    // A step op by op is among the check of the kernels already.
    compiles: quick ? ['on'] : ['on', 'off'],
    goldens: quick ? [] : GOLDENS.map((name) => ({ name, file: goldenFile(name) })),
  };
}

/** A reference file; the package has them at the place that they have in a clone. */
export function goldenFile(name: string): string {
  return fileURLToPath(new URL(`../../../../test/fixtures/goldens/${name}.json`, import.meta.url));
}
