/** Whether a run may go on from a checkpoint: what makes its numbers must be the same, and where it runs need not. */

import { hashOf, type RunState } from '../checkpoint/state.js';
import type { Checkpoint, Skipped } from '../checkpoint/store.js';
import type { Config } from '../config/config.js';
import { type Dataset, sameNames } from '../data/index.js';
import { ConfigError, cut, DataError } from '../errors.js';

/** What a run goes on from. */
export interface Resume {
  checkpoint: Checkpoint;
  /** Newer ones that could not be used. */
  skipped: readonly Skipped[];
}

/** The settings that a run's numbers depend on. Placement, devices, length and whatever only watches are not among them. */
function fixedOf(config: Record<string, unknown>): Record<string, unknown> {
  const { preset, net, optimizer, batchSize, seed } = config;
  const { source: _, workers: __, ...data } = (config.data ?? {}) as Record<string, unknown>;
  const { dtype } = (config.exchange ?? {}) as Record<string, unknown>;
  return { preset, net, optimizer, data, batchSize, seed, exchange: { dtype } };
}

/** The hash of those settings. */
export function configHash(config: Config): string {
  return hashOf(fixedOf({ ...config }));
}

/** @throws ConfigError that names the first setting that is another one, with both values. */
export function refuseOtherConfig({ checkpoint: { folder, state } }: Resume, config: Config): void {
  if (state.configHash === configHash(config)) return;
  const [there, now] = [leavesOf(fixedOf(state.config)), leavesOf(fixedOf({ ...config }))];
  const other = [...new Set([...there.keys(), ...now.keys()])].find((path) => there.get(path) !== now.get(path));
  if (other === undefined) return;
  const [theirs, mine] = [there, now].map((leaves) => cut(leaves.get(other) ?? 'not set'));
  throw new ConfigError(
    `Cannot resume from ${folder}: ${cut(other, 120)} is ${theirs} there, and ${mine} now; leave that setting out, or start a new run with another --run`,
  );
}

/** @throws DataError when the images are not those that the run has learnt from. */
export function refuseOtherData({ checkpoint: { folder, state } }: Resume, dataset: Dataset): void {
  const now = dataOf(dataset);
  const [theirs, mine] = [state.data, now.data].map(
    ({ trainImages, testImages }) => `${trainImages} training and ${testImages} test images`,
  );
  const why =
    theirs !== mine
      ? `it has learnt from ${theirs}, and here are ${mine}`
      : sameNames(state.classes, now.classes)
        ? undefined
        : `its classes are ${short(state.classes)}, and here they are ${short(now.classes)}`;
  if (why === undefined) return;
  throw new DataError(`Cannot resume from ${folder}: ${why}; name the same images with --data`);
}

/** What a checkpoint says of the images. */
export function dataOf({ name, train, test, classNames }: Dataset): Pick<RunState, 'data' | 'classes'> {
  return {
    data: { name, trainImages: train.count, testImages: test.count },
    classes: [...classNames],
  };
}

function leavesOf(value: unknown, path = ''): Map<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return value === undefined ? new Map() : new Map([[path, JSON.stringify(value)]]);
  }
  return new Map(
    Object.entries(value).flatMap(([key, each]) => [...leavesOf(each, path === '' ? key : `${path}.${key}`)]),
  );
}

function short(names: readonly string[]): string {
  const some = names.slice(0, 4).map((name) => cut(name));
  return names.length > 4 ? `${some.join(', ')}, … (${names.length})` : some.join(', ');
}
