/** A checkpoint's run, by where it lies. */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Checkpoint, checkpointsFolder } from './store.js';

/**
 * The folder of the run that made a checkpoint: where the checkpoint lies in `checkpoints`, or a run's settings are beside
 * its folder. Undefined of one that was put elsewhere: what lies two folders above it may be anybody's.
 */
export function ownerOf({ folder }: Pick<Checkpoint, 'folder'>): string | undefined {
  const parent = dirname(resolve(folder));
  const owner = dirname(parent);
  return parent === checkpointsFolder(owner) || existsSync(join(owner, 'config.json')) ? owner : undefined;
}
