/** The weights in a run's folder, once the run is over. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isWeightsName, weightsName } from '../checkpoint/weights-files.js';
import type { Config } from '../config/config.js';
import { CheckpointError } from '../errors.js';
import type { Team } from './team.js';

/**
 * Each tower writes its own file into the run's folder. Those of the other placement, of a run that went on with this one,
 * go once the new ones are whole: they are of an earlier step.
 * @param step after which they are.
 * @returns the folder.
 * @throws CheckpointError when the disk does not take them.
 */
export async function saveWeights(
  { out, run }: Pick<Config, 'out' | 'run'>,
  team: Team,
  step: number,
): Promise<string> {
  const folder = join(out, run);
  const { towers } = team;
  const names = towers.map((_, i) => weightsName(i, towers.length));
  try {
    mkdirSync(folder, { recursive: true });
    await Promise.all(towers.map((tower, i) => tower.ask({ kind: 'save', file: join(folder, names[i]!), step })));
    for (const name of readdirSync(folder)) {
      if (isWeightsName(name) && !names.includes(name)) rmSync(join(folder, name));
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new CheckpointError(
      `Cannot write the weights to ${folder}: ${(error as Error).message}; choose another folder with --out`,
      folder,
    );
  }
  return folder;
}
