/** The weights with which a training starts instead of initial values. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { chooseWeights } from '../checkpoint/choose.js';
import { withTensors } from '../checkpoint/weights-files.js';
import type { Config } from '../config/config.js';
import { nearRun } from '../config/near-run.js';
import { CheckpointError, ConfigError, truncate } from '../errors.js';
import { buildNet, headOf, type Net, parametersOf } from '../model/net.js';
import type { TowerClient } from '../tower/client.js';
import { openImport } from '../weights/import.js';
import { putParameter, tensorMemory } from './tower-tensors.js';

/** Where starting weights are: a file of the whole net, or the folder of a run or of a checkpoint. */
export interface WeightsPlace {
  path: string;
  isFile: boolean;
}

/**
 * Where weights are.
 * @param weights a run by its name or its path (which has a slash), a checkpoint by its path, or a file of the whole net.
 * @param out the folder of the runs.
 */
export function placeOfWeights(weights: string, out: string): WeightsPlace {
  const folder = /[/\\]/.test(weights) ? weights : join(out, weights);
  // A file without the suffix is read too, so that its error says what kind of file it is.
  const kindOf = (path: string) => statSync(path, { throwIfNoEntry: false });
  const isFile =
    weights.endsWith('.safetensors') || (kindOf(weights)?.isFile() === true && !kindOf(folder)?.isDirectory());
  return { path: isFile ? weights : folder, isFile };
}

/**
 * Gives the towers the weights with which a training starts. With `newHead` the last layer keeps its initial values.
 * Velocities are zero.
 * @param weights as in {@link placeOfWeights}.
 * @throws ConfigError if there are none; CheckpointError if they belong to another net.
 */
export async function loadStartingWeights(
  towers: readonly TowerClient[],
  weights: string,
  { net: options, newHead = false, out = '.' }: Pick<Config, 'net'> & Partial<Pick<Config, 'newHead' | 'out'>>,
): Promise<void> {
  refuseMissingWeights(weights, out);
  const { path, isFile } = placeOfWeights(weights, out);
  const net = buildNet(options);
  if (isFile) return loadWholeNet(towers, weights, net, !newHead);
  const files = chooseWeights(path).files;
  refuseOtherNet(files, weights, net, !newHead);
  await Promise.all(towers.map((tower) => tower.ask({ kind: 'load', files, withHead: !newHead })));
}

/** @param out the folder of the runs. @throws ConfigError with the nearest name if there are no such weights. */
export function refuseMissingWeights(weights: string, out: string): void {
  const { path, isFile } = placeOfWeights(weights, out);
  if (existsSync(path)) return;
  throw new ConfigError(
    `Cannot start from the weights ${weights}: ${path} does not exist${nearRun(weights, isFile ? '.' : out)}, expected the name or the path of a run, a checkpoint or a file; choose others with --weights`,
  );
}

async function loadWholeNet(towers: readonly TowerClient[], file: string, net: Net, withHead: boolean): Promise<void> {
  const head = headOf(net).name;
  const advice = `choose the net with --net, --width and --input-size${withHead ? `; --new-head draws ${head} anew for other classes` : ''}`;
  const source = openImport(file, net, 'rgb', { withHead, advice });
  try {
    for (const parameter of parametersOf(net).filter(({ isHead }) => withHead || !isHead)) {
      const memory = tensorMemory(parameter.shape);
      source.read(parameter, new Float32Array(memory));
      await putParameter(towers, parameter, memory);
    }
  } finally {
    source.close();
  }
}

/** @throws CheckpointError if the files are not of this net. It names `--new-head` if only the classes differ. */
function refuseOtherNet(files: readonly string[], weights: string, net: Net, withHead: boolean): void {
  const shapes = withTensors(files, ({ entries }) => new Map(entries.map(({ name, shape }) => [name, shape])));
  const wrong = parametersOf(net).filter(
    ({ name, shape, isHead }) => (withHead || !isHead) && String(shapes.get(name)) !== String(shape),
  );
  const [first] = wrong;
  if (!first) return;
  const there = shapes.get(first.name);
  const refuse = (why: string) => {
    throw new CheckpointError(`Cannot start from the weights ${weights}: ${why}`, files[0]!);
  };
  if (wrong.every(({ isHead }) => isHead) && there?.length === first.shape.length && there[0] === first.shape[0]) {
    refuse(
      `they are for ${there.at(-1)} classes, and this net has ${net.options.classes}; draw the last layer, ${first.layer}, anew with --new-head`,
    );
  }
  const found = there ? `has the shape [${truncate(String(there))}] there, and` : 'is missing there, and has the shape';
  refuse(
    `${first.name} ${found} [${first.shape}] in this net; choose the net of the weights with --net, --width and --input-size, or other --weights`,
  );
}
