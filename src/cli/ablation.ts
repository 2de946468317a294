/** What an ablation came to: its file, its table, and the page that goes with it. */
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../config/config.js';
import { withoutRetired } from '../config/file.js';
import { ConfigError, SplitError, truncate } from '../errors.js';
import { nonFiniteAsStrings } from '../log.js';
import { printableLines } from '../printable.js';
import { readJson } from '../read-json.js';
import { writeNoFollow } from '../safe-write.js';
import { hasTop5, type Missing, type Result } from '../train/ablate.js';
import { count, table } from './format.js';

/** One line of the table. */
export interface AblationRow {
  variant: string;
  change: string;
  /** Name of its run, in the ablation's folder; null before it has run. */
  run: string | null;
  /** null before it has run. */
  result: Result | null;
}

/** `ablation.json`. */
export interface Ablation {
  /** What all variants share: a config without the names of runs and folders. */
  settings: Record<string, unknown>;
  rows: AblationRow[];
  /** Variants that these settings do not have. */
  missing: readonly Missing[];
}

/** A row has a few hundred. */
const MAX_BYTES = 2 ** 20;
const JSON_NAME = 'ablation.json';
const PAGE_NAME = 'ablation.md';

/** The settings by which an earlier ablation is known again. */
export function settingsOf({ run: _run, out: _out, ...settings }: Config): Record<string, unknown> {
  return JSON.parse(JSON.stringify(settings)) as Record<string, unknown>;
}

/** Whether a folder has an ablation. */
export function isAblation(folder: string): boolean {
  return existsSync(join(folder, JSON_NAME));
}

/**
 * The rows of an earlier, unfinished ablation in that folder; none when there was no ablation.
 * @throws ConfigError when it had other settings; SplitError when its file cannot be read.
 */
export function earlierRows(folder: string, settings: Record<string, unknown>): readonly AblationRow[] | undefined {
  if (!isAblation(folder)) return undefined;
  const file = join(folder, JSON_NAME);
  let earlier: Pick<Ablation, 'settings' | 'rows'>;
  try {
    earlier = ablationIn(readJson(file, { limit: MAX_BYTES }));
  } catch (error) {
    throw new SplitError(
      `Cannot go on with ${folder}: ${file} is no ablation (${(error as Error).message}); choose another --run`,
    );
  }
  const before = withoutRetired(earlier.settings);
  const different = [...new Set([...Object.keys(settings), ...Object.keys(before)])].find(
    (key) => JSON.stringify(settings[key]) !== JSON.stringify(before[key]),
  );
  if (different === undefined) return earlier.rows;
  throw new ConfigError(
    `Cannot go on with ${folder}: its ablation had another ${truncate(different)}, expected the same settings; choose another --run`,
  );
}

/** A number, also one that {@link nonFiniteAsStrings} made a text of. */
const number = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity']).transform(Number)]);

/** What is read again. */
const EARLIER = z.object({
  settings: z.record(z.string(), z.unknown()),
  rows: z.array(
    z.object({
      ...{ variant: z.string(), change: z.string(), run: z.string().nullable() },
      result: z
        .object({
          ...{
            status: z.enum(['done', 'failed', 'stopped']),
            steps: number,
            parameters: number,
            placement: z.string(),
          },
          ...{ top1Error: number.optional(), top5Error: number.optional(), testLoss: number.optional() },
          ...{ imagesPerSecond: number.optional(), cores: number.optional(), error: z.string().optional() },
        })
        .nullable(),
    }),
  ),
});

/** @throws Error for what is no ablation, with the first place that is wrong. */
function ablationIn(json: unknown): Pick<Ablation, 'settings' | 'rows'> {
  const parsed = EARLIER.safeParse(json);
  if (parsed.success) return parsed.data as Pick<Ablation, 'settings' | 'rows'>;
  const { path } = parsed.error.issues[0]!;
  throw new Error(`it lacks ${path.length > 0 ? path.join('.') : 'everything'}, or has something else there`);
}

/** Writes both files, each whole or not at all. @throws SplitError when the disk does not take them. */
export function writeAblation(folder: string, ablation: Ablation): void {
  const files: [string, string][] = [
    [JSON_NAME, `${JSON.stringify(nonFiniteAsStrings(ablation), null, 2)}\n`],
    [PAGE_NAME, `${pageOf(ablation).join('\n')}\n`],
  ];
  for (const [name, text] of files) {
    const file = join(folder, name);
    try {
      writeNoFollow(`${file}.part`, printableLines(text));
      renameSync(`${file}.part`, file);
    } catch (error) {
      throw new SplitError(`Cannot write ${file}: ${(error as Error).message}; choose another folder with --out`, {
        cause: error,
      });
    }
  }
}

/** The table for the eye. */
export function tableOf(ablation: Ablation): string[] {
  const [header, rows] = cellsOf(ablation);
  return table(header, rows);
}

/** The page: what was run, the table, what there was not. */
function pageOf(ablation: Ablation): string[] {
  const { settings, missing } = ablation;
  const { preset, net, data, steps, epochs, batchSize, seed, devices } = settings as unknown as Config;
  const [header, rows] = cellsOf(ablation);
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const length = steps === null ? `${count(epochs)} epochs` : `${count(steps)} steps`;
  return [
    '# Ablation',
    '',
    `Preset ${preset}: net ${net.table} at ${net.width} of its width, ${net.inputSize} pixels, data ${data.source}; ${length} of ${count(batchSize)} images, seed ${seed}, on ${devices.join(' and ')}. Each line is a run in the folder of its name; all its settings are in config.json there.`,
    '',
    line(header),
    line(header.map(() => '---')),
    ...rows.map(line),
    '',
    ...speedNotes(ablation).flatMap((note) => [note, '']),
    ...notesOf(ablation),
    ...(missing.length > 0 ? ['Left out:', '', ...missing.map(({ name, reason }) => `- ${name}: ${reason}`)] : []),
  ];
}

function notesOf({ rows }: Ablation): string[] {
  const failed = rows.flatMap(({ variant, result }) => (result?.error ? [`- ${variant}: ${result.error}`] : []));
  return failed.length > 0 ? ['Failed:', '', ...failed, ''] : [];
}

/** Why some variants have no ratio of speeds: sentences, none where all have. */
export function speedNotes({ rows }: Pick<Ablation, 'rows'>): string[] {
  const [baseline, ...others] = rows;
  const { cores } = baseline?.result ?? {};
  const unlike = others.filter(({ result }) => result?.imagesPerSecond && result.cores !== cores);
  if (cores === undefined || unlike.length === 0) return [];
  const list = unlike.map(({ variant, result }) => `${variant} (cores: ${result!.cores ?? 'not known'})`).join(', ');
  return [
    `Speeds are compared with the same cores alone (baseline: ${cores}), and so not of ${list}: all variants have as many threads an op, and in two columns two ops run at once. By itself, as \`train\`, a net of one column has all cores.`,
  ];
}

/**
 * The header, and a row of texts for each variant. Differences are in percentage points, speeds are ratios, of those with
 * the baseline's cores.
 */
function cellsOf({ settings, rows }: Ablation): [header: string[], rows: string[][]] {
  const onCpus = rows.some(({ result }) => result?.cores !== undefined);
  const top5 = hasTop5((settings.net as Config['net']).classes);
  const baseline = rows[0]?.result;
  const header = [
    ...['variant', 'changed', 'towers', 'parameters', 'top-1 error', 'points'],
    ...(top5 ? ['top-5 error', 'points'] : []),
    ...['images/s', ...(onCpus ? ['cores'] : []), 'speed'],
  ];
  return [
    header,
    rows.map(({ variant, change, result }, i) => {
      if (!result) return [variant, change, '', '', 'not run', ...Array<string>(header.length - 5).fill('')];
      const errors = (['top1Error', 'top5Error'] as const).slice(0, top5 ? 2 : 1).flatMap((key) => {
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
    }),
  ];
}

function points(error: number | undefined, baseline: number | undefined): string {
  if (error === undefined || baseline === undefined) return '';
  const difference = (error - baseline) * 100;
  return `${difference < 0 ? '-' : '+'}${Math.abs(difference).toFixed(2)}`;
}
