/** The result of an ablation: its JSON file, its table, and its page. */
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../config/config.js';
import { withoutRetired } from '../config/file.js';
import { ConfigError, truncate } from '../errors.js';
import { nonFiniteAsStrings } from '../log.js';
import { count } from '../numbers.js';
import { printableLines } from '../printable.js';
import { readJson } from '../read-json.js';
import { writeNoFollow } from '../safe-write.js';
import { hasTop5, type Missing } from '../train/ablate.js';
import { explained } from './explain.js';
import { table } from './format.js';

/** A row has a few hundred. */
const MAX_BYTES = 2 ** 20;
const JSON_NAME = 'ablation.json';
const PAGE_NAME = 'ablation.md';

/** The settings that an ablation must have in common with an earlier one to resume it. */
export function settingsOf({ run: _run, out: _out, ...settings }: Config): Record<string, unknown> {
  return JSON.parse(JSON.stringify(settings)) as Record<string, unknown>;
}

export function isAblation(folder: string): boolean {
  return existsSync(join(folder, JSON_NAME));
}

/** A number, or the string that {@link nonFiniteAsStrings} made of one. */
const number = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity']).transform(Number)]);

const RESULT = z.object({
  status: z.enum(['done', 'failed', 'stopped']),
  steps: number,
  parameters: number,
  placement: z.string(),
  top1Error: number.exactOptional(),
  top5Error: number.exactOptional(),
  testLoss: number.exactOptional(),
  imagesPerSecond: number.exactOptional(),
  cores: number.exactOptional(),
  error: z.string().exactOptional(),
});
const ROW = z.object({
  variant: z.string(),
  change: z.string(),
  /** Name of its run, in the ablation's folder; null before it has run. */
  run: z.string().nullable(),
  /** null before it has run. */
  result: RESULT.nullable(),
});
const EARLIER = z.object({
  /** The settings of all variants, without the names of runs and folders. */
  settings: z.record(z.string(), z.unknown()),
  rows: z.array(ROW),
});

/** One line of the table. */
export type AblationRow = z.infer<typeof ROW>;
/** The content of `ablation.json`. `missing`: variants that do not exist for these settings. */
export type Ablation = z.infer<typeof EARLIER> & { missing: readonly Missing[] };

/**
 * Returns the rows of an earlier, unfinished ablation in that folder, or undefined if there is none.
 * @throws ConfigError if it had other settings; SplitError if its file cannot be read.
 */
export function earlierRows(folder: string, settings: Record<string, unknown>): readonly AblationRow[] | undefined {
  if (!isAblation(folder)) return undefined;
  const earlier = readAblation(folder, 'resume the ablation in', 'choose another --run');
  const before = withoutRetired(earlier.settings);
  const keys = [...new Set([...Object.keys(settings), ...Object.keys(before)])];
  const different = keys.find((key) => JSON.stringify(settings[key]) !== JSON.stringify(before[key]));
  if (different === undefined) return earlier.rows;
  throw new ConfigError(
    `Cannot resume ${folder}: its ablation had another ${truncate(different)}, expected the same settings; choose another --run`,
  );
}

/**
 * Reads the result of an ablation.
 * @param action and `advice` for the message. @throws SplitError if its file cannot be read.
 */
export function readAblation(folder: string, action: string, advice: string): z.infer<typeof EARLIER> {
  const file = join(folder, JSON_NAME);
  return explained(`${action} ${file}`, advice, () => {
    const { data, error } = EARLIER.safeParse(readJson(file, { limit: MAX_BYTES }));
    if (data) return data;
    const place = error.issues[0]!.path.join('.');
    throw new Error(place === '' ? 'it is not an object' : `${place} is missing or invalid`);
  });
}

/** Replaces both files, each as a whole. @throws SplitError if they cannot be written. */
export function writeAblation(folder: string, ablation: Ablation): void {
  const files: [string, string][] = [
    [JSON_NAME, `${JSON.stringify(nonFiniteAsStrings(ablation), null, 2)}\n`],
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

/** The table for the terminal. */
export function tableLines(ablation: Ablation): string[] {
  return table(...cellsOf(ablation));
}

/** The page: the settings, the table, and what failed or was left out. */
function pageLines(ablation: Ablation): string[] {
  const { preset, net, data, steps, epochs, batchSize, seed, devices } = ablation.settings as unknown as Config;
  const [header, rows] = cellsOf(ablation);
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const length = steps === null ? `${count(epochs)} epochs` : `${count(steps)} steps`;
  const failed = ablation.rows.flatMap(({ variant, result }) =>
    result?.error ? [`- ${variant}: ${result.error}`] : [],
  );
  const missing = ablation.missing.map(({ name, reason }) => `- ${name}: ${reason}`);
  return [
    '# Ablation',
    '',
    `Preset ${preset}: net ${net.table} at ${net.width} of its width, ${net.inputSize} pixels, data ${data.source}; ${length} of ${count(batchSize)} images, seed ${seed}, on ${devices.join(' and ')}. Each line is a run in the folder of that name, with all its settings in config.json.`,
    '',
    line(header),
    line(header.map(() => '---')),
    ...rows.map(line),
    '',
    ...speedNotes(ablation).flatMap((note) => [note, '']),
    ...(failed.length > 0 ? ['Failed:', '', ...failed, ''] : []),
    ...(missing.length > 0 ? ['Left out:', '', ...missing] : []),
  ];
}

/** A sentence about the variants whose speed is not compared with the baseline's; none if there are no such variants. */
export function speedNotes({ rows }: Pick<Ablation, 'rows'>): string[] {
  const [baseline, ...others] = rows;
  const { cores } = baseline?.result ?? {};
  const unlike = others.filter(({ result }) => result?.imagesPerSecond && result.cores !== cores);
  if (cores === undefined || unlike.length === 0) return [];
  const list = unlike.map(({ variant, result }) => `${variant} (cores: ${result!.cores ?? 'not known'})`).join(', ');
  return [
    `Speeds are compared only between variants that used as many cores as the baseline (${cores}), so not for ${list}: all variants have the same number of threads per op, and two columns run two ops at once. In a training of its own, a net of one column uses all cores.`,
  ];
}

/** The header, and the cells of each variant. Differences of errors are percentage points; speeds are ratios. */
function cellsOf({ settings, rows }: Ablation): [header: string[], rows: string[][]] {
  const onCpus = rows.some(({ result }) => result?.cores !== undefined);
  const isTop5 = hasTop5((settings.net as Config['net']).classes);
  const errorKeys = (['top1Error', 'top5Error'] as const).slice(0, isTop5 ? 2 : 1);
  const baseline = rows[0]?.result;
  const header = [
    ...['variant', 'changed', 'towers', 'parameters'],
    ...errorKeys.flatMap((key) => [key === 'top1Error' ? 'top-1 error' : 'top-5 error', 'points']),
    ...['images/s', ...(onCpus ? ['cores'] : []), 'speed'],
  ];
  const cells = rows.map(({ variant, change, result }, i) => {
    if (!result) return [variant, change, '', '', 'not run', ...Array<string>(header.length - 5).fill('')];
    const errors = errorKeys.flatMap((key) => {
      const error = result[key];
      const cell = error === undefined ? result.status : `${(error * 100).toFixed(2)} %`.padStart(7);
      return [cell, i === 0 ? '' : points(error, baseline?.[key])];
    });
    const speed = result.imagesPerSecond;
    const isLike = result.cores === baseline?.cores;
    const ratio = isLike && speed && baseline?.imagesPerSecond ? (speed / baseline.imagesPerSecond).toFixed(2) : '';
    const towers = result.placement === 'split' ? '2' : '1';
    const cores = onCpus ? [String((speed && result.cores) ?? '')] : [];
    return [variant, change, towers, count(result.parameters), ...errors, speed?.toFixed(0) ?? '', ...cores, ratio];
  });
  return [header, cells];
}

function points(error: number | undefined, baseline: number | undefined): string {
  if (error === undefined || baseline === undefined) return '';
  const difference = (error - baseline) * 100;
  return `${difference < 0 ? '-' : '+'}${Math.abs(difference).toFixed(2)}`;
}
