/** What the commands `train` and `verify` do, for programs of users. */
import type { Config } from '../config/config.js';
import {
  type TrainResult,
  type TrainUi,
  train as trainRun,
  type VerifyResult,
  verify as verifySplit,
} from '../train/index.js';
import { resolveHere } from './machine.js';
import { makeFolder } from './run-folder.js';
import { SERVICES } from './services.js';

/**
 * Composes the settings of a run on this machine, as `train` does from a config file: a preset's, overridden by `values`.
 * It loads TensorFlow, with the number of threads that fits the net. Only the first call in a process decides that.
 * @param values as in a config file (docs/config.schema.json): `{ preset: 'mini', steps: 100, data: { source: 'photos' } }`.
 * @throws ConfigError for a setting that is not valid; SetupError without a TensorFlow library; ServerError for a server
 * that cannot be used.
 */
export async function resolveConfigHere(values: Readonly<Record<string, unknown>> = {}): Promise<Config> {
  return (await resolveHere(SERVICES, [{ values }], { quiet: true })).config;
}

/**
 * Makes the folder of a new run, `<out>/<run>`, with its `config.json`. It is what `train` takes as `begin`; the commands
 * `eval`, `predict` and `export` find the run by that file.
 * @throws ConfigError if there is such a run; SplitError if the folder cannot be written.
 */
export function makeRunFolder(config: Config): Config {
  return makeFolder(config, true);
}

/**
 * Trains. It prints nothing: `ui.report` receives the events, and `ui.signal` stops the run after the present step.
 * @param ui what is left out is not reported, and the run is not stopped.
 * @returns `error` is what ended a run that had begun.
 * @throws SplitError for whatever cannot become a run.
 */
export function train(config: Config, ui: Partial<TrainUi> = {}): Promise<TrainResult> {
  return trainRun(config, { report: () => {}, signal: new AbortController().signal, ...ui });
}

/**
 * Trains the split and the reference for some steps, and compares every tensor after each.
 * @param ui `print` receives a line for each step.
 * @throws SplitError if there is nothing to compare.
 */
export function verify(
  config: Config,
  { steps }: { steps: number },
  ui: { print?: (line: string) => void } = {},
): Promise<VerifyResult> {
  return verifySplit(config, { steps }, { print: () => {}, ...ui });
}
