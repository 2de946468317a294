/** Where values stopped being finite: runs the failed step again on one device, with every activation kept. */
import type { Config } from '../config/config.js';
import type { BatchFeeder } from '../data/index.js';
import { NonFiniteError } from '../errors.js';
import { learningRateAt, type ScheduleState } from '../optim/schedule.js';
import { FINITE_LOSS } from '../tower/protocol.js';
import { lowerRate } from './branch.js';
import { stepsOf } from './progress.js';
import { openTeam, referenceOf, type Team } from './team.js';
import { fetchTensor } from './tower-tensors.js';
import type { TrainUi } from './train-ui.js';

/** The message names this many images; the log names all. */
const MAX_NAMED = 3;

/**
 * The error with the images of its batch, the first layer with a value that is not finite (in its weights, or in what it
 * computes from the batch), and the flags for a lower learning rate. Whatever cannot be found is left out: a failure here
 * must not hide the error.
 * @param schedule the run's state of it. @param advice see `TrainUi.lowerRate`.
 */
export async function diagnose(
  { message, step }: NonFiniteError,
  team: Team,
  feeder: BatchFeeder,
  config: Config,
  schedule: ScheduleState = {},
  advice: TrainUi['lowerRate'] = (...found) => lowerRate(config, ...found),
): Promise<NonFiniteError> {
  const isLoss = message.includes(FINITE_LOSS); // the message about a gradient names its layer already
  const found = isLoss ? await firstNonFinite(step, team, feeder, config).catch(() => undefined) : undefined;
  const place = found === undefined ? '' : `first in ${found}, `;
  const images = orElse([], () => feeder.imagesOf(step));
  const parts = [
    message.replace(FINITE_LOSS, (end) => place + end),
    ...(images.length > 0 ? [describeBatch(images)] : []),
    ...orElse([], () => {
      const { batchesPerEpoch } = feeder;
      const moment = { step, steps: stepsOf(config, batchesPerEpoch), batchesPerEpoch };
      const rate = learningRateAt(moment, config.optimizer, schedule);
      return [advice(rate, step)];
    }),
  ];
  return new NonFiniteError(parts.join('; '), step, images);
}

function orElse<T>(fallback: T, action: () => T): T {
  try {
    return action();
  } catch {
    return fallback;
  }
}

function describeBatch(images: readonly string[]): string {
  const named = images.slice(0, MAX_NAMED).join(', ');
  const more = images.length > MAX_NAMED ? ` and ${images.length - MAX_NAMED} more, which the log names` : '';
  return `its batch has the training images ${named}${more}`;
}

async function firstNonFinite(
  step: number,
  team: Team,
  feeder: BatchFeeder,
  config: Config,
): Promise<string | undefined> {
  const whole = await openTeam({ ...referenceOf(config), compile: 'off', weights: null }, feeder);
  try {
    const target = whole.towers[0]!;
    for (const tower of team.first) {
      const parameters = (await tower.ask({ kind: 'list' })).filter(({ kind }) => kind === 'parameter');
      for (const info of parameters) {
        const values = await fetchTensor(tower, info);
        if (!values.every(Number.isFinite)) return `the weights ${info.name}`;
        await target.ask({ kind: 'put', name: info.name }, values.buffer);
      }
    }
    const { slot, count, epoch } = await feeder.train(step);
    const options = { learningRate: 0, epoch: epoch + 1, update: false, keep: true, tolerant: true };
    await whole.ask({ kind: 'step', slot, count, step, ...options });
    for (const info of await target.ask({ kind: 'list' })) {
      if (info.kind !== 'activation') continue;
      if (!(await fetchTensor(target, info)).every(Number.isFinite)) return `the activation of ${info.layer}`;
    }
    return undefined;
  } finally {
    await whole.close();
  }
}
