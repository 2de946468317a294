/** The weights of a run that a command is to use, and the folder that knows how their images were prepared. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { chooseWeights } from '../checkpoint/choose.js';
import { runFolderOf } from '../checkpoint/store.js';
import type { Config } from '../config/config.js';
import { CheckpointError, truncate } from '../errors.js';
import { leavesOf } from './resume.js';

/** Which weights were used, for whoever reads the result. */
export interface UsedWeights {
  /** The last step before them; absent of weights that do not say, such as imported ones. */
  step?: number;
  /** The checkpoint's folder; absent of the weights in the run's own folder. */
  checkpoint?: string;
}

export interface RunWeights {
  /** The towers' files, tower 0's first. */
  files: readonly string[];
  used: UsedWeights;
  /** The run whose classes and statistics are theirs: another one's when the checkpoint is. */
  home: string;
}

/** Which weights, and who hears of those that could not be used. */
export interface WeightsOptions {
  /** `best`, `last`, a step, or a checkpoint's folder, which may be another run's; `last` without it. */
  checkpoint?: string | undefined;
  note?: ((text: string) => void) | undefined;
}

/**
 * Finds them.
 * @param config the run's settings, by which the weights are used.
 * @throws ConfigError when there is no such checkpoint; CheckpointError for one that is not whole, or of another run with
 * another net or other images; when there are no weights.
 */
export function runWeights(
  config: Pick<Config, 'net' | 'data'>,
  folder: string,
  { checkpoint: which, note }: WeightsOptions = {},
): RunWeights {
  const { files, step, checkpoint, state } = chooseWeights(folder, which, note);
  const used = { ...(step !== undefined && { step }), ...(checkpoint !== undefined && { checkpoint }) };
  const owner = checkpoint === undefined ? resolve(folder) : runFolderOf({ folder: checkpoint });
  if (checkpoint === undefined || !state || owner === resolve(folder)) return { files, used, home: folder };
  refuseOtherImages(checkpoint, state.config, config);
  return { files, used, home: owner !== undefined && existsSync(join(owner, 'config.json')) ? owner : folder };
}

/** Weights say nothing of images that were prepared in another way than those they have learnt from. */
function refuseOtherImages(
  checkpoint: string,
  theirs: Readonly<Record<string, unknown>>,
  mine: Pick<Config, 'net' | 'data'>,
): void {
  const [there, here] = [leavesOf(usedOf(theirs)), leavesOf(usedOf(mine))];
  const other = [...there.keys()].find((path) => here.has(path) && there.get(path) !== here.get(path));
  if (other === undefined) return;
  const [was, is] = [there, here].map((leaves) => truncate(leaves.get(other)!));
  throw new CheckpointError(
    `Cannot use the checkpoint ${checkpoint}: its ${truncate(other, 120)} is ${was}, and ${is} in the run; name with --run the run that it is of`,
    checkpoint,
  );
}

/** Settings that are the same wherever and for whatever the weights are used. */
function usedOf({ net, data }: { net?: unknown; data?: unknown }): Record<string, unknown> {
  const { resize, mean, meanImage, scale } = (data ?? {}) as Record<string, unknown>;
  return { net, data: { resize, mean, meanImage, scale } };
}

/** Which weights they are, for people; nothing of weights that do not say. */
export function usedText({ step }: UsedWeights): string {
  return step === undefined ? '' : `weights of step ${step}`;
}
