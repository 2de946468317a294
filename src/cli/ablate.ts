/** `ablate`: trains nets with one thing changed, under the same seed and for as long, and puts them into a table. */
import { existsSync, mkdirSync } from 'node:fs';
import { type Config, resolveConfig } from '../config/config.js';
import { type Layer, sets } from '../config/layers.js';
import { ConfigError, SplitError } from '../errors.js';
import { visible } from '../log.js';
import { BASELINE, VARIANT_NAMES, type Variant, variantsOf, watchTraining } from '../train/ablate.js';
import {
  type Ablation,
  type AblationRow,
  earlierRows,
  isAblation,
  settingsOf,
  tableOf,
  writeAblation,
} from './ablation.js';
import type { DisplayMode } from './display.js';
import { oneLine } from './format.js';
import { warnOfGpu } from './gpu-warning.js';
import { lookAround } from './machine.js';
import { claimName, runFolder } from './run-folder.js';
import { lockNow, lockRun } from './run-lock.js';
import type { Services } from './services.js';
import { barNotes, recordedTraining } from './train.js';

export interface AblateOptions extends DisplayMode {
  /** Variants' names; all without it. */
  only?: readonly string[];
}

/** Exit codes of a training that a signal ended. */
const SIGNALLED = 128;

/**
 * Trains the baseline and its variants, each a run of its own in the ablation's folder, and writes `ablation.json` and
 * `ablation.md` there after each. With the `--run` of an ablation that was interrupted it goes on with what is missing.
 * @returns the exit code: 1 when a variant failed, the signal's when one was stopped.
 * @throws ConfigError for settings or names that make no ablation, and while another process is at work there; what a
 * training throws that cannot begin.
 */
export async function ablateCommand(
  layers: readonly Layer[],
  { only, ...mode }: AblateOptions,
  services: Services,
): Promise<number> {
  const machine = await lookAround(services, layers);
  const { config: resolved, notes } = resolveConfig(layers, machine);
  await warnOfGpu(services, layers, machine.devices);
  const { variants, missing } = variantsOf(resolved);
  const asked = chosenOf(variants, missing, only);
  const config = claim(
    resolved,
    layers.some((layer) => sets(layer, 'run')),
  );
  const folder = runFolder(config);
  // Before its rows are read: whoever ablates there writes others.
  let lock = existsSync(folder) ? await lockRun(folder) : undefined;
  try {
    const earlier = earlierRows(folder, settingsOf(config)) ?? [];
    // What an earlier ablation of that name has finished stays in its table.
    const isKept = ({ name }: Variant) => earlier.some(({ variant, result }) => variant === name && isDone(result));
    const chosen = [BASELINE, ...variants.filter((variant) => asked.includes(variant) || isKept(variant))];
    // Every config before the first run: what does not fit is said now, not tomorrow.
    const configs = chosen.map(({ name, values }) => {
      const own = { ...values, out: folder, run: name };
      return resolveConfig([{ values: config as unknown as Record<string, unknown> }, { values: own }], machine).config;
    });
    const ablation: Ablation = {
      settings: settingsOf(config),
      rows: chosen.map((variant) => keptRow(variant, earlier)),
      missing: only ? [] : missing,
    };
    makeAblationFolder(folder);
    lock ??= lockNow(folder);
    if (lock.warning !== undefined) services.stderr.write(`warning: ${lock.warning}\n`);
    writeAblation(folder, ablation); // so that it can go on, whenever it is killed
    // With --json stdout is the result's alone.
    const forRuns = mode.json ? { ...services, stdout: services.stderr } : services;
    for (const note of [...notes, ...barNotes(layers, mode, services)]) forRuns.stdout.write(`${note}\n`);
    const exitCode = await trainRows(ablation, configs, folder, mode, forRuns);
    const lines = mode.json
      ? [JSON.stringify(visible(ablation))]
      : ['', ...tableOf(ablation), '', ...endOf(ablation, config)];
    for (const line of lines) services.stdout.write(`${line}\n`);
    return exitCode;
  } finally {
    lock?.release();
  }
}

/** Trains what has no result yet, and writes the files after each. @returns the exit code of all. */
async function trainRows(
  ablation: Ablation,
  configs: readonly Config[],
  folder: string,
  mode: DisplayMode,
  services: Services,
): Promise<number> {
  const { rows } = ablation;
  let exitCode = 0;
  for (const [i, row] of rows.entries()) {
    if (row.result) continue;
    services.stdout.write('\n');
    services.stdout.write(`${i + 1} of ${rows.length}, ${row.variant}: ${row.change}\n`);
    const ended = await trainRow(row, configs[i]!, mode, services);
    writeAblation(folder, ablation);
    if (ended !== 0) exitCode = ended;
    if (ended > SIGNALLED) break;
  }
  return exitCode;
}

/** Trains one variant and fills its row. @returns its exit code. */
async function trainRow(row: AblationRow, config: Config, { json, quiet }: DisplayMode, services: Services) {
  const watched = watchTraining();
  // The run of that name may be there, unfinished, from before an interruption.
  const claimed = claimName(config, false);
  const { exitCode, failure } = await recordedTraining(claimed, [], { quiet: quiet || json || false }, services, {
    watch: watched.see,
  });
  row.run = claimed.run;
  row.result = watched.result() ?? null;
  if (failure !== undefined) services.stderr.write(`error: ${oneLine(failure)}\n`);
  return exitCode;
}

/** @throws ConfigError for a name that is no variant's, or one that these settings do not have. */
function chosenOf(
  variants: readonly Variant[],
  missing: ReturnType<typeof variantsOf>['missing'],
  only: readonly string[] | undefined,
): readonly Variant[] {
  if (!only) return variants;
  return only.map((name) => {
    const found = variants.find((variant) => variant.name === name);
    if (found) return found;
    const reason = missing.find((each) => each.name === name)?.reason;
    throw new ConfigError(
      reason
        ? `Cannot ablate ${name}: ${reason}; leave it out of --variants`
        : `--variants has ${JSON.stringify(name)}, expected names among ${VARIANT_NAMES.join(', ')}`,
    );
  });
}

/** The config with the ablation's name: that of one to go on with, or a new one. */
function claim(config: Config, given: boolean): Config {
  const named = given ? config : Object.freeze({ ...config, run: config.run.replace(/^(split|single)-/, 'ablate-') });
  return isAblation(runFolder(named)) ? named : claimName(named, given);
}

/** What an earlier ablation finished is not done again. */
function keptRow({ name, change }: Variant, earlier: readonly AblationRow[]): AblationRow {
  const done = earlier.find(({ variant, result }) => variant === name && isDone(result));
  return done ? { ...done, change } : { variant: name, change, run: null, result: null };
}

function isDone(result: AblationRow['result']): boolean {
  return result?.status === 'done';
}

function makeAblationFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw new SplitError(
      `Cannot make the ablation's folder ${folder}: ${(error as Error).message}; choose another with --out`,
      { cause: error },
    );
  }
}

/** The last lines: where it is, and how to go on when something is missing. */
function endOf({ rows, missing }: Ablation, config: Config): string[] {
  const left = rows.filter(({ result }) => !isDone(result)).map(({ variant }) => variant);
  return [
    ...missing.map(({ name, reason }) => `left out: ${name} (${reason})`),
    `ablation of seed ${config.seed} in ${runFolder(config)}/ablation.md`,
    ...(left.length > 0 ? [`not done: ${left.join(', ')}; the same command with --run ${config.run} goes on`] : []),
  ];
}
