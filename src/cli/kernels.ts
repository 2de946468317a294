/** `kernels`: draws the first layer's kernels, and measures how much of them is colour. */
import { join } from 'node:path';
import { buildNet } from '../model/net.js';
import { jsonText } from '../printable.js';
import { writeNoFollow } from '../safe-write.js';
import { usedText } from '../train/run-weights.js';
import { firstLayerOf, kernelPicture, towerEnergy, writePng } from '../weights/kernels.js';
import { explained } from './explain.js';
import { openWeights, type RunFlags } from './find-run.js';
import { table } from './format.js';
import type { Input, Services } from './services.js';
import { announce } from './silence.js';

interface KernelsOptions extends RunFlags {
  out?: string;
  json?: boolean;
}

/**
 * Writes `kernels.json` into the run's folder, and the picture to `out` or to `kernels.png` there.
 * @throws ConfigError if there is no such run or checkpoint, or the net has no kernels to draw; CheckpointError for its
 * weights, or if the files cannot be written.
 */
export async function run({ options }: Input<KernelsOptions>, services: Services): Promise<number> {
  const { out, json } = options;
  const { config, folder, files, used } = openWeights(options, 'show the kernels of', services);
  announce(services, `reading the weights of ${folder}`);
  const first = firstLayerOf(buildNet(config.net), files);
  const picture = out ?? join(folder, 'kernels.png');
  await writePng(kernelPicture(first), picture);
  const { layer, channels } = first;
  const towers = first.towers.map((kernels) => ({ tower: kernels.tower, ...towerEnergy(kernels, channels) }));
  const report = { run: folder, layer, channels, picture, towers, ...used };
  const file = join(folder, 'kernels.json');
  explained(`write ${file}`, 'free space, or make it writable', () => writeNoFollow(file, `${jsonText(report, 2)}\n`));
  const rows = towers.map(({ tower, kernels, grey, colour, colourShare, mostlyColour }) => {
    const energies = [grey.toPrecision(4), colour.toPrecision(4), colourShare.toFixed(3)];
    return [String(tower), kernels, ...energies, mostlyColour];
  });
  const weights = usedText(used);
  const lines = [
    ...table(['tower', 'kernels', 'grey energy', 'colour energy', 'colour share', 'mostly colour'], rows),
    ...(channels === 1 ? ['the net reads grey images: its kernels have no colour'] : []),
    `${layer} as a picture, tower 0 above tower 1${weights && `, ${weights}`}: ${picture}`,
  ];
  services.stdout.print(...(json ? [JSON.stringify(report)] : lines));
  return 0;
}
