/** `import`: makes a run from weights of another program, for `eval`, `predict` and `train --weights`. */
import { renameSync, rmSync } from 'node:fs';
import { isWeightsName } from '../checkpoint/weights-files.js';
import { type Config, type Machine, resolveConfig } from '../config/config.js';
import { anySets, type ConfigLayer } from '../config/layers.js';
import { PRESETS } from '../config/presets.js';
import { isStatistics, needsStatistics } from '../data/index.js';
import { ConfigError } from '../errors.js';
import { buildNet } from '../model/net.js';
import { count } from '../numbers.js';
import { isMeasured } from '../train/levels.js';
import { CLASSES_FILE, keepRunData, STATISTICS_FILE } from '../train/run-data.js';
import { type ChannelOrder, openImport, settingsIn, torchvisionClasses, writeRun } from '../weights/import.js';
import { readClassNames } from './class-names.js';
import { resolveHere } from './machine.js';
import { checkName, filesIn, makeFolder, runFolder } from './run-folder.js';
import type { Input, Services } from './services.js';
import { announce } from './silence.js';

interface ImportOptions {
  channelOrder: ChannelOrder;
  classNames?: string;
  force?: boolean;
  json?: boolean;
}

const CONFIG_NAME = 'config.json';
const IMPORTED: readonly string[] = [CONFIG_NAME, CLASSES_FILE, STATISTICS_FILE, 'kernels.json', 'kernels.png'];

/** The settings of a run without anything computed from its training images. */
const WITHOUT_STATISTICS: ConfigLayer = {
  values: { data: { meanImage: false, colourNoise: { colours: 'imagenet' } } },
};

/**
 * The weights were trained on other images than those that the settings name, so no levels are measured.
 * @throws ConfigError if the levels of the data are asked for.
 */
function withoutMeasuring(config: Config, layers: readonly ConfigLayer[], machine: Machine): Config {
  if (isMeasured(config.data)) return config;
  if (['mean', 'scale'].some((key) => anySets(layers, 'data', key))) {
    throw new ConfigError(
      'Cannot import weights with the levels of the data: data.mean or data.scale is "data", expected the numbers with which they were trained; give them with --mean and --scale',
    );
  }
  const { mean, scale } = PRESETS[config.preset].data;
  return resolveConfig([{ values: { data: { mean, scale } } }, ...layers], machine, false).config;
}

/**
 * Makes a run's folder from a file of weights. An exported file brings its settings, and torchvision's AlexNet is
 * recognized, unless a preset is given; flags and config file override them.
 * @throws ConfigError for invalid settings, or a name that is taken, or class names that do not fit; CheckpointError if the file does not fit the net.
 * Then nothing is left behind.
 */
export async function run(
  { argument: file, layers, options: { channelOrder, classNames, json, force = false } }: Input<ImportOptions, string>,
  services: Services,
): Promise<number> {
  if (!anySets(layers, 'run')) {
    throw new ConfigError(`Cannot import ${file} without a name for the run; give one with --run`);
  }
  const settings = anySets(layers, 'preset')
    ? undefined
    : (settingsIn(file) ?? settingsByShape(file, layers, services));
  const all = settings ? [{ file, values: settings }, ...layers] : layers;
  const named = await resolveHere(services, all, { needsData: false });
  const { idle, machine } = named;
  const resolved = withoutMeasuring(named.config, all, machine);
  const isThere = isImported(runFolder(resolved));
  if (isThere && !force) {
    throw new ConfigError(
      `Cannot use ${runFolder(resolved)} for a new run: it exists already; choose another --run, or replace that import with --force`,
    );
  }
  if (!isThere) checkName(resolved, true);
  services.stderr.print(...idle);
  const net = buildNet(resolved.net);
  const names = classNames === undefined ? undefined : readClassNames(classNames, resolved.net.classes);
  const source = openImport(file, net, channelOrder);
  try {
    const { classes, statistics } = source.images();
    const own = isStatistics(statistics, resolved.data.resize) ? statistics : undefined;
    const isLacking = needsStatistics(resolved.data) && !own;
    const config = isLacking ? resolveConfig([...all, WITHOUT_STATISTICS], machine, false).config : resolved;
    if (isLacking) {
      const { resize, mean } = config.data;
      services.stderr.print(
        `${file} has no mean image of ${resize} pixels: ${mean} is subtracted from each pixel instead (data.mean)`,
      );
    }
    announce(services, `reading ${file}`);
    const folder = runFolder(config);
    const towers = config.placement === 'split' ? 2 : 1;
    const metadata = { format: 'alexnet-split', net: config.net.table, imported: file };
    inPlaceOf(isThere ? folder : undefined, () => {
      makeFolder(config, true);
      orRemove(folder, () => {
        writeRun(source, net, folder, towers, metadata);
        keepRunData(config, names ?? classes, needsStatistics(config.data) ? own : undefined);
      });
    });
    const { leftOut } = source;
    const tensors = source.tensors.map(({ portable, name }) => ({ name, as: portable.name, shape: portable.shape }));
    const values = source.tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    const prefix = leftOut === '' ? '' : `; left out of its names: ${leftOut}`;
    services.stdout.print(
      json
        ? JSON.stringify({ folder, values, leftOut, tensors })
        : `${folder}: ${tensors.length} tensors, ${count(values)} values of ${file}${prefix}`,
    );
    return 0;
  } finally {
    source.close();
  }
}

/** The settings for torchvision's AlexNet, which is recognized by its tensors unless the settings name a net. */
function settingsByShape(
  file: string,
  layers: readonly ConfigLayer[],
  services: Services,
): Record<string, unknown> | undefined {
  if (anySets(layers, 'net', 'table')) return undefined;
  const classes = torchvisionClasses(file);
  if (classes === undefined) return undefined;
  services.stderr.print(
    `${file} has the tensors of torchvision's AlexNet: --preset torchvision --classes ${classes}, with the preparation of images of torchvision's weights`,
  );
  return { preset: 'torchvision', net: { classes } };
}

/** Whether a folder has what an import writes, and nothing else: a training would have a log, and checkpoints. */
function isImported(folder: string): boolean {
  const names = filesIn(folder);
  return names.includes(CONFIG_NAME) && names.every((name) => IMPORTED.includes(name) || isWeightsName(name));
}

/** Makes a folder in the place of one that is removed then. If that fails, the old one is there again. */
function inPlaceOf(folder: string | undefined, make: () => void): void {
  if (folder === undefined) {
    make();
    return;
  }
  const old = `${folder}.${process.pid}.replaced`;
  renameSync(folder, old);
  try {
    make();
  } catch (error) {
    renameSync(old, folder);
    throw error;
  }
  rmSync(old, { recursive: true, force: true });
}

/** Writes the weights. If that fails, removes the folder, because half of the weights are worse than none. */
export function orRemove(folder: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}
