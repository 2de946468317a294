/** `train`: settings, run folder, log and display around the training itself. */
import { join } from 'node:path';
import { type Config, resolveConfig } from '../config/config.js';
import { type Layer, sets } from '../config/layers.js';
import { type LogEvent, openLog, type RunLog } from '../log.js';
import { type DisplayMode, openDisplay } from './display.js';
import { oneLine } from './format.js';
import { lookAround } from './machine.js';
import { claimName, makeFolder } from './run-folder.js';
import type { Services } from './services.js';

/**
 * Trains. The run's folder, its `config.json` and log come with the first `run_start`, once all that can be checked
 * before has been: a run that was refused leaves nothing behind.
 * @returns the exit code.
 * @throws SplitError for settings, data, devices or a disk that make no run, and for a run that fails.
 */
export async function trainCommand(layers: readonly Layer[], mode: DisplayMode, services: Services): Promise<number> {
  const resolved = resolveConfig(layers, await lookAround(services));
  const config = claimName(
    resolved.config,
    layers.some((layer) => sets(layer, 'run')),
  );
  const { exitCode, failure } = await recordedTraining(config, resolved.notes, mode, services);
  if (exitCode !== 0 && failure !== undefined) services.stderr.write(`error: ${oneLine(failure)}\n`);
  return exitCode;
}

/**
 * One training with its folder, its log, a display, and an ear for signals.
 * @param watch is told of each event too.
 * @returns the exit code, and why it failed when it did.
 * @throws as {@link trainCommand}.
 */
export async function recordedTraining(
  config: Config,
  notes: readonly string[],
  mode: DisplayMode,
  services: Services,
  watch: (event: LogEvent) => void = () => {},
): Promise<{ exitCode: number; failure: string | undefined }> {
  const { train } = await services.trainRoom();
  const display = openDisplay(mode, config, services);
  const recorder = openRecorder(config);
  const stop = stopOnSignal(() => {
    display.close(); // the second signal ends the process, and the terminal must be as it was by then
    display.note('stopping after this step; once more stops at once');
  });
  let failure: string | undefined;
  try {
    for (const note of notes) display.note(note);
    const report = (event: LogEvent) => {
      if (event.event === 'run_end') failure = event.error;
      recorder.write(event);
      display.show(event);
      watch(event);
    };
    const { exitCode } = await train(config, { report, signal: stop.signal, note: display.note });
    return { exitCode, failure };
  } finally {
    stop.forget();
    display.close();
    recorder.close();
  }
}

/** The log, opened by the first `run_start`; what comes before it waits. */
function openRecorder(config: Config): RunLog {
  let log: RunLog | undefined;
  const waiting: LogEvent[] = [];
  return {
    write(event) {
      if (!log && event.event !== 'run_start') {
        waiting.push(event);
        return;
      }
      log ??= openLog(join(makeFolder(config), 'log.ndjson'));
      for (const each of [...waiting.splice(0), event]) log.write(each);
    },
    close: () => log?.close(),
  };
}

/**
 * The first SIGINT or SIGTERM asks the run to end after its step; the second ends the process, as without this. The
 * abort's reason is the signal's name.
 */
function stopOnSignal(told: () => void): { signal: AbortSignal; forget(): void } {
  const controller = new AbortController();
  const forget = () => {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  };
  const stop = (name: NodeJS.Signals) => {
    forget();
    controller.abort(name);
    told();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return { signal: controller.signal, forget };
}
