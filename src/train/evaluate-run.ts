/** A finished run's weights on the test images. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isWeightsName } from '../checkpoint/format.js';
import { checkpointsFolder, newestCheckpoint } from '../checkpoint/store.js';
import type { Config } from '../config/config.js';
import { CheckpointError } from '../errors.js';
import { evaluate, type Scores } from './evaluate.js';
import { openFeed } from './feed.js';
import { openTeam } from './team.js';

/**
 * Evaluates a run's weights: those of its newest whole checkpoint, or the files in its folder where it has none. A split
 * run's can be evaluated on one device, and the other way round.
 * @param told hears which checkpoints could not be used, and why.
 * @throws CheckpointError when there are none or they are another net's; DataError for the images.
 */
export async function evaluateRun(
  config: Config,
  folder: string,
  told: (line: string) => void = () => {},
): Promise<Scores> {
  const { found, skipped } = newestCheckpoint(checkpointsFolder(folder));
  for (const { folder: checkpoint, why } of skipped) told(`skipped the checkpoint ${checkpoint}: ${why}`);
  const files = found?.files ?? weightsIn(folder);
  if (files.length === 0) {
    throw new CheckpointError(
      `Cannot evaluate ${folder}: it has no weights, expected a whole checkpoint or tower-*.safetensors; a run saves them when it ends`,
      folder,
    );
  }
  const { feeder } = openFeed(config);
  try {
    const team = await openTeam(config, feeder.slots);
    try {
      await team.ask({ kind: 'load', files });
      return await evaluate(team, feeder, 1);
    } finally {
      await team.close();
    }
  } finally {
    await feeder.close();
  }
}

function weightsIn(folder: string): string[] {
  return readdirSync(folder)
    .filter(isWeightsName)
    .sort()
    .map((name) => join(folder, name));
}
