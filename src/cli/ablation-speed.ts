/** How fast the variants of an ablation train: what was measured, and its table. */
import { z } from 'zod';
import type { Config } from '../config/config.js';
import { opThreads } from '../config/devices.js';
import { SplitError } from '../errors.js';
import { usableCores } from '../limits.js';
import { median, plural } from '../numbers.js';
import { type Ratio, ratioOf } from './ablation-until.js';
import { oneLine } from './format.js';
import type { Services } from './services.js';
import { announce } from './silence.js';

const ROUNDS = z.array(z.number().positive()).min(1);
/** Milliseconds per image of each round. Rounds with the same index ran one after the other. */
const PROCESS = z.object({ baseline: ROUNDS, changed: ROUNDS });
const COMMON = { variant: z.string(), towers: z.number() };
const VARIANT = z.union([
  z.object({ ...COMMON, processes: z.array(PROCESS).min(1) }),
  // Earlier versions measured in one process.
  z.object({ ...COMMON, ...PROCESS.shape }).transform(({ variant, towers, ...rounds }) => {
    return { variant, towers, processes: [rounds] };
  }),
]);

/** Of each variant but the baseline, which every one is compared with. */
export const SPEED = z.object({
  /** Threads that each op may use, and the cores of the machine; null unless all devices are CPUs. */
  threads: z.number().nullable(),
  cores: z.number().nullable(),
  variants: z.array(VARIANT),
});
export type Speed = z.infer<typeof SPEED>;
type SpeedOf = Speed['variants'][number];

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
      const measured = await compareSpeeds(baseline!.config, config);
      const processes = measured.map((each) => ({ baseline: [...each.baseline], changed: [...each.changed] }));
      variants.push({ variant, towers: config.placement === 'split' ? 2 : 1, processes });
    } catch (error) {
      if (!(error instanceof SplitError)) throw error;
      services.stderr.print(`warning: the speed of ${variant} is not known: ${oneLine(error.message)}`);
    }
  }
  const threads = isOnCpu ? opThreads(baseline!.config.net.table) || cores : null;
  return { threads, cores: isOnCpu ? cores : null, variants };
}

/** The variant's time over the baseline's: of each process the median of its rounds, and the interval of the processes. */
function timesOf({ processes }: SpeedOf): Ratio | null {
  const logs = processes.map(({ baseline, changed }) => {
    const rounds = changed.slice(0, baseline.length).map((ms, i) => Math.log(ms / baseline[i]!));
    return [median(rounds), 0] as const;
  });
  return ratioOf(logs);
}

/** The header, and a line for each variant. A speed of 1.2 is 1.2 times the baseline's. */
export function speedTable({ variants }: Speed): [header: string[], rows: string[][]] {
  const rows = variants.map((each) => {
    const { variant, towers, processes } = each;
    const ratio = timesOf(each);
    const speed = (name: 'baseline' | 'changed') =>
      (1000 / median(processes.flatMap((rounds) => rounds[name]))).toFixed(0);
    const interval = ratio?.low && ratio.high ? `${(1 / ratio.high).toFixed(2)} to ${(1 / ratio.low).toFixed(2)}` : '';
    const verdict = processes.length > 1 ? (ratio?.verdict ?? '') : 'one process';
    const times = ratio ? (1 / ratio.mean).toFixed(2) : '';
    return [variant, String(towers), speed('changed'), speed('baseline'), times, interval, verdict];
  });
  return [['variant', 'towers', 'images/s', "baseline's", 'speed', '95 % interval', 'verdict'], rows];
}

/** How it was measured, and what the threads were. */
export function speedText({ threads, cores, variants }: Speed): string {
  const processes = variants[0]?.processes ?? [];
  const rounds = plural(processes[0]?.changed.length ?? 0, 'round');
  const isMany = processes.length > 1;
  const how = isMany
    ? `in ${processes.length} processes with ${rounds} each of a variant and the baseline, in turn. A ratio is the geometric mean of the processes, and the interval is theirs, since rounds of one process are not independent.`
    : `in one process, with ${rounds} of a variant and the baseline in turn: without an interval, since rounds of one process are not independent.`;
  const same =
    threads === null
      ? ''
      : ` Every op may use ${plural(threads, 'thread')} of the ${cores} cores, in each variant; a net of two columns runs two ops at a time, a net of one column one.`;
  return `Speeds are of training steps on random images, ${how}${same}`;
}
