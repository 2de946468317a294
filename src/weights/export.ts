/** A run's weights as one file that PyTorch reads. */
import { existsSync } from 'node:fs';
import { writeTensors } from '../checkpoint/safetensors.js';
import { withTensors } from '../checkpoint/weights-files.js';
import { CheckpointError } from '../errors.js';
import { type Net, volume } from '../model/net.js';
import { DESCRIPTION, describe, type ImageKnowledge, MEAN_IMAGE } from './description.js';
import { channelsFirst, join, portablesOf } from './portable.js';

/** What was written. */
export interface Exported {
  file: string;
  tensors: number;
  /** Numbers in all of them. */
  values: number;
}

/**
 * Joins the towers' files into one: the tensors of {@link portablesOf}, and the net's description in the metadata.
 * @param files of one run, of either placement.
 * @param settings goes into the description.
 * @param images what the run knows of its images: goes there too, and the mean image becomes a tensor of its own.
 * @throws CheckpointError when the files are another net's, `file` is there already, or the disk does not take it.
 */
export function exportWeights(
  net: Net,
  files: readonly string[],
  file: string,
  settings: Readonly<Record<string, unknown>>,
  images: ImageKnowledge = {},
): Exported {
  refuseExisting(file);
  const portables = portablesOf(net);
  withTensors(files, (source) => {
    const metadata = { format: 'pt', [DESCRIPTION]: JSON.stringify(describe(net, settings, images)) };
    const { statistics } = images;
    const { resize = 0, channels = 0 } = statistics ?? {};
    const entries = statistics ? [...portables, { name: MEAN_IMAGE, shape: [channels, resize, resize] }] : portables;
    writeTensors(file, entries, metadata, ({ name }, bytes) => {
      const joined = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
      const portable = portables.find((each) => each.name === name);
      if (!portable) {
        joined.set(channelsFirst(statistics!.mean, channels));
        return;
      }
      for (const part of portable.parts) {
        join(portable, part, source.read(part.parameter.name, part.parameter.shape), joined);
      }
    });
  });
  const values = portables.reduce((sum, { shape }) => sum + volume(shape), 0);
  return { file, tensors: portables.length, values };
}

/** @throws CheckpointError when there is something under that name. */
export function refuseExisting(path: string): void {
  if (!existsSync(path)) return;
  throw new CheckpointError(`Cannot write ${path}: it is there already; choose another --out, or remove it`, path);
}
