/** `ablation.json`: the trainings of an ablation by variant and seed, and what was computed from them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../config/config.js';
import { withoutRetired } from '../config/file.js';
import { ConfigError, truncate } from '../errors.js';
import { readJson } from '../read-json.js';
import type { Missing } from '../train/ablate.js';
import { SPEED, type Speed } from './ablation-speed.js';
import type { Statistics } from './ablation-statistics.js';
import { explained } from './explain.js';

/** A row has some hundred. */
const MAX_BYTES = 2 ** 23;
export const ABLATION_JSON = 'ablation.json';

/** The version of the file. Version 1, of one seed, had neither this field nor the rows' seeds, nor the statistics. */
export const ABLATION_VERSION = 2;

/** The settings that an ablation must have in common with an earlier one to resume it. */
export function settingsOf({ run: _run, out: _out, ...settings }: Config): Record<string, unknown> {
  return JSON.parse(JSON.stringify(settings)) as Record<string, unknown>;
}

export function isAblation(folder: string): boolean {
  return existsSync(join(folder, ABLATION_JSON));
}

/** A number, or the string that `nonFiniteAsStrings` made of one. */
const number = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity']).transform(Number)]);

const RESULT = z.object({
  status: z.enum(['done', 'failed', 'stopped']),
  steps: number,
  parameters: number,
  placement: z.string(),
  top1Error: number.exactOptional(),
  top5Error: number.exactOptional(),
  testLoss: number.exactOptional(),
  testImages: number.exactOptional(),
  trainTop1Error: number.exactOptional(),
  trainLoss: number.exactOptional(),
  trainImages: number.exactOptional(),
  until: z.object({ error: number, epochs: number.nullable(), stepEpochs: number.exactOptional() }).exactOptional(),
  seconds: number.exactOptional(),
  error: z.string().exactOptional(),
});
const SEED = z.int().min(0);
const ROW = z.object({
  variant: z.string(),
  change: z.string(),
  seed: SEED.exactOptional(),
  /** Name of its run, in the ablation's folder; null before it has run. */
  run: z.string().nullable(),
  /** null before it has run. */
  result: RESULT.nullable(),
});
const VARIANT = z.object({ name: z.string(), change: z.string(), values: z.record(z.string(), z.unknown()) });
const EARLIER = z.object({
  version: z.int().min(1).max(ABLATION_VERSION).exactOptional(),
  /** The settings of all variants, without the names of runs and folders. `seed` is that of the first training. */
  settings: z.record(z.string(), z.unknown()),
  variants: z.array(VARIANT).exactOptional(),
  /** A level of the training error, from 0 to 1; the rows say when it was reached. */
  untilError: z.number().gt(0).lt(1).exactOptional(),
  speed: SPEED.exactOptional(),
  rows: z.array(ROW),
});

/** One training. */
export type AblationRow = Required<z.infer<typeof ROW>>;
/** A change, with the settings by which it differs from the baseline. */
export type AblationVariant = z.infer<typeof VARIANT>;

/** What an earlier process wrote, with the seed of each row. */
export interface EarlierAblation {
  settings: Record<string, unknown>;
  /** Empty if it was of version 1. */
  variants: readonly AblationVariant[];
  untilError?: number;
  speed?: Speed;
  rows: AblationRow[];
}

/** The content of `ablation.json`. */
export interface Ablation extends EarlierAblation {
  version: typeof ABLATION_VERSION;
  /** Variants that do not exist for these settings. */
  missing: readonly Missing[];
  statistics: Statistics;
}

/**
 * Returns an earlier ablation in that folder, or undefined if there is none.
 * @param settings of the ablation that is to continue it. Its seed may be another one.
 * @throws ConfigError if it had other settings; SplitError if its file cannot be read.
 */
export function earlierAblation(folder: string, settings: Record<string, unknown>): EarlierAblation | undefined {
  if (!isAblation(folder)) return undefined;
  const earlier = readAblation(folder, 'resume the ablation in', 'choose another --run');
  const before = withoutRetired(earlier.settings);
  const keys = [...new Set([...Object.keys(settings), ...Object.keys(before)])].filter((key) => key !== 'seed');
  const different = keys.find((key) => JSON.stringify(settings[key]) !== JSON.stringify(before[key]));
  if (different === undefined) return earlier;
  throw new ConfigError(
    `Cannot resume ${folder}: its ablation had another ${truncate(different)}, expected the same settings; choose another --run`,
  );
}

/**
 * Reads the result of an ablation.
 * @param action and `advice` for the message. @throws SplitError if its file cannot be read.
 */
export function readAblation(folder: string, action: string, advice: string): EarlierAblation {
  const file = join(folder, ABLATION_JSON);
  return explained(`${action} ${file}`, advice, () => {
    const { data, error } = EARLIER.safeParse(readJson(file, { limit: MAX_BYTES }));
    if (error) {
      const place = error.issues[0]!.path.join('.');
      throw new Error(place === '' ? 'it is not an object' : `${place} is missing or invalid`);
    }
    const { settings, variants = [], untilError, speed, rows } = data;
    const only = SEED.safeParse(settings.seed).data ?? 1; // of all rows in a file of version 1
    const level = untilError !== undefined && { untilError };
    const own = { ...level, ...(speed && { speed }) };
    return { settings, variants, ...own, rows: rows.map((row) => ({ ...row, seed: row.seed ?? only })) };
  });
}

/** Whether a process has trained it, at least in part. */
export function isBegun({ run }: AblationRow): boolean {
  return run !== null;
}

export function isDone({ result }: AblationRow): boolean {
  return result?.status === 'done';
}
