/** A run that is there already: its folder, and the settings it was trained with. */
import { existsSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { type Config, checkRunName, resolveConfig } from '../config/config.js';
import { readConfigFile } from '../config/file.js';
import { type ConfigLayer, sets, valueAt } from '../config/layers.js';
import { PRESETS } from '../config/presets.js';
import { ConfigError } from '../errors.js';
import { lookAround } from './machine.js';
import { runFolder } from './run-folder.js';
import type { Services } from './services.js';

/** A run's folder. */
export interface Located {
  folder: string;
  /** The run's settings as it left them. */
  saved: ConfigLayer;
}

/**
 * Finds a run by its name in the folder of the runs, or by its path, which has a slash in it.
 * @param action what is done with it, for the message: `evaluate`.
 * @throws ConfigError when there is no such run, or its settings cannot be read.
 */
export function locateRun(run: string, action: string, out: string = PRESETS.mini.out): Located {
  if (!isPath(run)) checkRunName(run);
  const folder = isPath(run) ? normalize(run).replace(/(?<=.)[/\\]+$/, '') : runFolder({ run, out });
  const file = join(folder, 'config.json');
  if (!existsSync(file)) {
    throw new ConfigError(
      `Cannot ${action} the run ${run}: there is no ${file}; choose another --run, by its name or its path`,
    );
  }
  return { folder, saved: readConfigFile(file) };
}

function isPath(run: string): boolean {
  return /[/\\]/.test(run) || run === '.' || run === '..';
}

/**
 * A run whose net is to be used here: its settings, with those of the flags over them.
 * @param flags `run` and perhaps `out`, to find it by, and where its net goes.
 * @param action what is done with it, for the message.
 * @param needsData whether it has to be known where its images are: a run that was imported may not say.
 * @throws ConfigError when there is no such run, or a flag does not fit.
 */
export async function openRun(
  flags: ConfigLayer,
  action: string,
  services: Services,
  needsData = true,
): Promise<{ config: Config; folder: string }> {
  // The folder may have been moved or renamed since: name and place stay those of the training.
  const { run, out, ...where } = flags.values as { run: string; out?: string };
  if (out !== undefined && isPath(run)) {
    services.stderr.write(`--out has no effect with --run ${run}, which is a path\n`);
  }
  const { folder, saved } = locateRun(run, action, out);
  const values: Record<string, unknown> = { ...saved.values };
  // Another placement needs another number of devices.
  if (sets(flags, 'placement') && !sets(flags, 'devices')) delete values.devices;
  const layers = [
    { ...saved, values },
    { ...flags, values: where },
  ];
  const { config, idle } = resolveConfig(layers, await lookAround(services, layers), needsData);
  for (const note of idle) services.stderr.write(`${note}\n`);
  return { config, folder };
}

/**
 * The settings of a run that is looked at and not run: devices that are not here are no obstacle, and TensorFlow is not
 * loaded.
 * @throws ConfigError for settings that are none.
 */
export function savedConfig({ saved }: Located, services: Pick<Services, 'now'>): Config {
  const devices = valueAt(saved.values, ['devices']);
  const machine = {
    devices: Array.isArray(devices) ? devices.map(String) : [],
    fashionMnist: true,
    now: services.now(),
  };
  return resolveConfig([saved], machine, false).config;
}
