/** The result of an ablation for people: its table, its notes, and its page. Writes both files. */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/config.js';
import { valueAt } from '../config/layers.js';
import { nonFiniteAsStrings } from '../log.js';
import { count, plural } from '../numbers.js';
import { printableLines } from '../printable.js';
import { writeNoFollow } from '../safe-write.js';
import { hasTop5 } from '../train/ablate-result.js';
import { ABLATION_JSON, type Ablation, type AblationRow } from './ablation.js';
import { speedTable, speedText } from './ablation-speed.js';
import type { Measured, Sensitivity, Statistics, VariantStatistics } from './ablation-statistics.js';
import type { Until } from './ablation-until.js';
import { explained } from './explain.js';
import { table } from './format.js';

const PAGE_NAME = 'ablation.md';
/** Half a 95 % interval of the normal distribution, in standard errors. */
const Z = 1.96;

type Shown = Pick<Ablation, 'settings' | 'rows' | 'statistics' | 'speed'>;

/** Replaces both files, each as a whole. @throws SplitError if they cannot be written. */
export function writeAblation(folder: string, ablation: Ablation): void {
  const files: [string, string][] = [
    [ABLATION_JSON, `${JSON.stringify(nonFiniteAsStrings(ablation), null, 2)}\n`],
    [PAGE_NAME, `${pageLines(ablation).join('\n')}\n`],
  ];
  for (const [name, text] of files) {
    const file = join(folder, name);
    explained(`write ${file}`, 'choose another folder with --out', () => {
      writeNoFollow(`${file}.part`, printableLines(text));
      renameSync(`${file}.part`, file);
    });
  }
}

/** The table for the terminal: a line for each variant. Of several seeds, another one follows, of the training errors. */
export function tableLines(ablation: Shown): string[] {
  const [first = [], ...others] = tablesOf(ablation).map((cells) => table(...cells));
  return [...first, ...others.flatMap((lines) => ['', ...lines])];
}

/** Sentences that say what the table shows, and what it does not. */
export function noteLines({ settings, rows, speed, statistics: { sensitivity, test, variants } }: Shown): string[] {
  if (variants.every(({ seeds }) => seeds.length === 0)) return [];
  const failed = variants.flatMap(({ variant }) => failedOf(variant, rows));
  const isDrawn = ['limit', 'valShare'].some((key) => valueAt(settings, ['data', key]) !== undefined); // by the seed
  const trained = rows.find(({ result }) => result?.trainImages)?.result?.trainImages;
  return [
    ...(sensitivity
      ? [
          'points: the mean difference from the baseline with the same seeds. The verdict is "no difference seen" where the 95 % interval of that mean (Student) has 0 in it.',
          sensitivityText(sensitivity),
        ]
      : [
          seedsIn(rows).length > 1
            ? 'No variant has two seeds with a result yet, so there is no interval and no verdict.'
            : 'One seed proves nothing: another seed changes each error, often by more than the variants do. --seeds 5 trains each variant with five seeds and says what they show.',
        ]),
    ...(test ? [testText(test, settings, sensitivity !== null)] : []),
    ...(trained === undefined
      ? []
      : [
          `The training error is that of the finished net on ${count(trained)} training images, the same for all${isDrawn ? ' variants of a seed' : ''}, without augmentation and dropout.`,
        ]),
    ...(speed ? [speedText(speed)] : []),
    ...(failed.length > 0 ? [`Without a result, so not in the means: ${failed.join(', ')}.`] : []),
  ];
}

function testText(
  { images, standardError }: NonNullable<Statistics['test']>,
  settings: Shown['settings'],
  isInterval: boolean,
): string {
  const shift = `up to ±${points(Z * standardError)} points (95 %)`;
  if (valueAt(settings, ['data', 'valShare']) !== undefined) {
    return `Each seed has ${count(images)} test images of its own, by --val-share. With one seed, others may change a difference by ${shift}; the interval covers that.`;
  }
  return `All variants are tested on the same ${count(images)} images. ${isInterval ? 'The interval does not cover the choice of these images: with' : 'With'} others, a difference may change by ${shift}.`;
}

/** What the seeds so far can show, and how many seeds smaller differences take. */
export function sensitivityText({ sd, seeds, visible, seedsForOnePoint, seedsForHalfPoint }: Sensitivity): string {
  return `Differences have a standard deviation of about ${points(sd)} points between seeds (median of the variants). So ${seeds} seeds show differences from ${points(visible)} points, in four of five experiments; 1 point takes about ${count(seedsForOnePoint)} seeds, 0.5 points ${count(seedsForHalfPoint)}.`;
}

function failedOf(variant: string, rows: readonly AblationRow[]): string[] {
  const failed = rows.filter((row) => row.variant === variant && row.result?.status === 'failed');
  return failed.map(({ seed }) => `${variant} with seed ${seed}`);
}

/** The page: the settings, the tables, and what failed or was left out. */
function pageLines(ablation: Ablation): string[] {
  const { preset, net, data, steps, epochs, batchSize, devices } = ablation.settings as unknown as Config;
  const { rows, missing } = ablation;
  const length = steps === null ? plural(epochs, 'epoch') : plural(steps, 'step');
  const failed = rows.flatMap(({ variant, seed, result }) =>
    result?.error ? [`- ${variant}, seed ${seed}: ${result.error}`] : [],
  );
  return [
    '# Ablation',
    '',
    `Preset ${preset}: net ${net.table} at ${net.width} of its width, ${net.inputSize} pixels, data ${data.source}; ${length} of ${count(batchSize)} images, ${seedText(rows)}, on ${devices.join(' and ')}. Each training is a run in the folder of its name, with all its settings in config.json.`,
    '',
    ...tablesOf(ablation).flatMap((cells) => [...markdownTable(...cells), '']),
    ...noteLines(ablation).flatMap((note) => [note, '']),
    ...(seedsIn(rows).length > 1 ? ['Every training:', '', ...markdownTable(...trainingCells(rows)), ''] : []),
    ...(failed.length > 0 ? ['Failed:', '', ...failed, ''] : []),
    ...(missing.length > 0 ? ['Left out:', '', ...missing.map(({ name, reason }) => `- ${name}: ${reason}`)] : []),
  ];
}

/** `seed 1`, or `seeds 1, 2, 3`. */
export function seedText(rows: readonly AblationRow[]): string {
  const seeds = seedsIn(rows);
  return `seed${seeds.length === 1 ? '' : 's'} ${seeds.join(', ')}`;
}

export function seedsIn(rows: readonly AblationRow[]): number[] {
  return [...new Set(rows.map(({ seed }) => seed))].sort((a, b) => a - b);
}

function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)];
}

type Table = [header: string[], rows: string[][]];

const NAMES = { top1Error: 'top-1 error', top5Error: 'top-5 error', trainTop1Error: 'training error' } as const;

/** Tables of the test errors with what changed, of the training errors, and of the time to one, if they are known. */
function tablesOf({ settings, rows, speed, statistics: { variants, until } }: Shown): Table[] {
  const isTop5 = hasTop5(((settings.net ?? {}) as Config['net']).classes);
  const isTrained = variants.some(({ measures }) => measures.trainTop1Error);
  const isOneSeed = seedsIn(rows).length < 2;
  const test = ['top1Error', ...(isTop5 ? (['top5Error'] as const) : [])] as const;
  const train = isTrained ? (['trainTop1Error'] as const) : [];
  const cellsOf = (isFirst: boolean, measures: readonly (keyof typeof NAMES)[]): Table => [
    [
      ...['variant', ...(isFirst ? ['changed', 'towers', 'parameters'] : []), ...(isOneSeed ? [] : ['seeds'])],
      ...measures.flatMap((key) => [NAMES[key], 'points', ...(isOneSeed ? [] : ['95 % interval', 'verdict'])]),
    ],
    variants.map((each) => {
      const own = rows.filter((row) => row.variant === each.variant);
      return [
        each.variant,
        ...(isFirst ? descriptionOf(each.change, own) : []),
        ...(isOneSeed ? [] : [seedsCell(each)]),
        ...measures.flatMap((key) => errorCells(each.measures[key], own, isOneSeed)),
      ];
    }),
  ];
  const others = [...untilTable(until, settings, isOneSeed), ...(speed ? [speedTable(speed)] : [])];
  if (isOneSeed) return [cellsOf(true, [...test, ...train]), ...others];
  return [cellsOf(true, test), ...(isTrained ? [cellsOf(false, train)] : []), ...others];
}

/** When the training error fell to a level: none or one table. */
function untilTable(until: Until | null, settings: Shown['settings'], isOneSeed: boolean): Table[] {
  if (until?.variants.every(({ trainings }) => trainings === 0) ?? true) return [];
  const { epochs: length, steps } = settings as unknown as Config;
  const within = steps === null ? `${count(length)} epochs` : `${count(steps)} steps`;
  const header = ['variant', 'seeds', `epochs to ${until!.error * 100} % training error`, 'ratio'];
  const rows = until!.variants.map(({ variant, trainings, reached, epochs, ratio }) => {
    const some = reached === 0 ? `not within ${within}` : `${reached} of ${trainings} within ${within}`;
    const time = epochs === null ? (trainings === 0 ? 'not known' : some) : epochs.toFixed(2);
    const interval = ratio?.low && ratio.high ? `${ratio.low.toFixed(2)} to ${ratio.high.toFixed(2)}` : '';
    const seen = isOneSeed ? [] : [interval, ratio?.verdict ?? ''];
    return [variant, String(trainings), time, ratio?.mean.toFixed(2) ?? '', ...seen];
  });
  return [[[...header, ...(isOneSeed ? [] : ['95 % interval', 'verdict'])], rows]];
}

/** What changed, the number of towers and that of parameters; of a variant that has not run, only the first. */
function descriptionOf(change: string, rows: readonly AblationRow[]): string[] {
  const { result } = rows.find((row) => row.result?.status === 'done') ?? rows.find((row) => row.result) ?? rows[0]!;
  return [change, ...(result ? [result.placement === 'split' ? '2' : '1', count(result.parameters)] : ['', ''])];
}

function seedsCell({ seeds, trainings }: VariantStatistics): string {
  return seeds.length === trainings ? String(trainings) : `${seeds.length} of ${trainings}`;
}

function errorCells(measured: Measured | undefined, rows: readonly AblationRow[], isOneSeed: boolean): string[] {
  const blank = (cells: number) => Array<string>(cells).fill('');
  if (!measured) {
    const last = rows.findLast(({ result }) => result)?.result;
    return [last?.status === 'done' ? 'not known' : (last?.status ?? 'not run'), ...blank(isOneSeed ? 1 : 3)];
  }
  const { mean, difference } = measured;
  const error = `${(mean * 100).toFixed(2)} %`.padStart(7);
  if (!difference) return [error, ...blank(isOneSeed ? 1 : 3)];
  const { low, high, verdict } = difference;
  const interval = low === null || high === null ? '' : `${signed(low)} to ${signed(high)}`;
  return [error, signed(difference.mean), ...(isOneSeed ? [] : [interval, verdict])];
}

/** Each training by itself. */
function trainingCells(rows: readonly AblationRow[]): [header: string[], rows: string[][]] {
  const cells = rows.map(({ variant, seed, run, result }) => {
    const percent = (error: number | undefined) => (error === undefined ? undefined : `${(error * 100).toFixed(2)} %`);
    const error = percent(result?.top1Error) ?? result?.status ?? 'not run';
    return [variant, String(seed), run ?? '', error, percent(result?.trainTop1Error) ?? ''];
  });
  return [['variant', 'seed', 'run', 'top-1 error', 'training error'], cells];
}

function points(share: number): string {
  return (share * 100).toFixed(2);
}

function signed(share: number): string {
  return `${share < 0 ? '-' : '+'}${points(Math.abs(share))}`;
}
