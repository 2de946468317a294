/** `train`: settings, run folder, log, display and signals around the training itself. */
import { join } from 'node:path';
import type { Config } from '../config/config.js';
import { gpusOf } from '../config/devices.js';
import { anySets, type ConfigLayer, sets } from '../config/layers.js';
import type { Statistics } from '../data/index.js';
import { signalExitCode } from '../end-signals.js';
import type { LogEvent } from '../log.js';
import { openLog, type RunLog } from '../log-writer.js';
import { gatherSteps } from '../step-lines.js';
import type { Resume, TrainUi } from '../train/index.js';
import { refuseOtherSettings } from '../train/resume.js';
import { type DisplayMode, openDisplay, shownOf } from './display.js';
import { runDry } from './dry-run.js';
import { openExports } from './exports.js';
import { oneLine } from './format.js';
import { gpuWarning, resolveHere } from './machine.js';
import { trainCommand } from './npm.js';
import { printConfig } from './print-config.js';
import { planResume } from './resume.js';
import { checkName, continueFolder, makeFolder, runFolder } from './run-folder.js';
import { lockNow, lockRun, type RunLock } from './run-lock.js';
import type { Input, Services } from './services.js';
import { withStartingSettings } from './starting-settings.js';
import { exitSoon, stopOnSignal } from './stop.js';
import { canRedraw } from './terminal-block.js';

export interface TrainOptions extends DisplayMode {
  /** `auto`, a checkpoint or a run's folder. */
  resume?: string;
  printConfig?: boolean;
  dryRun?: boolean;
}

/**
 * Trains. The run's folder, its `config.json` and its log are made at the first `run_start`, after everything that can be
 * checked: a run that is refused leaves nothing behind.
 * @throws SplitError for settings, data, devices or a disk that cannot be used, and for a run that fails.
 */
export async function run({ layers: asked, options }: Input<TrainOptions>, services: Services): Promise<number> {
  const plan = planResume(asked, options.resume);
  if (options.printConfig) {
    const { layers, resume, again } = plan.find();
    return printConfig(services, resume ? layers : withStartingSettings(layers, again).layers);
  }
  const lock = plan.folder === undefined ? undefined : await lockRun(plan.folder);
  try {
    const { layers: continued, resume, again, notes } = plan.find();
    const start = resume ? undefined : withStartingSettings(continued, again);
    const { layers } = start ?? { layers: continued };
    const resolved = await resolveHere(services, layers, options);
    const { config, machine } = resolved;
    if (again) refuseOtherSettings(again.file!, again.values, config);
    const statistics = start?.statistics(config);
    const warning = await gpuWarning(services, machine, layers);
    const isNamed = anySets(layers, 'run');
    if (!lock) checkName(config, isNamed);
    const brought = start?.note === undefined ? [] : [start.note];
    const all = [...resolved.notes, ...brought, ...viewNotes(asked, options, services), ...notes];
    if (options.dryRun) {
      if (warning !== undefined) services.stderr.print(`warning: ${warning}`);
      const command = trainCommand(services.env, config.placement);
      return await runDry(config, all, options, services, { resume, statistics, command });
    }
    const recording = { resume, statistics, lock, isNamed, warning, isResumable: true };
    const { exitCode, failure } = await recordedTraining(config, all, options, services, recording);
    // The first lines are out of sight by now.
    if (warning !== undefined && gpusOf(machine.devices).length === 0) services.stderr.print(`warning: ${ON_CPU}`);
    if (exitCode !== 0 && failure !== undefined) services.stderr.print(`error: ${oneLine(failure)}`);
    return exitCode;
  } finally {
    lock?.release();
  }
}

const ON_CPU = 'this ran on the CPU, though there is an NVIDIA card; `alexnet-split doctor` says why, and what to do';

/** A note if `--log-every` was typed, and a view is drawn instead of lines. */
export function viewNotes(layers: readonly ConfigLayer[], { json, quiet }: DisplayMode, services: Services): string[] {
  const isTyped = layers.some((layer) => layer.by === 'line' && sets(layer, 'logEvery'));
  if (!isTyped || json || quiet || !canRedraw(services)) return [];
  return ['--log-every has no effect on a terminal, where the view shows every step; it is for a file or a pipe'];
}

export interface RecordOptions {
  resume?: Resume | undefined;
  /** Of the images that the weights were trained on, if they are subtracted from these too. */
  statistics?: Statistics | undefined;
  /** The lock of the folder to resume in; the caller releases it. A new folder is made and locked here. */
  lock?: RunLock | undefined;
  /** Whether the user chose the name of a new run. Another name gets a number if it is taken. */
  isNamed?: boolean;
  /** Shown and logged after `run_start`. */
  warning?: string | undefined;
  /** Whether the user continues the run by `--resume`, and not by the command that trains it among others. */
  isResumable?: boolean;
  /** See `TrainUi.lowerRate`. */
  lowerRate?: TrainUi['lowerRate'];
  /** Also gets each event. */
  onEvent?: (event: LogEvent) => void;
}

/**
 * Runs one training with its folder, its log, a display, and signal handling.
 * @returns the exit code, and the reason if it failed.
 */
export async function recordedTraining(
  config: Config,
  notes: readonly string[],
  mode: DisplayMode,
  services: Services,
  {
    resume,
    statistics,
    lock,
    isNamed = false,
    warning,
    isResumable = false,
    lowerRate,
    onEvent = () => {},
  }: RecordOptions = {},
): Promise<{ exitCode: number; failure: string | undefined }> {
  const { train } = await services.loadTrain();
  const exports = await openExports(config);
  const display = openDisplay(mode, { ...shownOf(config), isResumable }, services);
  const stop = stopOnSignal(() => {
    display.close(); // now, because the second signal ends the process
    display.note('stopping after this step; a second Ctrl-C or signal ends the process at once');
    if (!hasBegun) exitSoon(signalExitCode(stop.signal.reason));
  });
  // Events before `run_start` wait for it. They are shown alone if the run does not begin.
  const queue: LogEvent[] = [
    ...(warning === undefined ? [] : [warningOf(warning)]),
    ...(resume?.skipped ?? []).map(({ folder, why }) => warningOf(`skipped the checkpoint ${folder}: ${why}`)),
  ];
  let hasBegun = false;
  let failure: string | undefined;
  let named = config;
  let log: RunLog | undefined;
  let ownLock: RunLock | undefined;
  // As the log has them: several steps may be one event.
  const lines = gatherSteps(config.logSteps, (event) => {
    log!.write(event);
    if (mode.json) display.show(event);
    warnOf(exports.seeLine(event, runFolder(named)), event);
  });
  const warnOf = (messages: readonly string[], { event }: LogEvent) => {
    if (event !== 'run_end') queue.push(...messages.map(warningOf));
  };

  /**
   * Makes the folder and opens the log, the first time.
   * @param settled the settings with what the training has measured. @returns these with the run's final name.
   */
  const begin = (settled = config) => {
    if (log) return named;
    named = lock ? settled : makeFolder(settled, isNamed);
    if (lock) continueFolder(settled);
    const folder = runFolder(named);
    if (!lock) ownLock = lockNow(folder);
    const unlocked = (lock ?? ownLock!).warning;
    if (unlocked !== undefined) queue.push(warningOf(unlocked));
    log = openLog(join(folder, 'log.ndjson'));
    return named;
  };
  const record = (event: LogEvent) => {
    begin();
    lines.see(event);
    if (!mode.json) display.show(event);
    warnOf(exports.see(event), event);
    onEvent(event);
  };
  const report = (event: LogEvent) => {
    if (event.event === 'run_end') failure = event.error;
    if (event.event === 'run_start') {
      hasBegun = true;
      queue.unshift(event);
    } else queue.push(event);
    while (hasBegun && queue.length > 0) record(queue.shift()!);
    if (event.event === 'run_end' && stop.signal.aborted) exitSoon(event.exit_code);
  };
  try {
    [...notes, ...exports.notes].forEach(display.note);
    const { exitCode } = await train(config, {
      report,
      begin,
      signal: stop.signal,
      beforeCheckpoint: lines.flush,
      ...{ resume, statistics, lowerRate, command: trainCommand(services.env, config.placement) },
      note: display.note,
      busy: display.busy,
    });
    return { exitCode, failure };
  } finally {
    stop.dispose();
    queue.forEach(display.show);
    display.close();
    exports.close();
    try {
      lines.flush(); // of a run that ended without `run_end`
    } finally {
      try {
        log?.close();
      } finally {
        ownLock?.release();
      }
    }
  }
}

function warningOf(message: string): LogEvent {
  return { event: 'warning', message };
}
