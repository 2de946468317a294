/** `ablate`: trains nets with one thing changed, with the same seed and length, and compares them in a table. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkpointsFolder, newestCheckpoint, stepsIn } from '../checkpoint/store.js';
import { type Config, resolveConfig } from '../config/config.js';
import { opThreads } from '../config/devices.js';
import { anySets } from '../config/layers.js';
import { ConfigError } from '../errors.js';
import { usableCores } from '../limits.js';
import { type LogEvent, nonFiniteAsStrings } from '../log.js';
import { buildNet, isOneColumn } from '../model/net.js';
import { eventsIn } from '../report/read-log.js';
import { BASELINE, VARIANT_NAMES, type Variant, variantsOf, watchTraining } from '../train/ablate.js';
import type { Resume } from '../train/index.js';
import {
  type Ablation,
  type AblationRow,
  earlierRows,
  isAblation,
  settingsOf,
  speedNotes,
  tableLines,
  writeAblation,
} from './ablation.js';
import type { DisplayMode } from './display.js';
import { explained } from './explain.js';
import { oneLine } from './format.js';
import { gpuWarning, resolveHere } from './machine.js';
import { printConfig } from './print-config.js';
import { resumeNote } from './resume.js';
import { checkName, makeNumbered, runFolder } from './run-folder.js';
import { lockNow, lockRun, type RunLock } from './run-lock.js';

import type { Input, Services } from './services.js';
import { recordedTraining, viewNotes } from './train.js';

export interface AblateOptions extends DisplayMode {
  /** Names of variants; all if absent. */
  variants?: readonly string[];
  /** The former name of `variants`. */
  only?: readonly string[];
  printConfig?: boolean;
}

/**
 * Trains the baseline and its variants, each as a run in the ablation's folder, and writes `ablation.json` and `ablation.md`
 * there after each. With the `--run` of an interrupted ablation it trains what is missing, and resumes a variant from its
 * last checkpoint.
 * @returns the exit code: 1 if a variant failed, the signal's if one was stopped.
 * @throws ConfigError for invalid settings or names, and if another process uses the folder; also the errors of a training
 * that cannot start.
 */
export async function run(
  { layers, options: { variants: typed, only = typed, printConfig: isPrinted, ...mode } }: Input<AblateOptions>,
  services: Services,
): Promise<number> {
  if (isPrinted) return printConfig(services, layers);
  const { config: resolved, notes, machine } = await resolveHere(services, layers, mode);
  const warning = await gpuWarning(services, machine, layers);
  if (warning !== undefined) services.stderr.print(`warning: ${warning}`);
  const all = variantsOf(resolved);
  const { variants, missing } = all;
  const asked = only?.map((name) => variantNamed(name, all)) ?? variants;
  const isNamed = anySets(layers, 'run');
  const ownName = resolved.run.replace(/^(split|single)-/, 'ablate-');
  const named = isNamed ? resolved : Object.freeze({ ...resolved, run: ownName });
  if (!isNamed || !isAblation(runFolder(named))) checkName(named, isNamed);
  // Locked before the rows are read, because another process that ablates there writes new ones.
  let lock = isNamed && existsSync(runFolder(named)) ? await lockRun(runFolder(named)) : undefined;
  try {
    const earlier = (isNamed && earlierRows(runFolder(named), settingsOf(named))) || [];
    const finished = earlier.filter(isDone).map(({ variant }) => variant);
    // The table keeps what an earlier ablation of that name has finished.
    const chosen = [BASELINE, ...variants.filter((each) => asked.includes(each) || finished.includes(each.name))];
    const configsIn = (out: string) =>
      chosen.map(({ name, values }) => {
        const own = { values: { ...values, out, run: name } };
        return resolveConfig([{ values: { ...resolved } }, own], machine).config;
      });
    configsIn(runFolder(named)); // finds every invalid config before the first training
    const config = isNamed ? named : makeNumbered(named);
    const folder = runFolder(config);
    const ablation: Ablation = {
      settings: settingsOf(config),
      rows: chosen.map((variant) => rowOf(variant, earlier)),
      missing: only ? [] : missing,
    };
    explained(`make the folder ${folder}`, 'choose another --out', () => mkdirSync(folder, { recursive: true }));
    lock ??= lockNow(folder);
    if (lock.warning !== undefined) services.stderr.print(`warning: ${lock.warning}`);
    writeAblation(folder, ablation); // now, so that it can be resumed if the process is killed
    // With --json stdout has the result only.
    const forRuns = mode.json ? { ...services, stdout: services.stderr } : services;
    forRuns.stdout.print(...notes, ...viewNotes(layers, mode, services));
    const configs = configsIn(folder);
    const exitCode = await trainRows(ablation, configs, folder, mode, forRuns);
    services.stdout.print(
      ...(mode.json
        ? [JSON.stringify(nonFiniteAsStrings(ablation))]
        : ['', ...tableLines(ablation), '', ...speedNotes(ablation), ...lastLines(ablation, config)]),
    );
    return exitCode;
  } finally {
    lock?.release();
  }
}

/** Trains the rows that have no result yet, and writes the files after each. @returns the exit code of all. */
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
    services.stdout.print('', `${i + 1} of ${rows.length}, ${row.variant}: ${row.change}`);
    const save = () => writeAblation(folder, ablation);
    const ended = await trainRow(row, configs[i]!, coresOf(configs[i]!, configs[0]!), mode, services, save);
    save();
    if (ended !== 0) exitCode = ended;
    if (ended > 128) break; // a signal
  }
  return exitCode;
}

/**
 * Trains one variant, resuming an earlier process's run, and fills its row.
 * @param save writes the row when the run starts, so that a later process finds the run if this one is killed.
 * @returns the exit code.
 */
async function trainRow(
  row: AblationRow,
  config: Config,
  cores: number | undefined,
  { json, quiet }: DisplayMode,
  services: Services,
  save: () => void,
): Promise<number> {
  const monitor = watchTraining();
  const earlier = { ...config, run: row.run ?? config.run };
  const { lock, resume } = await unfinishedRun(runFolder(earlier));
  try {
    if (resume) {
      services.stdout.print(resumeNote(resume.checkpoint));
      for await (const event of eventsIn(join(runFolder(earlier), 'log.ndjson'))) monitor.see(event);
    }
    const onEvent = (event: LogEvent) => {
      if (event.event === 'run_start') {
        row.run = event.run;
        save();
      }
      monitor.see(event);
    };
    const recording = { onEvent, resume, lock: resume && lock };
    const mode = { quiet: quiet || json || false };
    const named = resume ? earlier : config;
    const { exitCode, failure } = await recordedTraining(named, [], mode, services, recording);
    const result = monitor.result();
    row.result = result ? { ...result, ...(cores !== undefined && { cores }) } : null;
    if (failure !== undefined) services.stderr.print(`error: ${oneLine(failure)}`);
    return exitCode;
  } finally {
    lock?.release();
  }
}

/** Locks a variant's run of an earlier process if there is one, and finds its newest whole checkpoint. */
async function unfinishedRun(folder: string): Promise<{ lock?: RunLock; resume?: Resume }> {
  const checkpoints = checkpointsFolder(folder);
  if (!existsSync(join(folder, 'config.json')) || stepsIn(checkpoints).length === 0) return {};
  const lock = await lockRun(folder); // before its checkpoints are read: a process that trains there writes others
  const { found, skipped } = newestCheckpoint(checkpoints);
  return { lock, ...(found && { resume: { checkpoint: found, skipped } }) };
}

/**
 * How many cores a variant's ops can use at once, on CPUs; undefined otherwise. The process has one number of threads per op,
 * that of the baseline. A net of two columns runs two ops at once, a net of one column one.
 */
function coresOf({ net, devices }: Config, baseline: Config): number | undefined {
  if (!devices.every((name) => name.startsWith('CPU'))) return undefined;
  const all = usableCores();
  return Math.min(all, (opThreads(baseline.net.table) || all) * (isOneColumn(buildNet(net)) ? 1 : 2));
}

/** @throws ConfigError if there is no such variant, or none for these settings. */
function variantNamed(name: string, { variants, missing }: ReturnType<typeof variantsOf>): Variant {
  const variant = variants.find((each) => each.name === name);
  if (variant) return variant;
  const reason = missing.find((each) => each.name === name)?.reason;
  throw new ConfigError(
    reason
      ? `Cannot ablate ${name}: ${reason}; leave it out of --variants`
      : `--variants has ${JSON.stringify(name)}, expected names among ${VARIANT_NAMES.join(', ')}; the baseline is always trained`,
  );
}

function rowOf({ name, change }: Variant, earlier: readonly AblationRow[]): AblationRow {
  const row = earlier.find(({ variant }) => variant === name);
  return row && isDone(row) ? { ...row, change } : { variant: name, change, run: row?.run ?? null, result: null };
}

function isDone({ result }: AblationRow): boolean {
  return result?.status === 'done';
}

/** Where the ablation is, and how to finish it. */
function lastLines({ rows, missing }: Ablation, config: Config): string[] {
  const left = rows.filter((row) => !isDone(row)).map(({ variant }) => variant);
  return [
    ...missing.map(({ name, reason }) => `left out: ${name} (${reason})`),
    `ablation of seed ${config.seed} in ${runFolder(config)}/ablation.md`,
    ...(left.length > 0 ? [`not done: ${left.join(', ')}; repeat the command with --run ${config.run} to finish`] : []),
  ];
}
