/** The checks of an acceptance: what each asks the child process for, and what it makes of the answer. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../config/config.js';
import { SplitError } from '../../errors.js';
import { type MemoryPeak, monitorMemory } from '../../native/install/nvidia-smi.js';
import type { ComparisonResult, CopyRates, SpeedResult } from './jobs.js';
import type { Plan } from './plan.js';
import { compareWeights } from './weights.js';
import type { Worker } from './worker.js';

/** What a check that passed has to say. */
export interface Finding {
  figure: string;
  detail?: object;
  /** Why there was nothing to check. */
  skipped?: string;
}

export interface Check {
  name: string;
  /** For all that it does. */
  deadlineMs: number;
  /** @throws SplitError when it fails: the message is the sentence. */
  run(worker: Worker, deadlineMs: number): Promise<Finding>;
}

/** A check that ran and found something wrong, with what it found. */
export class CheckFailed extends SplitError {
  override name = 'CheckFailed';
  constructor(
    message: string,
    readonly figure = '',
    readonly detail?: object,
  ) {
    super(message);
  }
}

const [MINUTE, TWO_MINUTES, FOUR_MINUTES] = [60_000, 120_000, 240_000];

/** Every check, in the order in which they say most when an earlier one fails. */
export function checksOf(plan: Plan): Check[] {
  const { net } = plan;
  return [
    // A card that the kernels were not built for compiles them all first.
    { name: 'kernels', deadlineMs: FOUR_MINUTES, run: kernels(net) },
    { name: 'copies', deadlineMs: MINUTE, run: copies(net) },
    // float16 rounds, so that no pattern could come back as it went: `verify` has it.
    ...WAYS.filter(({ exchange }) => exchange.dtype === 'float32').map(({ way, exchange }) => ({
      name: `exchange ${way}`,
      deadlineMs: MINUTE,
      run: selfTest({ ...net, exchange: { ...net.exchange, ...exchange } }),
    })),
    ...WAYS.flatMap(({ way, exchange }) =>
      plan.compiles.map((compile) => ({
        name: `verify ${way}, compile ${compile}`,
        deadlineMs: TWO_MINUTES,
        run: comparison(plan.verifySteps === 1 ? '1 step' : `${plan.verifySteps} steps`, {
          kind: 'verify',
          config: { ...net, compile, exchange: { ...net.exchange, ...exchange } },
          steps: plan.verifySteps,
        }),
      })),
    ),
    ...goldens(plan),
    ...speeds(plan),
    ...trainings(plan),
  ];
}

const WAYS = [
  { way: 'msgpack', exchange: { transport: 'msgpack', dtype: 'float32' } },
  { way: 'msgpack float16', exchange: { transport: 'msgpack', dtype: 'float16' } },
  { way: 'device', exchange: { transport: 'device', dtype: 'float32' } },
] as const;

function kernels(config: Config): Check['run'] {
  return async (worker, deadlineMs) => {
    const { ops, missing } = await worker.run({ kind: 'kernels', config }, { deadlineMs });
    const counted = Object.entries(ops).map(([device, each]) => `${Object.keys(each).length} on ${device}`);
    const figure = `kinds of op in the step's functions: ${counted.join(', ')}`;
    if (missing.length === 0) return { figure, detail: { ops } };
    throw new CheckFailed(
      `${missing.join(', ')} ran on the host, expected every op of the step to have a kernel on the towers' devices`,
      figure,
      { ops, missing },
    );
  };
}

function copies(config: Config): Check['run'] {
  return async (worker, deadlineMs) => {
    const { rates, wrong } = await worker.run({ kind: 'copies', config }, { deadlineMs });
    const figure = copiesFigure(rates.at(-1)!);
    if (wrong.length === 0) return { figure, detail: { rates } };
    throw new CheckFailed(`other bytes arrived than were sent: ${wrong.join('; ')}`, figure, { rates, wrong });
  };
}

function copiesFigure({ bytes, peer, upload, download }: CopyRates): string {
  const rates = (both: readonly number[]) => both.map((each) => (each / 1e9).toFixed(1)).join(' and ');
  return `GB/s at ${Math.round(bytes / 1024)} KiB: peer ${rates(peer)}, from the host ${rates(upload)}, to it ${rates(download)}`;
}

function selfTest(config: Config): Check['run'] {
  return async (worker, deadlineMs) => {
    const { sites, wrong, ms, replies } = await worker.run({ kind: 'exchange', config }, { deadlineMs });
    if (wrong === undefined) return { figure: `${sites} sites, ${ms.toFixed(0)} ms`, detail: { sites, ms, replies } };
    throw new CheckFailed(`what came was not what was sent: ${wrong}`);
  };
}

type Comparison = { kind: 'verify'; config: Config; steps: number } | { kind: 'golden'; config: Config; file: string };

function comparison(what: string, job: Comparison): Check['run'] {
  return async (worker, deadlineMs) => {
    const result: ComparisonResult = await worker.run<'verify' | 'golden'>(job, { deadlineMs });
    const { passed, worst, allowed, where, detail } = result;
    const figure = `${what}: worst ${small(worst)} of ${small(allowed)}, ${where}`;
    if (passed) return { figure, detail };
    throw new CheckFailed(
      `it is out of tolerance by ${small(worst)}, allowed ${small(allowed)}, first in ${where}`,
      figure,
      detail,
    );
  };
}

function goldens({ goldens: files, net }: Plan): Check[] {
  if (files.length === 0) {
    const run = async () => ({ figure: '', skipped: 'their nets are whole ones, and --quick leaves them out' });
    return [{ name: 'reference values', deadlineMs: MINUTE, run }];
  }
  return files.map(({ name, file }) => ({
    name: `reference values ${name}`,
    deadlineMs: MINUTE,
    run: comparison('float64', { kind: 'golden', config: net, file }),
  }));
}

/** Both placements at each batch size, and after them what memory that took. */
function speeds({ batchSizes, net, seconds, quick }: Plan): Check[] {
  let memory: { batchSize: number; processBytes: number; cards: MemoryPeak[] | undefined } | undefined;
  const measure = batchSizes.map(
    (batchSize): Check => ({
      name: `speed at ${batchSize} images`,
      deadlineMs: TWO_MINUTES,
      async run(worker, deadlineMs) {
        const run = (placement: Config['placement']) =>
          worker.run<'speed'>(
            { kind: 'speed', config: { ...net, batchSize, placement }, seconds },
            // The context's threads are the placement's, and its memory is what is to be seen.
            { deadlineMs: deadlineMs / 2, fresh: !quick },
          );
        const watching = await monitorMemory();
        let cards: MemoryPeak[] | undefined;
        const split = await run('split').finally(() => {
          cards = watching?.();
        });
        memory = { batchSize, processBytes: split.processBytes, cards };
        return speedFinding(split, await run('single'));
      },
    }),
  );
  const told: Check = {
    name: 'memory',
    deadlineMs: MINUTE,
    async run() {
      if (!memory) return { figure: '', skipped: 'no split was measured that could tell of it' };
      const { batchSize, processBytes, cards } = memory;
      const peaks = cards?.map(({ index, beforeMiB, peakMiB }) => `card ${index} ${peakMiB - beforeMiB} MiB`);
      const host = `the process itself ${Math.round(processBytes / 2 ** 20)} MiB`;
      const figure = `split at ${batchSize} images: ${[...(peaks ?? []), host].join(', ')}${peaks ? '' : '; without nvidia-smi nothing tells of cards'}`;
      return { figure, detail: memory };
    },
  };
  return [...measure, told];
}

function speedFinding(split: SpeedResult, single: SpeedResult): Finding {
  const detail = { split, single };
  const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
  const figure = `split ${split.imagesPerS.toFixed(0)}, single ${single.imagesPerS.toFixed(0)} images/s (${(split.imagesPerS / single.imagesPerS).toFixed(2)} times); exchange ${percent(split.exchangeShare)}, wait ${percent(split.waitShare)} of a step`;
  if (!split.finite || !single.finite) throw new CheckFailed('a loss was not a number', figure, detail);
  if (split.exchangeBytes === 0) throw new CheckFailed('nothing crossed between the towers', figure, detail);
  return { figure, detail };
}

/** A training twice, and a third time with a kill in its midst. */
function trainings({ run: config }: Plan): Check[] {
  const folderOf = (name: string) => join(config.out, name);
  const named = (name: string): Config => ({ ...config, run: name });
  let straight: string | undefined;
  let repeats: number | undefined;
  const repeat: Check = {
    name: 'repeat',
    deadlineMs: TWO_MINUTES,
    async run(worker, deadlineMs) {
      for (const name of ['first', 'second']) {
        const options = { deadlineMs: deadlineMs / 2 };
        await worker.run({ kind: 'run', config: named(name), resume: false, dies: false }, options);
      }
      straight = folderOf('first');
      const { worst, where } = compareWeights(straight, folderOf('second'));
      repeats = worst;
      rmSync(folderOf('second'), { recursive: true });
      const figure = `${config.steps} steps twice: ${worst === 0 ? 'equal bit for bit' : `${small(worst)} apart, in ${where}`}`;
      return { figure, detail: { steps: config.steps, worst, where } };
    },
  };
  const resume: Check = {
    name: 'kill and resume',
    deadlineMs: TWO_MINUTES,
    async run(worker, deadlineMs) {
      if (straight === undefined || repeats === undefined) {
        return { figure: '', skipped: 'there are no two whole runs to compare it with' };
      }
      const options = { deadlineMs: deadlineMs / 2 };
      await worker.runToDeath({ kind: 'run', config: named('killed'), resume: false, dies: true }, options);
      const job = { kind: 'run', config: named('killed'), resume: true, dies: false } as const;
      const { from } = await worker.run<'run'>(job, options);
      const { worst, where } = compareWeights(straight, folderOf('killed'));
      const detail = { steps: config.steps, from, worst, where, repeats };
      const figure = `killed, resumed after step ${from} of ${config.steps}: ${worst === 0 ? 'equal bit for bit' : `${small(worst)} apart, in ${where}`}`;
      // A device whose sums change from run to run cannot give the same bits here.
      if (worst <= MOST_APART * repeats) return { figure, detail };
      throw new CheckFailed(
        `the resumed run's weights are ${small(worst)} from the whole run's, in ${where}, and two whole runs are ${small(repeats)} apart`,
        figure,
        detail,
      );
    },
  };
  return [repeat, resume];
}

/** How much further than two whole runs a resumed one may be: they are single draws of the same chance. */
const MOST_APART = 10;

/** `2.1e-7`, and 0. */
function small(value: number): string {
  return value === 0 || !Number.isFinite(value) ? String(value) : value.toExponential(1);
}
