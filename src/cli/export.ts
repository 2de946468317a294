/** `export`: writes a run's weights for PyTorch or for tfjs. */
import type { Config } from '../config/config.js';
import { buildNet, type Net } from '../model/net.js';
import { count } from '../numbers.js';
import { runClasses, runStatistics } from '../train/run-data.js';
import { usedText } from '../train/run-weights.js';
import { type Exported, exportWeights } from '../weights/export.js';
import { openWeights, type RunFlags } from './find-run.js';
import type { Input, Services } from './services.js';
import { announce } from './silence.js';

interface ExportOptions extends RunFlags {
  out: string;
  format: 'pytorch' | 'tfjs';
  force?: boolean;
  json?: boolean;
}

/**
 * Exports the weights of a run of either placement.
 * @throws ConfigError if there is no such run or checkpoint; CheckpointError for its weights, or if `out` cannot be written.
 */
export async function run({ options }: Input<ExportOptions>, services: Services): Promise<number> {
  const { config, files, used, home } = openWeights(options, 'export', services);
  const net = buildNet(config.net);
  announce(services, `writing ${options.out}`);
  const result =
    options.format === 'tfjs'
      ? await exportForTfjs(net, files, options)
      : exportWeights(
          net,
          files,
          options.out,
          portableSettings(config),
          { classes: runClasses(home), statistics: runStatistics(home, config) },
          { force: options.force ?? false },
        );
  const facts = [`${result.tensors} tensors`, `${count(result.values)} values`, usedText(used)].filter(Boolean);
  services.stdout.print(options.json ? JSON.stringify({ ...result, ...used }) : `${result.file}: ${facts.join(', ')}`);
  return 0;
}

async function exportForTfjs(net: Net, files: readonly string[], { out, force }: ExportOptions): Promise<Exported> {
  // Otherwise tfjs prints a greeting, and recommends a faster backend; nothing is computed here.
  (await import('@tensorflow/tfjs')).enableProdMode();
  const { exportLayersModel } = await import('../weights/layers-model.js');
  return exportLayersModel(net, files, out, { force: force ?? false });
}

/** The settings of the net and its images, so that an import of the file needs no flags for them. */
function portableSettings({ preset, net, data: { source: _, workers: __, ...data } }: Config): Record<string, unknown> {
  return { preset, net, data };
}
