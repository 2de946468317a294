/** How fast the variants of an ablation train: what was measured, and its table. */
import { z } from 'zod';
import type { Config } from '../config/config.js';
import { opThreads } from '../config/devices.js';
import { SplitError } from '../errors.js';
import { usableCores } from '../limits.js';
import { median } from '../train/plan/median.js';
import { ratioOf } from './ablation-until.js';
import { oneLine } from './format.js';
import type { Services } from './services.js';
import { announce } from './silence.js';

const ROUNDS = z.array(z.number().positive());

/** Of each variant but the baseline, which every one is compared with. */
export const SPEED = z.object({
  /** Threads that each op may use, and the cores of the machine; null unless all devices are CPUs. */
  threads: z.number().nullable(),
  cores: z.number().nullable(),
  /** Milliseconds per image of each round. Rounds with the same index ran one after the other. */
  variants: z.array(z.object({ variant: z.string(), towers: z.number(), baseline: ROUNDS, changed: ROUNDS })),
});
export type Speed = z.infer<typeof SPEED>;

/** Compares the steps of each variant with those of the baseline. What cannot be measured is left out, with a warning. */
export async function measureSpeed(
  configs: readonly { variant: string; config: Config }[],
  services: Pick<Services, 'loadTrain' | 'stderr'>,
): Promise<Speed> {
  const { compareSpeeds } = await services.loadTrain();
  const [baseline, ...others] = configs;
  const isOnCpu = baseline!.config.devices.every((name) => name.startsWith('CPU'));
  const cores = usableCores();
  const variants: Speed['variants'] = [];
  for (const { variant, config } of others) {
    announce(services, `measuring the speed of ${variant}, in turn with the baseline`);
    try {
      const { baseline: before, changed } = await compareSpeeds(baseline!.config, config);
      const towers = config.placement === 'split' ? 2 : 1;
      variants.push({ variant, towers, baseline: [...before], changed: [...changed] });
    } catch (error) {
      if (!(error instanceof SplitError)) throw error;
      services.stderr.print(`warning: the speed of ${variant} is not known: ${oneLine(error.message)}`);
    }
  }
  const threads = isOnCpu ? opThreads(baseline!.config.net.table) || cores : null;
  return { threads, cores: isOnCpu ? cores : null, variants };
}

/** The header, and a line for each variant. A speed of 1.2 is 1.2 times the baseline's. */
export function speedTable({ variants }: Speed): [header: string[], rows: string[][]] {
  const rows = variants.map(({ variant, towers, baseline, changed }) => {
    const pairs = changed.slice(0, baseline.length).map((ms, i) => [Math.log(ms), Math.log(baseline[i]!)] as const);
    const ratio = ratioOf(pairs); // of times
    const speed = (ms: readonly number[]) => (ms.length > 0 ? (1000 / median(ms)).toFixed(0) : '');
    const interval = ratio?.low && ratio.high ? `${(1 / ratio.high).toFixed(2)} to ${(1 / ratio.low).toFixed(2)}` : '';
    const times = ratio ? (1 / ratio.mean).toFixed(2) : '';
    return [variant, String(towers), speed(changed), speed(baseline), times, interval, ratio?.verdict ?? ''];
  });
  return [['variant', 'towers', 'images/s', "baseline's", 'speed', '95 % interval', 'verdict'], rows];
}

/** What the threads were. */
export function speedText({ threads, cores, variants }: Speed): string {
  const rounds = variants[0]?.changed.length ?? 0;
  const same =
    threads === null
      ? ''
      : ` Every op may use ${threads} thread${threads === 1 ? '' : 's'} of the ${cores} cores, in each variant; a net of two columns runs two ops at a time, a net of one column one.`;
  return `Speeds are of training steps on random images, in ${rounds} rounds of each variant in turn with the baseline; medians.${same}`;
}
