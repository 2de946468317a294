/** Finds an existing run: its folder, the settings it was trained with, and its weights. */
import { existsSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { type Config, checkRunName, resolveConfig } from '../config/config.js';
import { readConfigFile } from '../config/file.js';
import { type ConfigLayer, needsOtherDevices, valueAt } from '../config/layers.js';
import { nearRun } from '../config/near-run.js';
import { PRESETS } from '../config/presets.js';
import { ConfigError } from '../errors.js';
import { type RunWeights, runWeights } from '../train/run-weights.js';
import { isAblation } from './ablation.js';
import { resolveHere } from './machine.js';
import { runFolder } from './run-folder.js';
import type { Services } from './services.js';

/**
 * Finds a run by its name in the folder of the runs, or by its path, which has a slash in it.
 * @param action for the message: "Cannot evaluate the run".
 * @throws ConfigError if there is no such run, or its settings cannot be read.
 */
export function findRun(run: string, action: string, out: string = PRESETS.mini.out) {
  if (!isPath(run)) checkRunName(run);
  const folder = isPath(run) ? normalize(run).replace(/(?<=.)[/\\]+$/, '') : runFolder({ run, out });
  const file = join(folder, 'config.json');
  if (isAblation(folder)) {
    throw new ConfigError(
      `Cannot ${action} the run ${run}: it is the folder of an ablation, expected one run; choose one of the folders in it, by its path`,
    );
  }
  if (!existsSync(file)) {
    throw new ConfigError(
      `Cannot ${action} the run ${run}: there is no ${file}${existsSync(folder) ? '' : nearRun(run, out)}; choose another --run, by its name or its path`,
    );
  }
  return { folder, saved: readConfigFile(file) };
}

function isPath(run: string): boolean {
  return /[/\\]/.test(run) || run === '.' || run === '..';
}

/**
 * Finds a run to use its net on this machine: its settings, overridden by the flags.
 * @param asked the layers of settings; the last ones are the flags: `run`, perhaps `out`, and where the net goes.
 * @param needsData whether the settings must name the images. Those of an imported run may not.
 */
export async function openRun(
  asked: readonly ConfigLayer[],
  action: string,
  services: Services,
  needsData = true,
): Promise<{ config: Config; folder: string }> {
  // The folder may have been moved or renamed since the training, so the settings keep the old name and place.
  const flags = asked.at(-1)!;
  const { run, out, ...where } = flags.values as { run: string; out?: string };
  if (out !== undefined && isPath(run)) services.stderr.print(`--out has no effect with --run ${run}, which is a path`);
  const { folder, saved } = findRun(run, action, out);
  const values: Record<string, unknown> = { ...saved.values };
  if (needsOtherDevices(values, asked)) delete values.devices;
  const layers = [{ ...saved, values }, ...asked.slice(0, -1), { ...flags, values: where }];
  const { config, idle } = await resolveHere(services, layers, { needsData });
  services.stderr.print(...idle);
  return { config, folder };
}

/** Which run, and which of its weights: the flags of every command that reads some. */
export interface RunFlags {
  run: string;
  checkpoint?: string;
}

/**
 * Finds a run to read its weights. It need not run here: its devices may be missing, and TensorFlow is not loaded.
 * @throws ConfigError if there is no such run or checkpoint; CheckpointError if the weights cannot be used.
 */
export function openWeights(
  { run, checkpoint }: RunFlags,
  action: string,
  { stderr, now }: Services,
): RunWeights & { config: Config; folder: string } {
  const { folder, saved } = findRun(run, action);
  const config = savedConfig(saved, now());
  return { ...runWeights(config, folder, { checkpoint, note: (text) => stderr.print(text) }), config, folder };
}

/** The settings of a run as it saved them. Its devices may be missing here. */
export function savedConfig(saved: ConfigLayer, now: Date): Config {
  const devices = valueAt(saved.values, ['devices']);
  const machine = { devices: Array.isArray(devices) ? devices.map(String) : [], fashionMnist: true, now };
  return resolveConfig([saved], machine, false).config;
}
