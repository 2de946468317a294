/** A finished run's weights on the test images. */
import { checkTensors } from '../checkpoint/weights-files.js';
import type { Config } from '../config/config.js';
import { buildNet, parametersOf } from '../model/net.js';
import { evaluate, type Scores } from './evaluate.js';
import { openFeed } from './feed.js';
import { checkClasses, runStatistics } from './run-data.js';
import { runWeights, type UsedWeights, type WeightsOptions } from './run-weights.js';
import { openTeam } from './team.js';
import { evaluateViews } from './ten-view.js';

export interface EvaluateOptions extends WeightsOptions {
  /** Whether the mean of ten views counts, in place of the middle. */
  tenView?: boolean;
}

/**
 * Evaluates a run's weights. A split run's can be evaluated on one device, and the other way round.
 * @throws ConfigError for ten views of images that are no larger than the window, or a checkpoint that is not there;
 * CheckpointError when there are no weights or they are another net's; DataError for the images.
 */
export async function evaluateRun(
  config: Config,
  folder: string,
  { tenView = false, note, checkpoint }: EvaluateOptions = {},
): Promise<Scores & UsedWeights> {
  const { files, used, home } = runWeights(config, folder, { checkpoint, note });
  checkTensors(files, parametersOf(buildNet(config.net)));
  const statistics = runStatistics(home, config);
  const { dataset, feeder } = await openFeed(config, { note, statistics, views: tenView ? 10 : 1 });
  try {
    checkClasses(home, dataset);
    const team = await openTeam({ ...config, weights: null }, feeder.slots);
    try {
      await team.ask({ kind: 'load', files });
      const scores = await (tenView ? evaluateViews(team, feeder, config.net) : evaluate(team, feeder, 1));
      return { ...scores, ...used };
    } finally {
      await team.close();
    }
  } finally {
    await feeder.close();
  }
}
