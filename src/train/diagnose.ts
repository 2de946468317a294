/** Where numbers stopped being numbers: the step once more, in one piece, with every activation kept. */
import type { Config } from '../config/config.js';
import type { BatchFeeder } from '../data/index.js';
import { NonFiniteError } from '../errors.js';
import { volume } from '../model/net.js';
import { learningRateIn, type ScheduleState } from '../optim/schedule.js';
import type { TensorInfo } from '../tower/protocol.js';
import { lowerRate } from './advice.js';
import { epochOfStep } from './loop.js';
import { openTeam, type Team } from './team.js';

const FLOAT_BYTES = 4;

/** Names that the sentence has; the log has all. */
const MOST_NAMED = 3;

/**
 * The error with the images of its batch, and with the first layer that has a value that is not finite, where that can be
 * found: in its weights, or else in what it makes of the batch. What else goes wrong here is not told; the error is the
 * news. It ends with what to type for a lower rate.
 * @param state of the run's schedule.
 */
export async function diagnose(
  error: NonFiniteError,
  team: Team,
  feeder: BatchFeeder,
  config: Config,
  state: ScheduleState = {},
): Promise<NonFiniteError> {
  const { message, step } = error;
  const isLoss = message.includes('the loss'); // a gradient names its layer
  const found = isLoss ? await firstBad(step, team, feeder, config).catch(() => undefined) : undefined;
  const place = found === undefined ? '' : `first in ${found}, `;
  const images = imagesOf(feeder, step);
  const whole = message.replace('expected a number', `${place}expected a number`);
  const batch = images.length > 0 ? [batchOf(images)] : [];
  return new NonFiniteError([whole, ...batch, ...adviceOf(step, feeder, config, state)].join('; '), step, images);
}

/** What to type, where the checkpoints can be looked at. */
function adviceOf(step: number, feeder: BatchFeeder, config: Config, state: ScheduleState): string[] {
  try {
    return [lowerRate(config, learningRateIn(epochOfStep(step, feeder), config.optimizer, state), step)];
  } catch {
    return [];
  }
}

/** None where they cannot be made out. */
function imagesOf(feeder: BatchFeeder, step: number): readonly string[] {
  try {
    return feeder.imagesOf(step);
  } catch {
    return [];
  }
}

function batchOf(images: readonly string[]): string {
  const named = images.slice(0, MOST_NAMED).join(', ');
  const more = images.length > MOST_NAMED ? ` and ${images.length - MOST_NAMED} more, which the log names` : '';
  return `its batch has the training images ${named}${more}`;
}

async function firstBad(step: number, team: Team, feeder: BatchFeeder, config: Config): Promise<string | undefined> {
  const whole = await openTeam({ ...config, placement: 'single', compile: 'off', weights: null }, feeder.slots);
  try {
    const target = whole.towers[0]!;
    for (const tower of team.towers) {
      const parameters = (await tower.ask({ kind: 'list' })).filter(({ kind }) => kind === 'parameter');
      for (const info of parameters) {
        const memory = await fetch(tower, info);
        if (!hasNumbers(memory)) return `the weights ${info.name}`;
        await target.ask({ kind: 'put', name: info.name }, memory);
      }
    }
    const { slot, count, epoch } = await feeder.train(step);
    const options = { learningRate: 0, epoch: epoch + 1, update: false, keep: true, tolerant: true };
    await whole.ask({ kind: 'step', slot, count, step, ...options });
    for (const info of await target.ask({ kind: 'list' })) {
      if (info.kind !== 'activation') continue;
      if (!hasNumbers(await fetch(target, info))) return `the activation of ${info.layer}`;
    }
    return undefined;
  } finally {
    await whole.close();
  }
}

async function fetch(tower: Team['towers'][number], { kind, name, shape }: TensorInfo): Promise<SharedArrayBuffer> {
  const memory = new SharedArrayBuffer(FLOAT_BYTES * volume(shape));
  await tower.ask({ kind: 'fetch', what: kind, name }, memory);
  return memory;
}

function hasNumbers(memory: SharedArrayBuffer): boolean {
  return new Float32Array(memory).every(Number.isFinite);
}
