/** Evaluation on the test images: of a net in training, and of a finished run, which training images may measure too. */
import { checkTensors } from '../checkpoint/weights-files.js';
import type { Config } from '../config/config.js';
import { type BatchFeeder, slotViews } from '../data/index.js';
import { DataError } from '../errors.js';
import type { EventOf } from '../log.js';
import { buildNet, type NetOptions, parametersOf } from '../model/net.js';
import { count as counted, sumOf } from '../numbers.js';
import { imagesOf } from '../tower/replica.js';
import { countRight } from '../tower/step-results.js';
import { openFeed, type TestOn } from './feed.js';
import { knownLevels } from './levels.js';
import type { Busy } from './progress.js';
import { checkClasses, runStatistics } from './run-data.js';
import { memory } from './run-events.js';
import { runWeights, type UsedWeights, type WeightsOptions } from './run-weights.js';
import { openTeam, type Team } from './team.js';
import { GracePeriod, stoppable, untilStopped } from './waiting.js';

export interface Scores {
  images: number;
  loss: number;
  /** Share of images whose class has the highest score (`top1`), or one of the five highest (`top5`). */
  top1: number;
  top5: number;
}

const VIEWS = 10;

export interface EvaluateOptions extends WeightsOptions {
  /** Averages over ten views of each image, instead of taking its centre. */
  tenView?: boolean;
  /**
   * `train`: on training images, prepared as test images are: all of them, or as many as there are test images, the same ones
   * for every seed.
   */
  on?: TestOn;
  busy?: Busy;
}

/**
 * Evaluates a run's weights. The weights of a split run can be evaluated on one device, and the other way round.
 * @throws ConfigError for ten views of images no larger than the window, or if the checkpoint does not exist;
 * CheckpointError if there are no weights, or they belong to another net; DataError for the images.
 */
export async function evaluateRun(
  config: Config,
  folder: string,
  { tenView = false, on: testOn = 'test', note, checkpoint, busy }: EvaluateOptions = {},
): Promise<Scores & UsedWeights> {
  const { files, used, home } = runWeights(config, folder, { checkpoint, note });
  checkTensors(files, parametersOf(buildNet(config.net)));
  const statistics = runStatistics(home, config);
  busy?.('reading the data set');
  const { dataset, feeder } = await openFeed(
    { ...config, data: knownLevels(config, home) },
    { note, statistics, views: tenView ? VIEWS : 1, testOn },
  );
  try {
    checkClasses(home, dataset);
    busy?.(`opening ${config.devices.join(' and ')}`);
    const team = await openTeam({ ...config, weights: null }, feeder);
    try {
      await team.ask({ kind: 'load', files });
      const scores = await (tenView
        ? evaluateViews(team, feeder, config.net, busy)
        : evaluate(team, feeder, 1, { busy }));
      return { ...scores, ...used };
    } finally {
      await team.close();
    }
  } finally {
    await feeder.close();
  }
}

/**
 * Evaluates all test images by their centre.
 * @param step the training step that the exchange's messages carry.
 * @param options `signal` ends the evaluation early; `grace`: how long to wait for a batch after that. A training passes its
 * own, which knows how long compiling took. `onWait` receives how long the towers waited for each batch.
 * @throws Stopped if the towers are not done in time after the signal; DataError if no image can be read.
 */
export async function evaluate(
  team: Team,
  feeder: BatchFeeder,
  step: number,
  {
    signal = new AbortController().signal,
    grace = new GracePeriod(),
    busy,
    onWait,
  }: { signal?: AbortSignal; grace?: GracePeriod; busy?: Busy | undefined; onWait?: (ms: number) => void } = {},
): Promise<Scores> {
  const sums = { images: 0, loss: 0, top1: 0, top5: 0 };
  let i = 0;
  busy?.(() => evaluating(i, feeder));
  for (; i < feeder.testBatches && !signal.aborted; i++) {
    const asked = performance.now();
    const batch = await untilStopped(feeder.test(i), signal);
    if (!batch) break;
    onWait?.(performance.now() - asked);
    const { slot, count } = batch;
    // A batch is empty if none of its images can be read.
    if (count > 0) {
      const command = { kind: 'evaluate', slot, count, step, staged: team.stage(batch) } as const;
      const replies = await grace.wait(team.ask(command), signal);
      sums.images += count;
      for (const key of ['loss', 'top1', 'top5'] as const) sums[key] += sumOf(replies, (each) => each[key] ?? 0);
    }
    feeder.release(batch); // not after a failure or a stop: the towers may still read the slot
  }
  return signal.aborted && sums.images === 0 ? sums : meanOf(sums, feeder);
}

/**
 * Evaluates all test images by the mean probabilities of ten views each (paper §4.1).
 * @param feeder opened with ten views.
 * @returns the loss is the cross-entropy of the mean probabilities.
 * @throws DataError if no image can be read, or if an image can be read for one view and not for another.
 */
export async function evaluateViews(
  team: Team,
  feeder: BatchFeeder,
  { classes }: Pick<NetOptions, 'classes'>,
  busy?: Busy,
): Promise<Scores> {
  const { setup } = team.towers[0]!;
  const batchSize = setup.batchSize * setup.replica.count;
  const memory = new SharedArrayBuffer(4 * batchSize * classes);
  const sums = { images: 0, loss: 0, top1: 0, top5: 0 };
  let i = 0;
  busy?.(() => evaluating(i, feeder));
  for (; i < feeder.testBatches; i++) {
    let mean = new Float64Array(0);
    let labels = new Int32Array(0);
    for (let view = 0; view < VIEWS; view++) {
      const batch = await feeder.test(i, view);
      const { slot, count } = batch;
      if (view === 0) {
        mean = new Float64Array(count * classes);
        labels = slotViews(feeder.slots[slot]!, feeder.layout).labels.slice(0, count);
      }
      // Otherwise the rows of one view would be added to those of other images.
      if (count !== labels.length) {
        throw new DataError(
          `Cannot evaluate: some images of test batch ${i} could be read for one view and not for another, expected files that do not change; run it again`,
        );
      }
      if (count > 0) {
        await team.ask({ kind: 'evaluate', slot, count, step: 1, staged: team.stage(batch) }, memory);
        addProbabilities(mean, new Float32Array(memory, 0, count * classes), classes, 1 / VIEWS);
      }
      feeder.release(batch); // not after a failure: a tower may still read the slot
    }
    sums.images += labels.length;
    sums.loss += labels.reduce((sum, label, row) => sum - Math.log(mean[row * classes + label]!), 0);
    sums.top1 += countRight(mean, labels, 1);
    sums.top5 += countRight(mean, labels, 5);
  }
  return meanOf(sums, feeder);
}

function evaluating(done: number, { testBatches }: BatchFeeder): string {
  return `evaluating: ${counted(done)} of ${counted(testBatches)} batches of images`;
}

/** Divides sums over the images by their number. @throws DataError if there are none. */
function meanOf({ images, loss, top1, top5 }: Scores, { unreadable }: Pick<BatchFeeder, 'unreadable'>): Scores {
  if (images > 0) return { images, loss: loss / images, top1: top1 / images, top5: top5 / images };
  const last = unreadable.at(-1);
  const example = last ? ` (${last.path}: ${last.reason})` : '';
  throw new DataError(
    `Cannot evaluate: none of the images can be read${example}, expected at least one; \`data check\` lists the reasons`,
  );
}

/** Adds the softmax of each row of `logits`, times `weight`, to `sums`; both are [B, K], row-major. */
export function addProbabilities(sums: Float64Array, logits: Float32Array, classes: number, weight = 1): void {
  for (let row = 0; row < logits.length; row += classes) {
    const scores = logits.subarray(row, row + classes);
    const highest = scores.reduce((most, score) => Math.max(most, score), Number.NEGATIVE_INFINITY);
    let total = 0;
    for (const score of scores) total += Math.exp(score - highest);
    for (let k = 0; k < classes; k++) sums[row + k]! += (weight * Math.exp(scores[k]! - highest)) / total;
  }
}

/**
 * Measures the activations of every layer on the feeder's sample of test images, the same images each time, and the memory.
 * @param step the last step that was done; 0 before the first.
 * @returns the events `activations` and `memory`; none if the run is stopped before the batch is there, or if none of its
 * images can be read.
 * @throws Stopped if the towers are not done `graceMs` after the signal.
 */
export async function measureActivations(
  team: Team,
  feeder: BatchFeeder,
  step: number,
  signal: AbortSignal,
  graceMs: number,
): Promise<(EventOf<'activations'> | EventOf<'memory'>)[]> {
  const batch = await untilStopped(feeder.sample(), signal);
  if (!batch || batch.count === 0) return [];
  const { slot, count } = batch;
  const replies = await stoppable(team.ask({ kind: 'measure', slot, count, step }), signal, graceMs);
  const all = replies.flatMap(({ layers }) => layers);
  const names = [...new Set(all.map(({ layer }) => layer))];
  const layers = names.flatMap((name) => all.filter(({ layer }) => layer === name));
  const images = imagesOf(team.towers[0]!.setup, { count });
  return [{ event: 'activations', step, images, layers }, memory(step, replies)];
}
