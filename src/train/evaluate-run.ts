/** A finished run's weights on the test images. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isWeightsName } from '../checkpoint/format.js';
import type { Config } from '../config/config.js';
import { CheckpointError } from '../errors.js';
import { evaluate, type Scores } from './evaluate.js';
import { openFeed } from './feed.js';
import { checkClasses, runStatistics } from './run-data.js';
import { openTeam } from './team.js';

/**
 * Evaluates the weights in a run's folder. A split run's can be evaluated on one device, and the other way round.
 * @param note takes a sentence: what takes long, which image is skipped.
 * @throws CheckpointError when there are none or they are another net's; DataError for the images.
 */
export async function evaluateRun(config: Config, folder: string, note?: (text: string) => void): Promise<Scores> {
  const files = readdirSync(folder)
    .filter(isWeightsName)
    .sort()
    .map((name) => join(folder, name));
  if (files.length === 0) {
    throw new CheckpointError(
      `Cannot evaluate ${folder}: it has no weights, expected tower-*.safetensors; a run saves them when it ends`,
      folder,
    );
  }
  const { dataset, feeder } = await openFeed(config, { note, statistics: runStatistics(folder, config) });
  try {
    checkClasses(folder, dataset);
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
