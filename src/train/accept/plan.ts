/** What an acceptance runs: the nets, the sizes, the number of steps. */
import { fileURLToPath } from 'node:url';
import { type Config, type Machine, resolveConfig } from '../../config/config.js';
import { gpusOf } from '../../config/devices.js';

export type Plan = ReturnType<typeof planOf>;

/** The package has these files at the same path as a clone. */
const GOLDENS = ['original', 'paper', 'd2l'].map((name) => {
  return { name, file: fileURLToPath(new URL(`../../../../test/fixtures/goldens/${name}.json`, import.meta.url)) };
});

/** Shorter than the checks' deadlines: the exchange's own message about a peer that does not answer says more. */
const EXCHANGE_TIMEOUT_MS = 45_000;

/** @param devices two of the settings' names. @throws ConfigError if the machine does not have them. */
export function planOf(
  devices: readonly string[],
  machine: Machine,
  quick: boolean,
  folder: string,
  coordinator: string | null = null,
) {
  const isHost = gpusOf(devices).length === 0;
  const common = {
    ...{ placement: 'split', devices, coordinator, out: folder, check: false, evalEvery: 0 },
    ...{ exchangeTimeoutMs: EXCHANGE_TIMEOUT_MS, data: { source: 'embedded', ...(quick && { workers: 0 }) } },
  };
  const narrow = { preset: 'mini', net: { width: 0.125 } };
  const configOf = (values: object) => resolveConfig([{ values: { ...common, ...values } }], machine).config;
  return {
    quick,
    /** The whole net, for most checks. */
    net: configOf(quick ? { ...narrow, batchSize: 8 } : { preset: 'fashion', batchSize: isHost ? 32 : 128 }),
    /** A narrow net, for the trainings that are compared with each other. */
    run: configOf({
      ...(quick ? { ...narrow, batchSize: 100, steps: 4 } : { preset: 'mini', batchSize: 64, steps: 8 }),
      checkpointEvery: 2,
    }),
    /** For the measurements of speed. */
    batchSizes: quick ? [8] : isHost ? [8, 32, 128] : [32, 128, 256],
    seconds: quick ? 0 : 3,
    verifySteps: quick ? 1 : 3,
    // The check of the kernels already runs a step op by op.
    compiles: (quick ? ['on'] : ['on', 'off']) as Config['compile'][],
    /** The files of reference values; none if quick, because they are of whole nets. */
    goldens: quick ? [] : GOLDENS,
  };
}
