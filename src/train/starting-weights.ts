/** Where a training starts, when it is not from initial values. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { lastWeights } from '../checkpoint/choose.js';
import type { Config } from '../config/config.js';
import { CheckpointError } from '../errors.js';
import { buildNet, parametersOf, volume } from '../model/net.js';
import type { TowerClient } from '../tower/client.js';
import { openImport } from '../weights/import.js';

const FLOAT_BYTES = 4;

/**
 * Gives the towers the weights that the settings name: a run by its name or its path, which has a slash in it, a
 * checkpoint by its path, or a file of the whole net.
 * @throws CheckpointError when there are none, or they are another net's.
 */
export async function loadStartingWeights(
  towers: readonly TowerClient[],
  weights: string,
  { net, out = '.' }: Pick<Config, 'net'> & Partial<Pick<Config, 'out'>>,
): Promise<void> {
  const folder = /[/\\]/.test(weights) ? weights : join(out, weights);
  // A file by another name is no safetensors file, or is: it is read, and said what it is.
  const isFile =
    weights.endsWith('.safetensors') || (isPlainFile(weights) && !(existsSync(folder) && !isPlainFile(folder)));
  const path = isFile ? weights : folder;
  if (!existsSync(path)) {
    throw new CheckpointError(
      `Cannot start from the weights ${weights}: there is no ${path}, and a run needs them until its first checkpoint; bring them back, or choose others with --weights`,
      path,
    );
  }
  if (isFile) return putFile(towers, weights, net);
  const files = lastWeights(path);
  await Promise.all(towers.map((tower) => tower.ask({ kind: 'load', files })));
}

function isPlainFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

async function putFile(towers: readonly TowerClient[], file: string, options: Config['net']): Promise<void> {
  const net = buildNet(options);
  const source = openImport(file, net, 'rgb');
  try {
    for (const parameter of parametersOf(net)) {
      const { name, shape } = parameter;
      const memory = new SharedArrayBuffer(FLOAT_BYTES * volume(shape));
      source.read(parameter, new Float32Array(memory));
      const owners = towers.filter(({ setup: { part } }) => part === 'whole' || part === parameter.tower);
      await Promise.all(owners.map((owner) => owner.ask({ kind: 'put', name }, memory)));
    }
  } finally {
    source.close();
  }
}
