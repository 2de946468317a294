/** `ablate`: trains nets with one thing changed, under the same seed and for as long, and puts them into a table. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkpointsFolder, newestCheckpoint, stepsIn } from '../checkpoint/store.js';
import { type Config, resolveConfig } from '../config/config.js';
import { opThreads } from '../config/devices.js';
import { type ConfigLayer, sets } from '../config/layers.js';
import { ConfigError, SplitError } from '../errors.js';
import { usableCores } from '../limits.js';
import { nonFiniteAsStrings } from '../log.js';
import { buildNet, isOneColumn } from '../model/net.js';
import { BASELINE, VARIANT_NAMES, type Variant, variantsOf, watchTraining } from '../train/ablate.js';
import type { Resume } from '../train/index.js';
import {
  type Ablation,
  type AblationRow,
  earlierRows,
  isAblation,
  settingsOf,
  speedNotes,
  tableOf,
  writeAblation,
} from './ablation.js';
import type { DisplayMode } from './display.js';
import { oneLine } from './format.js';
import { warnOfGpu } from './gpu-warning.js';
import { lookAround } from './machine.js';
import { noteOf } from './resume.js';
import { checkName, makeNumbered, runFolder } from './run-folder.js';
import { lockNow, lockRun, type RunLock } from './run-lock.js';
import { eventsIn } from './run-log.js';
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
 * `ablation.md` there after each. With the `--run` of an ablation that was interrupted it goes on with what is missing, a
 * variant that was begun from its last checkpoint on.
 * @returns the exit code: 1 when a variant failed, the signal's when one was stopped.
 * @throws ConfigError for settings or names that make no ablation, and while another process is at work there; what a
 * training throws that cannot begin.
 */
export async function ablateCommand(
  layers: readonly ConfigLayer[],
  { only, ...mode }: AblateOptions,
  services: Services,
): Promise<number> {
  const machine = await lookAround(services, layers);
  const { config: resolved, notes } = resolveConfig(layers, machine);
  await warnOfGpu(services, layers, machine.devices);
  const { variants, missing } = variantsOf(resolved);
  const asked = chosenOf(variants, missing, only);
  const isNamed = layers.some((layer) => sets(layer, 'run'));
  const named = isNamed ? resolved : withOwnName(resolved);
  if (!isNamed || !isAblation(runFolder(named))) checkName(named, isNamed);
  // Before its rows are read: whoever ablates there writes others.
  let lock = isNamed && existsSync(runFolder(named)) ? await lockRun(runFolder(named)) : undefined;
  try {
    const earlier = (isNamed && earlierRows(runFolder(named), settingsOf(named))) || [];
    // What an earlier ablation of that name has finished stays in its table.
    const isKept = ({ name }: Variant) => earlier.some(({ variant, result }) => variant === name && isDone(result));
    const chosen = [BASELINE, ...variants.filter((variant) => asked.includes(variant) || isKept(variant))];
    const configsIn = (folder: string) =>
      chosen.map(({ name, values }) => {
        const own = { ...values, out: folder, run: name };
        const all = [{ values: resolved as unknown as Record<string, unknown> }, { values: own }];
        return resolveConfig(all, machine).config;
      });
    configsIn(runFolder(named)); // every config before the first run: what does not fit is said now, not tomorrow
    const config = isNamed ? named : makeNumbered(named);
    const folder = runFolder(config);
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
    const configs = configsIn(folder);
    const cores = configs.map((each) => coresOf(each, config));
    const exitCode = await trainRows(ablation, { configs, cores }, folder, mode, forRuns);
    const lines = mode.json
      ? [JSON.stringify(nonFiniteAsStrings(ablation))]
      : ['', ...tableOf(ablation), '', ...speedNotes(ablation), ...endOf(ablation, config)];
    for (const line of lines) services.stdout.write(`${line}\n`);
    return exitCode;
  } finally {
    lock?.release();
  }
}

/** Trains what has no result yet, and writes the files after each. @returns the exit code of all. */
async function trainRows(
  ablation: Ablation,
  { configs, cores }: { configs: readonly Config[]; cores: readonly (number | undefined)[] },
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
    const ended = await trainRow(row, configs[i]!, cores[i], mode, services, () => writeAblation(folder, ablation));
    writeAblation(folder, ablation);
    if (ended !== 0) exitCode = ended;
    if (ended > SIGNALLED) break;
  }
  return exitCode;
}

/**
 * Trains one variant, from where an earlier process left it, and fills its row.
 * @param save writes the row before the training, so that its run is known if that is killed.
 * @returns its exit code.
 */
async function trainRow(
  row: AblationRow,
  config: Config,
  cores: number | undefined,
  { json, quiet }: DisplayMode,
  services: Services,
  save: () => void,
) {
  const watched = watchTraining();
  const earlier = await unfinishedRun({ ...config, run: row.run ?? config.run });
  try {
    if (earlier?.resume) {
      services.stdout.write(`${noteOf(earlier.resume.checkpoint)}\n`);
      for await (const event of eventsIn(join(runFolder(earlier.config), 'log.ndjson'))) watched.see(event);
    }
    const going = earlier?.resume && earlier;
    const { exitCode, failure } = await recordedTraining(
      going?.config ?? config,
      [],
      { quiet: quiet || json || false },
      services,
      {
        ...(going && { resume: going.resume, lock: going.lock }),
        watch(event) {
          if (event.event === 'run_start') {
            row.run = event.run;
            save();
          }
          watched.see(event);
        },
      },
    );
    const result = watched.result();
    row.result = result ? { ...result, ...(cores !== undefined && { cores }) } : null;
    if (failure !== undefined) services.stderr.write(`error: ${oneLine(failure)}\n`);
    return exitCode;
  } finally {
    earlier?.lock.release();
  }
}

/** A variant's run that was begun before: its folder, locked, and its newest whole checkpoint if it has one. */
async function unfinishedRun(config: Config): Promise<{ config: Config; lock: RunLock; resume?: Resume } | undefined> {
  const folder = runFolder(config);
  const checkpoints = checkpointsFolder(folder);
  if (!existsSync(join(folder, 'config.json')) || stepsIn(checkpoints).length === 0) return undefined;
  const lock = await lockRun(folder); // before its checkpoints are read: whoever trains there makes others
  const { found, skipped } = newestCheckpoint(checkpoints);
  return { config, lock, ...(found && { resume: { checkpoint: found, skipped } }) };
}

/**
 * How many cores a variant's ops can have at a time, on CPUs. The process has one number of threads an op, by the baseline's
 * net: half of the cores where two columns have their ops run side by side, of which a net of one column has one at a time.
 */
function coresOf({ net, devices }: Config, baseline: Config): number | undefined {
  if (!devices.every((name) => name.startsWith('CPU'))) return undefined;
  const all = usableCores();
  return Math.min(all, (opThreads(baseline.net.table) || all) * (isOneColumn(buildNet(net)) ? 1 : 2));
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

/** The config with a name for an ablation, made from the time too. */
function withOwnName(config: Config): Config {
  return Object.freeze({ ...config, run: config.run.replace(/^(split|single)-/, 'ablate-') });
}

/** What an earlier ablation finished is not done again, and what it began goes on. */
function keptRow({ name, change }: Variant, earlier: readonly AblationRow[]): AblationRow {
  const found = earlier.find(({ variant }) => variant === name);
  if (found && isDone(found.result)) return { ...found, change };
  return { variant: name, change, run: found?.run ?? null, result: null };
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
