/** What an acceptance runs: the nets, the sizes, the number of steps. */
import { fileURLToPath } from 'node:url';
import { type Config, type Machine, resolveConfig } from '../../config/config.js';

export interface Plan {
  quick: boolean;
  /** The whole net, for most checks. */
  net: Config;
  /** A narrow net, for the trainings that are compared with each other. */
  run: Config;
  /** The batch sizes at which speed is measured, and for how long each. */
  batchSizes: readonly number[];
  seconds: number;
  verifySteps: number;
  compiles: readonly Config['compile'][];
  /** The files of reference values; none if quick, because they are of whole nets. */
  goldens: readonly { name: string; file: string }[];
}

const GOLDENS = ['original', 'paper', 'd2l'];

/** Shorter than the checks' deadlines: the exchange's own message about a peer that does not answer says more. */
const EXCHANGE_TIMEOUT_MS = 45_000;

/**
 * @param devices two of the settings' names.
 * @param folder where runs go.
 * @throws ConfigError if the machine does not have the devices.
 */
export function planOf(devices: readonly string[], machine: Machine, quick: boolean, folder: string): Plan {
  const isHost = devices.every((name) => name.startsWith('CPU'));
  const common = {
    ...{ placement: 'split', devices, out: folder, check: false, evalEvery: 0 },
    ...{ exchangeTimeoutMs: EXCHANGE_TIMEOUT_MS, data: { source: 'embedded', ...(quick && { workers: 0 }) } },
  };
  const configOf = (values: object) => resolveConfig([{ values: { ...common, ...values } }], machine).config;
  const trained = { preset: 'mini', checkpointEvery: 2 };
  if (quick) {
    const narrow = { net: { width: 0.125 } };
    return {
      quick,
      net: configOf({ preset: 'mini', ...narrow, batchSize: 8 }),
      run: configOf({ ...trained, ...narrow, batchSize: 100, steps: 4 }),
      ...{ batchSizes: [8], seconds: 0, verifySteps: 1, goldens: [] },
      compiles: ['on'], // the check of the kernels already runs a step op by op
    };
  }
  return {
    quick,
    net: configOf({ preset: 'fashion', batchSize: isHost ? 32 : 128 }),
    run: configOf({ ...trained, batchSize: 64, steps: 8 }),
    ...{ batchSizes: isHost ? [8, 32, 128] : [32, 128, 256], seconds: 3, verifySteps: 3, compiles: ['on', 'off'] },
    goldens: GOLDENS.map((name) => ({ name, file: goldenFile(name) })),
  };
}

/** The package has these files at the same path as a clone. */
function goldenFile(name: string): string {
  return fileURLToPath(new URL(`../../../../test/fixtures/goldens/${name}.json`, import.meta.url));
}
