/** `kernels`: the first layer's kernels as a picture, and how much of them is colour. */
import { join } from 'node:path';
import { CheckpointError } from '../errors.js';
import { buildNet } from '../model/net.js';
import { jsonText } from '../printable.js';
import { writeNoFollow } from '../safe-write.js';
import { runWeights, type UsedWeights, usedText } from '../train/run-weights.js';
import { kernelPicture, writePng } from '../weights/kernel-picture.js';
import { type Energy, type FirstLayer, firstLayerOf, towerEnergy } from '../weights/kernels.js';
import { table } from './format.js';
import { locateRun, savedConfig } from './locate-run.js';
import type { Services } from './services.js';

export interface KernelsFlags {
  run: string;
  out?: string;
  checkpoint?: string;
  json?: boolean;
}

/** What is written as `kernels.json` and printed. */
interface Report extends UsedWeights {
  run: string;
  layer: string;
  channels: number;
  picture: string;
  towers: (Energy & { tower: number })[];
}

/**
 * Draws the kernels and measures them; the run's folder gets `kernels.json` and, unless `out` says otherwise,
 * `kernels.png`.
 * @throws ConfigError without such a run or checkpoint, or for a net without kernels to draw; CheckpointError for its weights, or when
 * the files cannot be written.
 */
export async function kernelsCommand(
  { run, out, checkpoint, json }: KernelsFlags,
  services: Services,
): Promise<number> {
  const located = locateRun(run, 'show the kernels of');
  const { folder } = located;
  const config = savedConfig(located, services);
  const note = (text: string) => services.stderr.write(`${text}\n`);
  const { files, used } = runWeights(config, folder, { checkpoint, note });
  const first = firstLayerOf(buildNet(config.net), files);
  const picture = out ?? join(folder, 'kernels.png');
  await writePng(kernelPicture(first), picture);
  const report = { ...reportOf(first, folder, picture), ...used };
  writeReport(report, join(folder, 'kernels.json'));
  for (const line of json ? [JSON.stringify(report)] : linesOf(report)) services.stdout.write(`${line}\n`);
  return 0;
}

function reportOf(first: FirstLayer, run: string, picture: string): Report {
  const { layer, channels, towers } = first;
  return {
    ...{ run, layer, channels, picture },
    towers: towers.map((kernels) => ({ tower: kernels.tower, ...towerEnergy(kernels, channels) })),
  };
}

function writeReport(report: Report, file: string): void {
  try {
    writeNoFollow(file, `${jsonText(report, 2)}\n`);
  } catch (error) {
    throw new CheckpointError(`Cannot write ${file}: ${(error as Error).message}; make room`, file);
  }
}

function linesOf({ layer, channels, picture, towers, ...used }: Report): string[] {
  const of = usedText(used);
  return [
    ...table(
      ['tower', 'kernels', 'grey energy', 'colour energy', 'colour share', 'mostly colour'],
      towers.map(({ tower, kernels, grey, colour, colourShare, mostlyColour }) => [
        String(tower),
        kernels,
        grey.toPrecision(4),
        colour.toPrecision(4),
        colourShare.toFixed(3),
        mostlyColour,
      ]),
    ),
    ...(channels === 1 ? ['the net reads grey images: its kernels have no colour'] : []),
    `${layer} as a picture, tower 0 above tower 1${of && `, ${of}`}: ${picture}`,
  ];
}
