/** `import`: another program's weights as a run, for `eval`, `predict` and `train --weights`. */
import { rmSync } from 'node:fs';
import { type Config, resolveConfig } from '../config/config.js';
import { type ConfigLayer, sets } from '../config/layers.js';
import { isStatistics, needsStatistics } from '../data/index.js';
import { ConfigError } from '../errors.js';
import { buildNet } from '../model/net.js';
import { keepRunData } from '../train/run-data.js';
import { type ChannelOrder, openImport, settingsIn, writeRun } from '../weights/import.js';
import { count } from './format.js';
import { lookAround } from './machine.js';
import { checkName, makeFolder, runFolder } from './run-folder.js';
import type { Services } from './services.js';

export interface ImportFlags {
  channelOrder: ChannelOrder;
  json?: boolean;
}

/**
 * Makes a run's folder of a file. The settings are those that an exported file brings, unless a preset is asked for; the
 * given ones beat them.
 * @throws ConfigError for settings that make no net, or a name that is taken; CheckpointError for a file that is not this
 * net's. Nothing is left behind then.
 */
export async function importCommand(
  file: string,
  layers: readonly ConfigLayer[],
  { channelOrder, json }: ImportFlags,
  services: Services,
): Promise<number> {
  if (!layers.some((layer) => sets(layer, 'run'))) {
    throw new ConfigError(`Cannot import ${file} without a name for the run; give one with --run`);
  }
  const settings = layers.some((layer) => sets(layer, 'preset')) ? undefined : settingsIn(file);
  const given = settings ? [{ file, values: settings }, ...layers] : layers;
  const machine = await lookAround(services, given);
  const { config: resolved, idle } = resolveConfig(given, machine, false);
  checkName(resolved, true);
  for (const note of idle) services.stderr.write(`${note}\n`);
  const net = buildNet(resolved.net);
  const source = openImport(file, net, channelOrder);
  try {
    const { classes, statistics } = source.images();
    const own = isStatistics(statistics, resolved.data.resize) ? statistics : undefined;
    const isLacking = needsStatistics(resolved.data) && !own;
    const config = isLacking ? resolveConfig([...given, WITHOUT_STATISTICS], machine, false).config : resolved;
    if (isLacking) services.stderr.write(`${lackingNote(file, config)}\n`);
    const folder = runFolder(makeFolder(config, true));
    const towers = config.placement === 'split' ? 2 : 1;
    const metadata = { format: 'alexnet-split', net: config.net.table, imported: file };
    orRemove(folder, () => {
      writeRun(source, net, folder, towers, metadata);
      keepRunData(config, classes, needsStatistics(config.data) ? own : undefined);
    });
    const tensors = source.tensors.map(({ portable, name }) => ({ name, as: portable.name, shape: portable.shape }));
    const values = source.tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    const line = json
      ? JSON.stringify({ folder, values, leftOut: source.leftOut, tensors })
      : `${folder}: ${tensors.length} tensors, ${count(values)} values of ${file}${source.leftOut === '' ? '' : `; left out of its names: ${source.leftOut}`}`;
    services.stdout.write(`${line}\n`);
    return 0;
  } finally {
    source.close();
  }
}

/** The settings of a run that has nothing computed of its training images. */
const WITHOUT_STATISTICS: ConfigLayer = {
  values: { data: { meanImage: false, colourNoise: { colours: 'imagenet' } } },
};

function lackingNote(file: string, { data }: Config): string {
  return `${file} brings no mean image of ${data.resize} pixels: ${data.mean.join(', ')} is taken off each pixel instead (data.mean)`;
}

/** Writes the weights; the folder goes when they cannot all be written, for half of them would be worse than none. */
export function orRemove(folder: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}
