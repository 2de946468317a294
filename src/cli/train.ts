/** `train`: settings, run folder, log and display around the training itself. */
import { join } from 'node:path';
import { type Config, resolveConfig } from '../config/config.js';
import { type ConfigLayer, sets } from '../config/layers.js';
import { signalExitCode } from '../end-signals.js';
import { type LogEvent, openLog, type RunLog } from '../log.js';
import type { Resume } from '../train/index.js';
import { type DisplayMode, openDisplay } from './display.js';
import { oneLine } from './format.js';
import { gpuReminder, gpuWarning } from './gpu-warning.js';
import { lookAround } from './machine.js';
import { findContinuation, folderToContinue } from './resume.js';
import { checkName, continueFolder, makeFolder, runFolder } from './run-folder.js';
import { lockNow, lockRun, type RunLock } from './run-lock.js';
import type { Services } from './services.js';
import { stopOnSignal } from './stop.js';

export interface TrainOptions extends DisplayMode {
  /** `auto`, a checkpoint or a run's folder. */
  resume?: string;
}

/**
 * Trains. The run's folder, its `config.json` and log come with the first `run_start`, once all that can be checked
 * before has been: a run that was refused leaves nothing behind.
 * @returns the exit code.
 * @throws SplitError for settings, data, devices or a disk that make no run, and for a run that fails.
 */
export async function trainCommand(
  asked: readonly ConfigLayer[],
  options: TrainOptions,
  services: Services,
): Promise<number> {
  const folder = folderToContinue(asked, options.resume);
  const lock = folder === undefined ? undefined : await lockRun(folder);
  try {
    const { layers, resume, notes } = findContinuation(asked, options.resume, lock !== undefined);
    const machine = await lookAround(services, layers);
    const resolved = resolveConfig(layers, machine);
    const isNamed = layers.some((layer) => sets(layer, 'run'));
    // Who asks for devices by name knows what they are.
    const warning = layers.some((layer) => sets(layer, 'devices'))
      ? undefined
      : await gpuWarning(services, machine.devices);
    const { config } = resolved;
    if (!lock) checkName(config, isNamed);
    const all = [...resolved.notes, ...barNotes(asked, options, services), ...notes];
    const recording = { resume, lock, isNamed, warning };
    const { exitCode, failure } = await recordedTraining(config, all, options, services, recording);
    const reminder = gpuReminder(machine.devices, warning);
    if (reminder !== undefined) services.stderr.write(`warning: ${reminder}\n`);
    if (exitCode !== 0 && failure !== undefined) services.stderr.write(`error: ${oneLine(failure)}\n`);
    return exitCode;
  } finally {
    lock?.release();
  }
}

/** What is to be said where a bar is drawn in place of lines. */
export function barNotes(layers: readonly ConfigLayer[], { json, quiet }: DisplayMode, { stdout }: Services): string[] {
  const isTyped = layers.some((layer) => layer.by === 'line' && sets(layer, 'logEvery'));
  if (!isTyped || json || quiet || stdout.isTTY !== true) return [];
  return ['--log-every has no effect where a bar shows every step; the lines are for a file or a pipe'];
}

/** What a training goes on from, and who else is told of it. */
export interface RecordOptions {
  resume?: Resume | undefined;
  /** Of the run's folder, when it goes on there; the caller gives it up. A new folder is made and locked here. */
  lock?: RunLock | undefined;
  /** Whether somebody chose the name of a new run; another one gets a number when it is taken. */
  isNamed?: boolean;
  /** Of what was found before: said and logged after `run_start`. */
  warning?: string | undefined;
  /** Is told of each event too. */
  watch?: (event: LogEvent) => void;
}

/**
 * One training with its folder, its log, a display, and an ear for signals.
 * @returns the exit code, and why it failed when it did.
 * @throws as {@link trainCommand}.
 */
export async function recordedTraining(
  config: Config,
  notes: readonly string[],
  mode: DisplayMode,
  services: Services,
  { resume, lock, isNamed = false, warning, watch = () => {} }: RecordOptions = {},
): Promise<{ exitCode: number; failure: string | undefined }> {
  const { train } = await services.trainRoom();
  const display = openDisplay(mode, config, services);
  const warn = (message: string) => waiting.push({ event: 'warning', message });
  const recorder = openRecorder(config, { lock, isNamed, warn });
  const stop = stopOnSignal(() => {
    display.close(); // the second signal ends the process, and the terminal must be as it was by then
    display.note('stopping after this step; once more stops at once');
    if (!hasBegun) stop.leaveSoon(signalExitCode(stop.signal.reason));
  });
  // A run begins with `run_start`: what is to be said before comes after it, or alone where it does not come to that.
  const waiting: LogEvent[] = (resume?.skipped ?? []).map(({ folder, why }) => {
    return { event: 'warning', message: `skipped the checkpoint ${folder}: ${why}` };
  });
  if (warning !== undefined) waiting.unshift({ event: 'warning', message: warning });
  let hasBegun = false;
  let failure: string | undefined;
  const tell = (event: LogEvent) => {
    recorder.write(event);
    display.show(event);
    watch(event);
  };
  try {
    for (const note of notes) display.note(note);
    const report = (event: LogEvent) => {
      if (event.event === 'run_start') hasBegun = true;
      if (event.event === 'run_end') failure = event.error;
      if (event.event === 'run_start') waiting.unshift(event);
      else waiting.push(event);
      while (hasBegun && waiting.length > 0) tell(waiting.shift()!);
      if (event.event === 'run_end' && stop.signal.aborted) stop.leaveSoon(event.exit_code);
    };
    const ui = { report, begin: recorder.begin, signal: stop.signal, resume, note: display.note };
    const { exitCode } = await train(config, ui);
    return { exitCode, failure };
  } finally {
    stop.forget();
    waiting.forEach(display.show);
    display.close();
    recorder.close();
  }
}

interface Recorder extends RunLog {
  /** Makes the folder. @returns the settings with the name that the run got. */
  begin(): Config;
}

/** The log and the folder it is in, which is made by `begin` or the first event. */
function openRecorder(
  config: Config,
  { lock, isNamed, warn }: { lock: RunLock | undefined; isNamed: boolean; warn: (message: string) => void },
): Recorder {
  let log: RunLog | undefined;
  let own: RunLock | undefined;
  let named = config;
  const open = () => {
    if (lock) continueFolder(config);
    else named = makeFolder(config, isNamed);
    const folder = runFolder(named);
    if (!lock) own = lockNow(folder);
    const { warning } = lock ?? own!;
    if (warning !== undefined) warn(warning);
    return openLog(join(folder, 'log.ndjson'));
  };
  return {
    begin() {
      log ??= open();
      return named;
    },
    write(event) {
      log ??= open();
      log.write(event);
    },
    close() {
      try {
        log?.close();
      } finally {
        own?.release();
      }
    },
  };
}
