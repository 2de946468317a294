/** The trainings of an ablation, one after the other. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkpointsFolder, newestCheckpoint, stepsIn } from '../checkpoint/store.js';
import type { Config } from '../config/config.js';
import { readConfigFile } from '../config/file.js';
import { SplitError } from '../errors.js';
import type { LogEvent } from '../log.js';
import { count } from '../numbers.js';
import { eventsIn } from '../report/read-log.js';
import { BASELINE } from '../train/ablate.js';
import { watchTraining } from '../train/ablate-result.js';
import { lowerRateOfVariant } from '../train/branch.js';
import type { Resume } from '../train/index.js';
import { endsSeed, leftText } from './ablate-estimate.js';
import { type Ablation, type AblationRow, isDone } from './ablation.js';
import { sensitivityText, writeAblation } from './ablation-page.js';
import { statisticsOf } from './ablation-statistics.js';
import type { DisplayMode } from './display.js';
import { savedConfig } from './find-run.js';
import { oneLine } from './format.js';
import { resumeNote } from './resume.js';
import { runFolder } from './run-folder.js';
import { lockRun, type RunLock } from './run-lock.js';
import type { Services } from './services.js';
import { announce, breakSilence } from './silence.js';
import { recordedTraining } from './train.js';

/**
 * Trains what is left, measures the training errors that are not known, and writes the files after each.
 * @param configs of all rows. @returns the exit code of all.
 */
export async function trainRows(
  ablation: Ablation,
  { configs, left }: { configs: readonly Config[]; left: ReadonlySet<AblationRow> },
  folder: string,
  mode: DisplayMode,
  services: Services,
): Promise<number> {
  const { rows, untilError } = ablation;
  const counted = rows.filter((row) => isDone(row) || left.has(row));
  let exitCode = 0;
  for (const [i, row] of rows.entries()) {
    const save = () => {
      ablation.statistics = statisticsOf(rows, ablation.untilError);
      writeAblation(folder, ablation);
    };
    let ended = 0;
    const isNew = left.has(row);
    const isWhole = isNew && row.run === null; // no earlier process trained a part of it
    const started = performance.now();
    if (isNew) {
      services.stdout.print(
        '',
        `${counted.indexOf(row) + 1} of ${counted.length}, ${row.variant} with seed ${row.seed}: ${row.change}`,
      );
      ended = await trainRow(row, configs[i]!, { ...mode, untilError }, services, save);
      save();
    }
    await takeLevel(row, configs[i]!, untilError);
    if (needsTrainingError(row)) await measureTrainingError(row, configs[i]!, mode, services);
    if (isWhole && row.result) row.result.seconds = (performance.now() - started) / 1000;
    save();
    if (isNew && ended <= 128) services.stdout.print(...progressLines(ablation, counted, row));
    if (ended !== 0) exitCode = ended;
    if (ended > 128) break; // a signal
  }
  return exitCode;
}

/** How long the rest takes, and once a seed is complete, what the seeds can show so far. */
function progressLines(
  { statistics: { sensitivity } }: Ablation,
  rows: readonly AblationRow[],
  row: AblationRow,
): string[] {
  const left = leftText(rows);
  return [
    ...(left === undefined ? [] : [left]),
    ...(sensitivity && endsSeed(rows, row) ? [sensitivityText(sensitivity)] : []),
  ];
}

/**
 * Trains one variant with one seed, resuming an earlier process's run, and fills its row.
 * @param save writes the row when the run starts, so that a later process finds the run if this one is killed.
 * @returns the exit code.
 */
async function trainRow(
  row: AblationRow,
  config: Config,
  { json, quiet, untilError }: DisplayMode & { untilError: number | undefined },
  services: Services,
  save: () => void,
): Promise<number> {
  const monitor = watchTraining({ untilError });
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
    const variant = row.variant === BASELINE.name ? undefined : row.variant;
    const lowerRate = (rate: number) => lowerRateOfVariant(config, rate, variant);
    const recording = { onEvent, lowerRate, resume, lock: resume && lock };
    const mode = { quiet: quiet || json || false };
    const named = resume ? earlier : config;
    const { exitCode, failure } = await recordedTraining(named, [], mode, services, recording);
    row.result = monitor.result() ?? null;
    if (failure !== undefined) services.stderr.print(`error: ${oneLine(failure)}`);
    return exitCode;
  } finally {
    lock?.release();
  }
}

/** Finds in the log when a finished training reached the level, and how exact that is, if its row does not say it. */
async function takeLevel({ result, run }: AblationRow, config: Config, untilError: number | undefined): Promise<void> {
  if (untilError === undefined || run === null || result?.status !== 'done') return;
  if (result.until?.error === untilError && result.until.stepEpochs !== undefined) return;
  const monitor = watchTraining({ untilError });
  for await (const event of eventsIn(join(config.out, run, 'log.ndjson'))) monitor.see(event);
  const until = monitor.result()?.until;
  if (until) result.until = until;
}

function needsTrainingError({ result, run }: AblationRow): boolean {
  return result?.status === 'done' && result.trainTop1Error === undefined && run !== null;
}

/**
 * Evaluates a finished training on training images, and adds the result to its row. Without weights, which somebody may have
 * removed, it says so.
 */
async function measureTrainingError(
  row: AblationRow,
  config: Config,
  { json, quiet }: DisplayMode,
  services: Services,
): Promise<void> {
  const folder = runFolder({ ...config, run: row.run! });
  const { evaluateRun } = await services.loadTrain();
  try {
    // With the settings that the run saved: its training may have put numbers into them.
    const own = savedConfig(readConfigFile(join(folder, 'config.json')), services.now());
    const { busy, end } = breakSilence((text) => json || quiet || announce(services, text));
    const { images, loss, top1 } = await evaluateRun(own, folder, { on: 'train', busy }).finally(end);
    row.result = { ...row.result!, trainTop1Error: 1 - top1, trainLoss: loss, trainImages: images };
    if (!quiet && !json) {
      const error = `${((1 - top1) * 100).toFixed(2)} %`;
      services.stdout.print(`${row.run}: error ${error} on ${count(images)} training images without augmentation`);
    }
  } catch (error) {
    if (!(error instanceof SplitError)) throw error;
    services.stderr.print(`warning: the training error of ${row.run} is not known: ${oneLine(error.message)}`);
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
