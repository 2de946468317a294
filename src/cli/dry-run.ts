/** `train --dry-run`: what a training does before its first step. It makes no folder and writes nothing. */
import { batchText, type Config } from '../config/config.js';
import { signalExitCode } from '../end-signals.js';
import type { LogEvent } from '../log.js';
import { count, plural } from '../numbers.js';
import { shellWord } from '../printable.js';
import type { DryRun, TrainUi } from '../train/index.js';
import { type DisplayMode, openDisplay, openedLines, shownOf } from './display.js';
import { openExports } from './exports.js';
import { runFolder } from './run-folder.js';
import type { Services } from './services.js';
import { exitSoon, stopOnSignal } from './stop.js';

/**
 * Opens data, devices and towers, compares them with the reference, and prints what would be trained.
 * @returns the exit code: 0, or a signal's.
 * @throws SplitError for whatever would end the run before its first step.
 */
export async function runDry(
  config: Config,
  notes: readonly string[],
  mode: DisplayMode,
  services: Services,
  start: Pick<TrainUi, 'resume' | 'statistics' | 'command'>,
): Promise<number> {
  const { train } = await services.loadTrain();
  (await openExports(config)).close(); // a port may be taken
  const { show, note, busy, close } = openDisplay(mode, shownOf(config), services);
  const stop = stopOnSignal(() => exitSoon(signalExitCode(stop.signal.reason)));
  const report = (event: LogEvent) => {
    if (event.event !== 'run_start' || mode.json) show(event);
    else openedLines(event, config).forEach(note);
  };
  try {
    notes.forEach(note);
    const ui = { report, signal: stop.signal, ...start, note, busy, dryRun: true };
    const { exitCode, dryRun } = await train(config, ui);
    if (dryRun) {
      const printer = mode.json ? services.stderr : services.stdout; // these lines are no events
      printer.print(...readyLines(dryRun, config).slice(mode.quiet ? -1 : 0));
    }
    return exitCode;
  } finally {
    stop.dispose();
    close();
  }
}

function readyLines({ first, last, batchSize, stepsPerEpoch, ...bytes }: DryRun, config: Config): string[] {
  const mebibytes = (value: number) => `${count(Math.ceil(value / 2 ** 20))} MiB`;
  const steps = first > 1 ? `steps ${count(first)} to ${count(last)}` : plural(last, 'step');
  return [
    `host memory: at most ${mebibytes(bytes.peakBytes)} so far; a checkpoint takes ${mebibytes(bytes.checkpointBytes)} on the disk`,
    `log: about ${mebibytes(bytes.logBytes)}, with ${config.logSteps > 1 ? `up to ${count(config.logSteps)} steps` : 'one step'} in a line (--log-steps)`,
    first > last
      ? `dry run: nothing left to train after step ${count(last)} of ${shellWord(runFolder(config))}; nothing was written`
      : `dry run: ready for ${steps} of ${config.replicas > 1 ? batchText(config) : batchSize} images, ${count(stepsPerEpoch)} per epoch, in ${shellWord(runFolder(config))}; nothing was written`,
  ];
}
