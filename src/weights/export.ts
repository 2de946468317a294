/** A run's weights as one safetensors file for PyTorch, with a description from which `docs/pytorch` builds the net. */
import { existsSync, statSync } from 'node:fs';
import { writeTensors } from '../checkpoint/safetensors.js';
import { withTensors } from '../checkpoint/weights-files.js';
import { CheckpointError } from '../errors.js';
import { type Net, type PlacedLayer, padding, volume } from '../model/net.js';
import { makeFolderOf } from '../safe-write.js';
import { modulesOf } from './names.js';
import { channelsFirst, groupsOf, join, portablesOf } from './portable.js';

export type Exported = ReturnType<typeof exported>;

/** The result of an export; `values` is how many numbers all tensors have. */
export function exported(file: string, tensors: readonly { shape: readonly number[] }[]) {
  return { file, tensors: tensors.length, values: tensors.reduce((sum, { shape }) => sum + volume(shape), 0) };
}

/** What a run knows of its images besides its settings. */
export interface ImageKnowledge {
  classes?: readonly string[] | undefined;
  statistics?: ImageStatistics | undefined;
}

/** Statistics of all training images; further fields are copied as they are. */
interface ImageStatistics {
  resize: number;
  channels: number;
  /** [resize, resize, channels], grey levels. */
  mean: Float32Array;
}

/** The tensor that is not a parameter: the mean image [channels, resize, resize]. */
export const MEAN_IMAGE = 'mean_image';

export const DESCRIPTION = 'alexnet_split';

/**
 * Joins the towers' files into one file with the tensors of {@link portablesOf}, and the mean image if there is one. Those of
 * torchvision's net get its own names.
 * @param files the weights of one run, of either placement.
 * @param settings those that make the same net of the same images; they go into the description.
 * @param options `force` replaces a file that exists.
 * @throws CheckpointError if the files are of another net, `file` exists, or the write fails.
 */
export function exportWeights(
  net: Net,
  files: readonly string[],
  file: string,
  settings: Readonly<Record<string, unknown>>,
  { classes, statistics }: ImageKnowledge = {},
  { force = false }: { force?: boolean } = {},
): Exported {
  if (!force || !statSync(file, { throwIfNoEntry: false })?.isFile()) refuseExisting(file, force && 'a file');
  const modules = modulesOf(net);
  const portables = portablesOf(net).map((each) => {
    const module = modules?.get(each.layer) ?? each.layer;
    return { ...each, name: `${module}.${each.role === 'kernel' ? 'weight' : 'bias'}` };
  });
  const { mean, ...rest } = statistics ?? {};
  const description = {
    ...{ version: 1, settings, input: [net.options.inputSize, net.options.inputChannels] },
    layers: net.layers.map((layer) => describeLayer(net, layer)),
    ...(modules && { modules: Object.fromEntries(modules) }),
    ...(classes && { classes }),
    ...(statistics && { statistics: rest }),
  };
  const entries = [
    ...portables,
    ...(statistics ? [{ name: MEAN_IMAGE, shape: [statistics.channels, statistics.resize, statistics.resize] }] : []),
  ];
  const metadata = { format: 'pt', [DESCRIPTION]: JSON.stringify(description) };
  makeExportFolder(file);
  withTensors(files, (source) =>
    writeTensors(file, entries, metadata, ({ name }, bytes) => {
      const joined = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
      const portable = portables.find((each) => each.name === name);
      if (!portable) joined.set(channelsFirst(mean!, statistics!.channels));
      for (const part of portable?.parts ?? []) {
        join(portable!, part, source.read(part.parameter.name, part.parameter.shape), joined);
      }
    }),
  );
  return exported(file, portables);
}

/** Makes the folder in which an export goes. @throws CheckpointError if it cannot be made. */
export function makeExportFolder(path: string): void {
  try {
    makeFolderOf(path);
  } catch (error) {
    throw new CheckpointError(`Cannot write ${path}: ${(error as Error).message}; choose another --out`, path);
  }
}

/**
 * @param replaceable what `--force`, which was given, replaces.
 * @throws CheckpointError if there is a file or folder of that name.
 */
export function refuseExisting(path: string, replaceable: string | false = false): void {
  if (!existsSync(path)) return;
  const [why, next] = replaceable
    ? [`, and --force replaces only ${replaceable}`, '']
    : ['', ', or replace an earlier export with --force'];
  throw new CheckpointError(`Cannot write ${path}: it exists already${why}; choose another --out${next}`, path);
}

/** A layer in the words of PyTorch's modules. */
function describeLayer(net: Net, layer: PlacedLayer): Record<string, unknown> {
  const { kind } = layer;
  switch (kind) {
    case 'conv': {
      const { name, stride } = layer;
      return { kind, name, stride, padding: padding(layer, layer.input[0]), groups: groupsOf(net, layer) };
    }
    case 'dense':
      return { kind, name: layer.name, groups: groupsOf(net, layer) };
    case 'pool':
      return { kind, op: layer.op, size: layer.size, stride: layer.stride };
    case 'activation':
      return { kind, function: layer.function };
    case 'norm': {
      const { radius, alpha, beta, k, towers } = layer;
      return { kind, size: 2 * radius + 1, alpha, beta, k, groups: towers.length };
    }
    case 'mapNorm': {
      const { size, alpha, beta, k } = layer;
      return { kind, size, alpha, beta, k };
    }
    case 'dropout':
      return { kind, keep: layer.keep, scale: layer.scale };
  }
}
