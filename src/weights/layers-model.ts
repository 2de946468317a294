/**
 * A net as a tfjs LayersModel, from images [B, S, S, C] to logits [B, K]. The towers are two branches; a concatenation
 * joins them where a layer reads both.
 */
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import tf = require('@tensorflow/tfjs');

import type { Tensors } from '../checkpoint/safetensors.js';
import { withTensors } from '../checkpoint/weights-files.js';
import { CheckpointError } from '../errors.js';
import {
  isWeighted,
  type Net,
  type PlacedLayer,
  padding,
  parametersOf,
  type TowerIndex,
  type WeightedLayer,
} from '../model/net.js';
import { layerName } from '../model/summary.js';
import { replaceFolder } from '../safe-write.js';
import { type Exported, exported, makeExportFolder, refuseExisting } from './export.js';

const FILES = ['model.json', 'weights.bin'];

type Symbolic = tf.SymbolicTensor;

/**
 * Writes a folder that `tf.loadLayersModel` reads: `model.json` and `weights.bin`. Writes into a temporary folder, which is
 * renamed: neither a failure nor a kill loses the earlier export.
 * @param files the weights of one run, of either placement.
 * @param options `force` replaces a folder that an earlier export wrote.
 * @throws CheckpointError if tfjs lacks one of the net's layers, the files are of another net, the folder exists, or the
 * write fails.
 */
export async function exportLayersModel(
  net: Net,
  files: readonly string[],
  folder: string,
  { force = false }: { force?: boolean } = {},
): Promise<Exported> {
  if (!force || !isExport(folder)) refuseExisting(folder, force && `a folder with ${FILES.join(' and ')} alone`);
  refuseInexpressible(net, folder);
  makeExportFolder(folder);
  const model = buildModel(net);
  const temporary = `${folder}.${process.pid}.partial`;
  try {
    withTensors(files, (source) => setWeights(model, net, source));
    const handler = tf.io.withSaveHandler(async ({ weightData, weightSpecs, ...rest }) => {
      const json = { ...rest, weightsManifest: [{ paths: ['weights.bin'], weights: weightSpecs }] };
      mkdirSync(temporary);
      writeFileSync(join(temporary, 'model.json'), JSON.stringify(json));
      writeFileSync(join(temporary, 'weights.bin'), new Uint8Array(weightData as ArrayBuffer));
      return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } };
    });
    await model.save(handler);
    replaceFolder(temporary, folder);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new CheckpointError(
      `Cannot write the model ${folder}: ${(error as Error).message}; free some space, or choose another --out`,
      folder,
    );
  } finally {
    model.dispose();
  }
  return exported(folder, parametersOf(net));
}

/** Whether a folder has the files of an export and nothing else. */
function isExport(folder: string): boolean {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return false;
  const names = readdirSync(folder);
  return names.includes('model.json') && names.every((name) => FILES.includes(name));
}

/** @throws CheckpointError that lists the layers that tfjs lacks. */
function refuseInexpressible(net: Net, folder: string): void {
  let last = 'the image';
  const found = net.layers.flatMap((layer) => {
    if ('name' in layer) last = layer.name;
    return layer.kind === 'norm' || layer.kind === 'mapNorm' ? [`${layer.kind} after ${last}`] : [];
  });
  if (found.length === 0) return;
  throw new CheckpointError(
    `Cannot export the net ${net.options.table} as a LayersModel: tfjs has no layer for response normalization, and the net has ${found.join(', ')}; export it with --format pytorch, or export a net without normalization`,
    folder,
  );
}

/** The model with weights of 0. */
function buildModel(net: Net): tf.LayersModel {
  const { inputSize, inputChannels, table } = net.options;
  const image = tf.input({ shape: [inputSize, inputSize, inputChannels], name: 'image' });
  let branches: Symbolic[] = [image, image];
  net.layers.forEach((layer, i) => {
    if (!isWeighted(layer)) {
      branches = branches.map((x) => apply(weightless(layer), x));
      return;
    }
    const isWhole = layer.reach === 'both' && i > 0 && branches.length > 1;
    const joined = isWhole ? (tf.layers.concatenate({ axis: -1 }).apply(branches) as Symbolic) : undefined;
    branches = layer.towers.map((tower) => weighted(layer, tower, joined ?? branches[tower] ?? branches[0]!));
  });
  const logits = branches.length === 1 ? branches[0]! : (tf.layers.concatenate().apply(branches) as Symbolic);
  return tf.model({ inputs: image, outputs: logits, name: table });
}

function weighted(layer: WeightedLayer, tower: TowerIndex, x: Symbolic): Symbolic {
  const common = { name: layerPath(layer.name, tower), kernelInitializer: 'zeros' as const };
  if (layer.kind === 'dense') {
    const input = x.rank === 2 ? x : apply(tf.layers.flatten(), x);
    return apply(tf.layers.dense({ ...common, units: layer.output[2] }), input);
  }
  const { size: kernelSize, stride: strides, output } = layer;
  const [before, after] = padding(layer, layer.input[0]);
  const around: [number, number] = [before, after];
  const input = before + after > 0 ? apply(tf.layers.zeroPadding2d({ padding: [around, around] }), x) : x;
  return apply(tf.layers.conv2d({ ...common, filters: output[2], kernelSize, strides, padding: 'valid' }), input);
}

function weightless(layer: Exclude<PlacedLayer, WeightedLayer>) {
  switch (layer.kind) {
    case 'activation':
      return tf.layers.activation({ activation: layer.function });
    case 'pool': {
      const options = { poolSize: layer.size, strides: layer.stride, padding: 'valid' } as const;
      return layer.op === 'max' ? tf.layers.maxPooling2d(options) : tf.layers.averagePooling2d(options);
    }
    case 'dropout':
      return tf.layers.dropout({ rate: 1 - layer.keep });
    default:
      throw new Error(`tfjs has no ${layerName(layer)}`); // refused before
  }
}

/**
 * In training, tfjs's dropout divides by the kept share. A net that multiplies at test time instead gets the same results
 * if the next kernel is multiplied by that share; in every table a kernel follows a dropout.
 */
function setWeights(model: tf.LayersModel, net: Net, source: Tensors): void {
  const parameters = parametersOf(net);
  for (const [i, layer] of net.layers.entries()) {
    if (!isWeighted(layer)) continue;
    const before = net.layers[i - 1];
    const scale = before?.kind === 'dropout' && before.scale === 'test' ? before.keep : 1;
    for (const tower of layer.towers) {
      const tensors = (['kernel', 'bias'] as const).map((role) => {
        const { name, shape } = parameters.find((p) => p.layer === layer.name && p.tower === tower && p.role === role)!;
        const values = source.read(name, shape);
        return tf.tensor(role === 'kernel' ? values.map((value) => value * scale) : values, [...shape]);
      });
      model.getLayer(layerPath(layer.name, tower)).setWeights(tensors);
      tf.dispose(tensors);
    }
  }
}

/** A layer's name in the model. It cannot contain a slash. */
function layerPath(layer: string, tower: TowerIndex): string {
  return `tower${tower}_${layer}`;
}

function apply(layer: { apply(x: Symbolic): unknown }, x: Symbolic): Symbolic {
  return layer.apply(x) as Symbolic;
}
