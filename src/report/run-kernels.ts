/** The first-layer kernels of a run, from its newest weights. */
import { chooseWeights } from '../checkpoint/choose.js';
import { resolveConfig } from '../config/config.js';
import { withoutRetired } from '../config/file.js';
import { SplitError } from '../errors.js';
import { buildNet } from '../model/net.js';
import { firstLayerOf, kernelPicture, pngOf, towerEnergy } from '../weights/kernels.js';
import type { RunReport } from './model.js';

/** @returns the report with its kernels, if the run's folder has weights of its net; else unchanged. */
export async function withKernels(run: RunReport): Promise<RunReport> {
  if (!run.start) return run;
  try {
    const machine = { devices: run.start.towers.map(({ device }) => device), fashionMnist: true, now: new Date(0) };
    const values = withoutRetired(run.start.config as Record<string, unknown>);
    const { config } = resolveConfig([{ values }], machine, false);
    const first = firstLayerOf(buildNet(config.net), chooseWeights(run.folder).files);
    const kernels = first.towers.map((tower) => {
      const { kernels: number, colourShare, mostlyColour } = towerEnergy(tower, first.channels);
      return { tower: tower.tower, kernels: number, colourShare, colourKernels: mostlyColour };
    });
    return { ...run, kernels, kernelPicture: (await pngOf(kernelPicture(first))).toString('base64') };
  } catch (error) {
    // No weights yet, weights of another net, a net without kernels.
    if (error instanceof SplitError) return run;
    throw error;
  }
}
