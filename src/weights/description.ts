/** A net's layers in words that PyTorch's modules have; `docs/pytorch/alexnet_split.py` builds the net from them. */
import { type Net, type PlacedLayer, padding } from '../model/net.js';
import { groupsOf } from './portable.js';

/** What a file of joined tensors says of itself, under `alexnet_split` of its metadata. */
export interface Description {
  /** Of this description; a reader refuses what it does not know. */
  version: 1;
  /** The run's settings that make the same net of the same images. */
  settings: Readonly<Record<string, unknown>>;
  /** Height and width of the input, and its channels. */
  input: readonly [number, number];
  layers: readonly Readonly<Record<string, unknown>>[];
  /** Names of the classes by label, of a run that has them. */
  classes?: readonly string[];
  /** What was computed of the training images, but for their mean, which is the tensor {@link MEAN_IMAGE}. */
  statistics?: Readonly<Record<string, unknown>>;
}

/** What a run knows of its images besides its settings. */
export interface ImageKnowledge {
  classes?: readonly string[] | undefined;
  statistics?: ImageStatistics | undefined;
}

/** Computed of all training images; more may be in it, and is passed on as it is. */
export interface ImageStatistics {
  resize: number;
  channels: number;
  /** [resize, resize, channels], grey levels. */
  mean: Float32Array;
}

/** The tensor that is no parameter: the mean image [channels, resize, resize], as PyTorch lays images out. */
export const MEAN_IMAGE = 'mean_image';

/** Key of the description in a file's metadata. */
export const DESCRIPTION = 'alexnet_split';

/** Describes the net. @param settings what a run needs besides, to be kept with it. */
export function describe(
  net: Net,
  settings: Readonly<Record<string, unknown>>,
  { classes, statistics }: ImageKnowledge = {},
): Description {
  const layers = net.layers.map((layer) => describeLayer(net, layer));
  const { mean: _, ...rest } = statistics ?? {};
  return {
    ...{ version: 1, settings, input: [net.options.inputSize, net.options.inputChannels], layers },
    ...(classes && { classes }),
    ...(statistics && { statistics: rest }),
  };
}

function describeLayer(net: Net, layer: PlacedLayer): Record<string, unknown> {
  switch (layer.kind) {
    case 'conv': {
      const { kind, name, stride } = layer;
      return { kind, name, stride, padding: padding(layer, layer.input[0]), groups: groupsOf(net, layer) };
    }
    case 'dense':
      return { kind: layer.kind, name: layer.name, groups: groupsOf(net, layer) };
    case 'pool': {
      const { kind, op, size, stride } = layer;
      return { kind, op, size, stride };
    }
    case 'activation':
      return { kind: layer.kind, function: layer.function };
    case 'norm': {
      const { kind, radius, alpha, beta, k } = layer;
      return { kind, size: 2 * radius + 1, alpha, beta, k, groups: layer.towers.length };
    }
    case 'mapNorm': {
      const { kind, size, alpha, beta, k } = layer;
      return { kind, size, alpha, beta, k };
    }
    case 'dropout':
      return { kind: layer.kind, keep: layer.keep, scale: layer.scale };
  }
}
