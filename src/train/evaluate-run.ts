/** A finished run's weights on the test images. */
import { checkTensors, weightsIn } from '../checkpoint/files.js';
import type { Config } from '../config/config.js';
import { buildNet, parametersOf } from '../model/net.js';
import { evaluate, type Scores } from './evaluate.js';
import { openFeed } from './feed.js';
import { checkClasses, runStatistics } from './run-data.js';
import { openTeam } from './team.js';
import { evaluateViews } from './ten-view.js';

export interface EvaluateOptions {
  /** Whether the mean of ten views counts, in place of the middle. */
  tenView?: boolean;
  /** Takes a sentence: what takes long, which image is skipped. */
  note?: ((text: string) => void) | undefined;
}

/**
 * Evaluates the weights in a run's folder. A split run's can be evaluated on one device, and the other way round.
 * @throws ConfigError for ten views of images that are no larger than the window; CheckpointError when there are no
 * weights or they are another net's; DataError for the images.
 */
export async function evaluateRun(
  config: Config,
  folder: string,
  { tenView = false, note }: EvaluateOptions = {},
): Promise<Scores> {
  const files = weightsIn(folder, note);
  checkTensors(files, parametersOf(buildNet(config.net)));
  const statistics = runStatistics(folder, config);
  const { dataset, feeder } = await openFeed(config, { note, statistics, views: tenView ? 10 : 1 });
  try {
    checkClasses(folder, dataset);
    const team = await openTeam({ ...config, weights: null }, feeder.slots);
    try {
      await team.ask({ kind: 'load', files });
      return await (tenView ? evaluateViews(team, feeder, config.net) : evaluate(team, feeder, 1));
    } finally {
      await team.close();
    }
  } finally {
    await feeder.close();
  }
}
