/** The checks of an acceptance, in order: which jobs of the child process each one needs, and how it judges the results. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { chooseWeights } from '../../checkpoint/choose.js';
import { withTensors } from '../../checkpoint/weights-files.js';
import type { Config } from '../../config/config.js';
import { defaultDevices } from '../../config/devices.js';
import { type MemoryPeak, monitorMemory } from '../../native/install/nvidia-smi.js';
import { difference } from '../verify.js';
import type { DevicesJob, Job, JobKind, JobOf, JobResults } from './child.js';
import type { Plan } from './plan.js';
import type { AcceptReport, Row } from './report.js';

/** What a check found: its row's fields, with the reason why it failed or was skipped. */
interface Finding extends Partial<Pick<Row, 'figure' | 'detail'>> {
  failed?: string | false | undefined;
  skipped?: string;
}

/** Runs jobs for one check, within its deadline. */
export interface Jobs {
  run<Kind extends JobKind>(job: JobOf<Kind>, options?: { fresh?: boolean }): Promise<JobResults[Kind]>;
  runToDeath(job: Job): Promise<void>;
}

export interface Check {
  name: string;
  /** For all its jobs. */
  deadlineMs: number;
  /** @throws SplitError if it cannot finish; the message says why. */
  run(jobs: Jobs): Promise<Finding>;
}

const [MINUTE, TWO_MINUTES, FOUR_MINUTES] = [60_000, 120_000, 240_000];

/** A check that judges the result of one job. */
function check<Kind extends JobKind>(
  name: string,
  deadlineMs: number,
  job: JobOf<Kind>,
  judge: (result: JobResults[Kind]) => Finding,
): Check {
  return { name, deadlineMs, run: async (jobs) => judge(await jobs.run<Kind>(job)) };
}

/** The checks before the devices are known. @param onDevices gets the devices, if TensorFlow has them. */
export function firstChecks(
  report: AcceptReport,
  places: DevicesJob,
  onDevices: (found: JobResults['devices'], devices: string[]) => void,
): Check[] {
  return [
    check<'cards'>('cards', MINUTE, { kind: 'cards' }, (found) => judgeCards(Object.assign(report, found))),
    // TensorFlow is gigabytes on a disk that may be slow, and wakes the cards.
    check<'devices'>('devices', TWO_MINUTES, { kind: 'devices', ...places }, (found) => {
      if (found.trouble !== undefined) {
        const failed = `TensorFlow has no GPU, though there is an NVIDIA card: ${found.trouble}; to check the CPU, use --devices CPU:0,CPU:1`;
        return { failed };
      }
      const [used] = places.asked.length > 0 ? [[...places.asked]] : defaultDevices('split', found.names);
      onDevices(found, used);
      const sizes = used.map((name) => {
        const bytes = found.devices[found.names.indexOf(name)]?.memoryBytes ?? Number.NaN;
        return `${name} ${(bytes / 2 ** 30).toFixed(1)} GiB`;
      });
      return { figure: `${sizes.join(', ')}; TensorFlow ${found.tensorflow}` };
    }),
  ];
}

/** All other checks; those come first whose failure explains later ones. */
export function checksOf(plan: Plan): Check[] {
  const { net: config, verifySteps: steps } = plan;
  const transports = TRANSPORTS.map(({ name, exchange }) => {
    return { name, config: { ...config, exchange: { ...config.exchange, ...exchange } } };
  });
  return [
    // A card for which no kernels were built compiles them all first.
    check<'kernels'>('kernels', FOUR_MINUTES, { kind: 'kernels', config }, judgeKernels),
    check<'copies'>('copies', MINUTE, { kind: 'copies', config }, judgeCopies),
    // With float16 the values arrive rounded; `verify` covers it.
    ...transports
      .filter(({ config: { exchange } }) => exchange.dtype === 'float32')
      .map((each) =>
        check<'exchange'>(`exchange ${each.name}`, MINUTE, { kind: 'exchange', config: each.config }, judgeExchange),
      ),
    ...transports.flatMap((each) =>
      plan.compiles.map((compile) => {
        const job = { kind: 'verify', config: { ...each.config, compile }, steps } as const;
        const judge = judgeComparison(steps === 1 ? '1 step' : `${steps} steps`);
        return check<'verify'>(`verify ${each.name}, compile ${compile}`, TWO_MINUTES, job, judge);
      }),
    ),
    ...plan.goldens.map(({ name, file }) => {
      const job = { kind: 'golden', config, file } as const;
      return check<'golden'>(`reference values ${name}`, MINUTE, job, judgeComparison('float64'));
    }),
    ...(plan.quick ? [SKIPPED_GOLDENS] : []),
    ...speeds(plan),
    ...trainings(plan),
  ];
}

const TRANSPORTS = [
  { name: 'msgpack', exchange: { transport: 'msgpack', dtype: 'float32' } },
  { name: 'msgpack float16', exchange: { transport: 'msgpack', dtype: 'float16' } },
  { name: 'device', exchange: { transport: 'device', dtype: 'float32' } },
] as const;

const SKIPPED_GOLDENS: Check = {
  ...{ name: 'reference values', deadlineMs: MINUTE },
  run: async () => ({ skipped: '--quick leaves them out, because they need whole nets' }),
};

function judgeCards({ cards }: JobResults['cards']): Finding {
  if (cards.length === 0) return { skipped: 'there is no nvidia-smi, or it lists no card' };
  const names = cards.map(({ name, computeCapability }) => `${name} (${computeCapability ?? 'of unknown capability'})`);
  return { figure: `${names.join(', ')}; driver ${cards[0]!.driver}` };
}

function judgeKernels({ ops, missing }: JobResults['kernels']): Finding {
  const counted = Object.entries(ops).map(([device, each]) => `${Object.keys(each).length} on ${device}`);
  return {
    figure: `different ops in the step's functions: ${counted.join(', ')}`,
    detail: { ops, missing },
    failed:
      missing.length > 0 &&
      `${missing.join(', ')} ran on the host, expected every op of the step to have a kernel on the towers' devices`,
  };
}

function judgeCopies({ rates, wrong }: JobResults['copies']): Finding {
  const { bytes, peer, upload, download } = rates.at(-1)!;
  const both = (pair: readonly number[]) => pair.map((each) => (each / 1e9).toFixed(1)).join(' and ');
  return {
    figure: `GB/s at ${Math.round(bytes / 1024)} KiB: device to device ${both(peer)}, host to device ${both(upload)}, device to host ${both(download)}`,
    detail: { rates, wrong },
    failed: wrong.length > 0 && `the bytes that arrived are not those that were sent: ${wrong.join('; ')}`,
  };
}

function judgeExchange({ sites, wrong, ms, replies }: JobResults['exchange']): Finding {
  if (wrong !== undefined) return { failed: `the values that arrived are not those that were sent: ${wrong}` };
  return { figure: `${sites} cross-connections, ${ms.toFixed(0)} ms`, detail: { sites, ms, replies } };
}

/** @param what names the comparison in the figure. */
function judgeComparison(what: string): (result: JobResults['verify']) => Finding {
  return ({ passed, worst, allowed, where, detail }) => ({
    figure: `${what}: worst difference ${small(worst)} in ${where}, allowed ${small(allowed)}`,
    detail,
    failed: !passed && `the difference is ${small(worst)}, allowed ${small(allowed)}, first in ${where}`,
  });
}

/** Both placements at each batch size, and then the memory of the last split. */
function speeds({ batchSizes, net, seconds, quick }: Plan): Check[] {
  let memory: { batchSize: number; processBytes: number; cards: MemoryPeak[] | undefined } | undefined;
  const measure = batchSizes.map(
    (batchSize): Check => ({
      name: `speed at ${batchSize} images`,
      deadlineMs: TWO_MINUTES,
      async run(jobs) {
        const run = (placement: Config['placement']) =>
          // In a new process: each placement has its own number of threads in the context, and memory is measured.
          jobs.run<'speed'>({ kind: 'speed', config: { ...net, batchSize, placement }, seconds }, { fresh: !quick });
        const stopMonitoring = await monitorMemory();
        let cards: MemoryPeak[] | undefined;
        const split = await run('split').finally(() => {
          cards = stopMonitoring?.();
        });
        memory = { batchSize, processBytes: split.processBytes, cards };
        return judgeSpeeds(split, await run('single'));
      },
    }),
  );
  const report: Check = {
    name: 'memory',
    deadlineMs: MINUTE,
    async run() {
      if (!memory) return { skipped: 'no split training was measured' };
      const { batchSize, processBytes, cards } = memory;
      const peaks = cards?.map(({ index, beforeMiB, peakMiB }) => `card ${index} ${peakMiB - beforeMiB} MiB`) ?? [];
      const host = `the process itself ${Math.round(processBytes / 2 ** 20)} MiB`;
      const unknown = cards ? '' : '; cards are unknown without nvidia-smi';
      return { figure: `split at ${batchSize} images: ${[...peaks, host].join(', ')}${unknown}`, detail: memory };
    },
  };
  return [...measure, report];
}

function judgeSpeeds(split: JobResults['speed'], single: JobResults['speed']): Finding {
  const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
  const figure = `split ${split.imagesPerS.toFixed(0)}, single ${single.imagesPerS.toFixed(0)} images/s (${(split.imagesPerS / single.imagesPerS).toFixed(2)} times); exchange ${percent(split.exchangeShare)}, wait ${percent(split.waitShare)} of a step`;
  const failed = !(split.finite && single.finite)
    ? 'a loss was not finite'
    : split.exchangeBytes === 0 && 'the towers exchanged nothing';
  return { figure, detail: { split, single }, failed };
}

/** How much further from a whole run a resumed one may be than a second whole one: both distances are random. */
const TOLERATED_FACTOR = 10;

/** Two equal trainings, and a third one that is killed and resumed. */
function trainings({ run: config }: Plan): Check[] {
  const folderOf = (name: string) => join(config.out, name);
  const train = (run: string, resume = false, dies = false): JobOf<'run'> => {
    return { kind: 'run', config: { ...config, run }, resume, dies };
  };
  let repeated: number | undefined;
  const repeat: Check = {
    name: 'repeat',
    deadlineMs: TWO_MINUTES,
    async run(jobs) {
      for (const name of ['first', 'second']) await jobs.run<'run'>(train(name));
      const { worst, where, text } = compareRuns(folderOf('first'), folderOf('second'));
      repeated = worst;
      rmSync(folderOf('second'), { recursive: true });
      return { figure: `${config.steps} steps twice: ${text}`, detail: { steps: config.steps, worst, where } };
    },
  };
  const resume: Check = {
    name: 'kill and resume',
    deadlineMs: TWO_MINUTES,
    async run(jobs) {
      if (repeated === undefined) return { skipped: 'there are no two uninterrupted runs to compare with' };
      await jobs.runToDeath(train('killed', false, true));
      const { from } = await jobs.run<'run'>(train('killed', true));
      const { worst, where, text } = compareRuns(folderOf('first'), folderOf('killed'));
      return {
        figure: `killed, resumed after step ${from} of ${config.steps}: ${text}`,
        detail: { steps: config.steps, from, worst, where, repeats: repeated },
        failed:
          // On a device whose sums are not deterministic, no two runs are equal.
          !(worst <= TOLERATED_FACTOR * repeated) &&
          `the weights of the resumed run differ from those of the uninterrupted run by ${small(worst)}, in ${where}; two uninterrupted runs differ by ${small(repeated)}`,
      };
    },
  };
  return [repeat, resume];
}

/**
 * The tensor (weights and velocities) in which two runs differ most: its largest difference, as a share of its largest
 * value; NaN counts as the largest. @throws CheckpointError if the runs do not have the same tensors.
 */
function compareRuns(a: string, b: string): { worst: number; where: string; text: string } {
  let [worst, where] = [0, 'none'];
  withTensors(chooseWeights(a).files, (first) =>
    withTensors(chooseWeights(b).files, (second) => {
      for (const { name, shape } of first.entries) {
        const { relative } = difference(first.read(name, shape), second.read(name, shape));
        if (!(relative <= worst || Number.isNaN(worst))) [worst, where] = [relative, name];
      }
    }),
  );
  return { worst, where, text: worst === 0 ? 'equal bit for bit' : `${small(worst)} apart, in ${where}` };
}

/** `2.1e-7`, and 0. */
function small(value: number): string {
  return value === 0 || !Number.isFinite(value) ? String(value) : value.toExponential(1);
}
