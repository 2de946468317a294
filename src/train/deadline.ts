/** Waiting with an end. */
import { TowerError } from '../errors.js';
import { setRunningTimeout } from '../running-time.js';
import type { TowerClient } from '../tower/client.js';
import { placeOf } from '../tower/place.js';
import type { Command, Replies } from '../tower/protocol.js';
import { openingMs } from './first-use.js';

/**
 * Waits for `promise`, no longer than `ms` in which the process runs.
 * @throws what it throws; after `ms` the error that `late` makes.
 */
export async function inTime<T>(promise: Promise<T>, ms: number, late: () => Error): Promise<T> {
  let forget: (() => void) | undefined;
  const deadline = new Promise<never>((_, reject) => {
    forget = setRunningTimeout(ms, () => reject(late()));
  });
  promise.catch(() => {}); // nobody may hear of it any more
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    forget?.();
  }
}

/** How often the exchange's deadline a whole command, or a batch, may take: a step waits for its peer several times. */
export const ANSWER_FACTOR = 5;

/**
 * What the tower answers, in {@link ANSWER_FACTOR} times the exchange's deadline.
 * @throws what the tower throws; TowerError when it does not answer.
 */
export function answered<Kind extends Command['kind']>(
  tower: TowerClient,
  index: number,
  command: Extract<Command, { kind: Kind }>,
  memory: SharedArrayBuffer | undefined,
  exchangeTimeoutMs: number,
): Promise<Replies[Kind]> {
  const ms = Math.max(ANSWER_FACTOR * exchangeTimeoutMs, command.kind === 'open' ? openingMs(tower.setup.device) : 0);
  const late = () =>
    new TowerError(
      `Cannot go on: tower ${index} on ${tower.setup.device} has not answered for ${ms / 1000} s in ${placeOf(command)}, expected an answer within ${ANSWER_FACTOR} times exchangeTimeoutMs; go on from the last checkpoint with --resume, and with a larger exchangeTimeoutMs in the config if it was only slow`,
      index,
    );
  return inTime(tower.ask<Kind>(command, memory), ms, late);
}
