/** A finished run's weights on the test images. */
import { weightsIn } from '../checkpoint/files.js';
import type { Config } from '../config/config.js';
import { evaluate, type Scores } from './evaluate.js';
import { openFeed } from './feed.js';
import { openTeam } from './team.js';

/**
 * Evaluates the weights in a run's folder. A split run's can be evaluated on one device, and the other way round.
 * @throws CheckpointError when there are none or they are another net's; DataError for the images.
 */
export async function evaluateRun(config: Config, folder: string): Promise<Scores> {
  const files = weightsIn(folder);
  const { feeder } = openFeed(config);
  try {
    const team = await openTeam({ ...config, weights: null }, feeder.slots);
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
