/** `export`: a run's weights for PyTorch or for tfjs. */
import type { Config } from '../config/config.js';
import { buildNet, type Net } from '../model/net.js';
import { runClasses, runStatistics } from '../train/run-data.js';
import { runWeights, usedText } from '../train/run-weights.js';
import type { ImageKnowledge } from '../weights/description.js';
import { type Exported, exportWeights } from '../weights/export.js';
import { count } from './format.js';
import { locateRun, savedConfig } from './locate-run.js';
import type { Services } from './services.js';

export interface ExportFlags {
  run: string;
  out: string;
  format: 'pytorch' | 'tfjs';
  checkpoint?: string;
  json?: boolean;
}

/**
 * Exports the weights of a run, whichever placement trained them.
 * @throws ConfigError without such a run or checkpoint; CheckpointError for its weights, or when `out` cannot be written.
 */
export async function exportCommand(
  { run, out, format, checkpoint, json }: ExportFlags,
  services: Services,
): Promise<number> {
  const located = locateRun(run, 'export');
  const config = savedConfig(located, services);
  const net = buildNet(config.net);
  const note = (text: string) => services.stderr.write(`${text}\n`);
  const { files, used, home } = runWeights(config, located.folder, { checkpoint, note });
  const result =
    format === 'tfjs'
      ? await exportForTfjs(net, files, out)
      : exportWeights(net, files, out, settingsOf(config), imagesOf(config, home));
  const facts = [`${result.tensors} tensors`, `${count(result.values)} values`, usedText(used)].filter(Boolean);
  const line = json ? JSON.stringify({ ...result, ...used }) : `${result.file}: ${facts.join(', ')}`;
  services.stdout.write(`${line}\n`);
  return 0;
}

function imagesOf(config: Config, folder: string): ImageKnowledge {
  return { classes: runClasses(folder), statistics: runStatistics(folder, config) };
}

async function exportForTfjs(net: Net, files: readonly string[], out: string): Promise<Exported> {
  // Or tfjs greets, and recommends a faster backend: nothing is computed here.
  (await import('@tensorflow/tfjs')).enableProdMode();
  const { exportLayersModel } = await import('../weights/layers-model.js');
  return exportLayersModel(net, files, out);
}

/** What makes the same net of the same images: a file that is imported again needs no flags for them. */
function settingsOf({ preset, net, data: { source: _, workers: __, ...data } }: Config): Record<string, unknown> {
  return { preset, net, data };
}
