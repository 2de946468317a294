/** `--weights`: the net of the weights, and how their images were prepared, unless other settings say so. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MANIFEST_NAME } from '../checkpoint/contents.js';
import { readCheckpoint, runFolderOf } from '../checkpoint/store.js';
import type { Config } from '../config/config.js';
import { readConfigFile } from '../config/file.js';
import { anySets, type ConfigLayer, lastValue, valueAt } from '../config/layers.js';
import { PRESETS } from '../config/presets.js';
import { CONFIG_SCHEMA } from '../config/schema.js';
import { isStatistics, needsStatistics, readStatistics, type Statistics } from '../data/index.js';
import { CheckpointError } from '../errors.js';
import { buildNet, isOneColumn } from '../model/net.js';
import { STATISTICS_FILE } from '../train/run-data.js';
import { placeOfWeights } from '../train/starting-weights.js';
import { openImport, settingsIn, torchvisionClasses } from '../weights/import.js';

/** How images are prepared wherever the weights are used. */
const PREPARATION = ['resize', 'interpolation', 'mean', 'meanImage', 'scale'];

export interface StartingSettings {
  /** What was asked, over the settings of the weights. */
  layers: readonly ConfigLayer[];
  /** A sentence about what the weights bring; absent if they bring nothing. */
  note?: string;
  /**
   * The mean image of the images that the weights were trained with, if it is to be subtracted from these as well. Where the
   * settings need the components of the images' colours, they are those of these images too.
   * @throws (the function) CheckpointError if it is missing.
   */
  statistics(config: Config): Statistics | undefined;
}

/**
 * Puts the settings of starting weights under those that were asked: the net, without the number of classes, and the
 * preparation of the images; torchvision's own file is recognized, and has those of its preset. Weights that are not there, or that have no settings, bring none.
 * @param again the settings of a run that begins again. They have those of the weights already; its mean image is kept.
 * @throws ConfigError or CheckpointError for settings that cannot be read.
 */
export function withStartingSettings(layers: readonly ConfigLayer[], again?: ConfigLayer): StartingSettings {
  if (again) return { layers, statistics: (config) => keptMean(dirname(again.file!), config) };
  const weights = lastValue(layers, 'weights');
  const out = lastValue(layers, 'out') ?? PRESETS.mini.out;
  const found = typeof weights === 'string' && typeof out === 'string' ? settingsOf(weights, out) : undefined;
  if (!found) return { layers, statistics: () => undefined };
  const { file, values } = found;
  const pick = (key: string, isWanted: (name: string) => boolean): Record<string, unknown> =>
    Object.fromEntries(Object.entries(valueAt(values, [key]) ?? {}).filter(([name]) => isWanted(name)));
  const net = pick('net', (name) => name !== 'classes');
  const data = pick('data', (name) => PREPARATION.includes(name));
  const parsed = CONFIG_SCHEMA.shape.net.safeParse({ classes: 2, ...net });
  const isColumn = parsed.success && isOneColumn(buildNet(parsed.data));
  const own: ConfigLayer = { file, values: { net, data, ...(isColumn && { placement: 'single' }) } };
  const isMeanTheirs = data.meanImage === true && !anySets(layers, 'data', 'meanImage');
  return {
    layers: [own, ...layers],
    note: `net and preparation of the images: those of ${file}, unless set`,
    statistics: (config) => (isMeanTheirs && config.data.meanImage ? meanOf(found, config) : undefined),
  };
}

interface Found {
  file: string;
  values: Readonly<Record<string, unknown>>;
  /** The run's folder; undefined for a file of the whole net. */
  folder?: string | undefined;
}

function settingsOf(weights: string, out: string): Found | undefined {
  const { path, isFile } = placeOfWeights(weights, out);
  if (!existsSync(path)) return undefined; // the training says so
  if (isFile) {
    const isTheirs = () => torchvisionClasses(path) !== undefined;
    const values = settingsIn(path) ?? (isTheirs() ? PRESETS.torchvision : undefined);
    return values && { file: path, values };
  }
  if (existsSync(join(path, MANIFEST_NAME))) {
    const { folder, state } = readCheckpoint(path, '--weights');
    return { file: folder, values: state.config, folder: runFolderOf({ folder }) };
  }
  const file = join(path, 'config.json');
  return existsSync(file) ? { file, values: readConfigFile(file).values, folder: path } : undefined;
}

/** The mean image of a run that begins again: it may be that of its weights' images. Without weights it is computed again. */
function keptMean(folder: string, { weights, data }: Config): Statistics | undefined {
  if (weights === null || !needsStatistics(data)) return undefined;
  const statistics = readStatistics(join(folder, STATISTICS_FILE), data.resize);
  if (isStatistics(statistics, data.resize)) return statistics;
  throw new CheckpointError(
    `Cannot begin ${folder} again: its ${STATISTICS_FILE} is missing or damaged, expected the mean image that it subtracted from its images; restore that file, or start a new run with another --run`,
    folder,
  );
}

function meanOf(found: Found, config: Config): Statistics {
  const { resize } = config.data;
  const statistics = savedMean(found, config);
  if (isStatistics(statistics, resize)) return statistics;
  throw new CheckpointError(
    `Cannot start from the weights of ${found.file}: there is no mean image of ${resize} pixels, expected the one of its training images, which was subtracted from them; subtract one of your images with --mean-image, or a grey level with --no-mean-image`,
    found.file,
  );
}

function savedMean({ file, folder }: Found, { data, net, newHead }: Config): unknown {
  if (folder !== undefined) return readStatistics(join(folder, STATISTICS_FILE), data.resize);
  const source = openImport(file, buildNet(net), 'rgb', { withHead: !newHead });
  try {
    return source.images().statistics;
  } finally {
    source.close();
  }
}
