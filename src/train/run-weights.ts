/** A run's weights: which ones a command reads, and how a training saves them at its end. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { chooseWeights, type Weights } from '../checkpoint/choose.js';
import { runFolderOf } from '../checkpoint/store.js';
import { isWeightsName, weightsNames } from '../checkpoint/weights-files.js';
import type { Config } from '../config/config.js';
import { CheckpointError, truncate } from '../errors.js';
import { makeFolders } from '../safe-write.js';
import type { TowerClient } from '../tower/client.js';
import { differingSettings } from './resume.js';
import { onDisk } from './run-data.js';

/** Which weights were used, for whoever reads the result. */
export type UsedWeights = Pick<Weights, 'step' | 'checkpoint'>;

export interface RunWeights extends Pick<Weights, 'files'> {
  used: UsedWeights;
  /** The run whose classes and statistics belong to them: another run's if the checkpoint is another run's. */
  home: string;
}

export interface WeightsOptions {
  /** `best`, `last` (the default), a step, or a checkpoint's folder, which may belong to another run. */
  checkpoint?: string | undefined;
  /** Receives a sentence about each checkpoint that could not be used. */
  note?: ((text: string) => void) | undefined;
}

/**
 * Finds the weights that a command reads.
 * @throws as {@link chooseWeights}; CheckpointError if a checkpoint belongs to a run with another net or other images.
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
  // Weights mean nothing for images that were prepared in another way than their training images.
  const other = differingSettings(inferenceSettings(state.config), inferenceSettings(config)).find(
    ({ was, now }) => was !== undefined && now !== undefined,
  );
  if (other) {
    throw new CheckpointError(
      `Cannot use the checkpoint ${checkpoint}: its ${truncate(other.setting, 120)} is ${truncate(other.was!)}, but ${truncate(other.now!)} in the run; name the run that it belongs to with --run`,
      checkpoint,
    );
  }
  return { files, used, home: owner !== undefined && existsSync(join(owner, 'config.json')) ? owner : folder };
}

/** The settings that have to be the same wherever weights are used. */
function inferenceSettings({ net, data }: { net?: unknown; data?: unknown }): Record<string, unknown> {
  const { resize, mean, meanImage, scale } = (data ?? {}) as Record<string, unknown>;
  return { net, data: { resize, mean, meanImage, scale } };
}

/** A phrase for people; empty if the step of the weights is not known. */
export function usedText({ step }: UsedWeights): string {
  return step === undefined ? '' : `weights of step ${step}`;
}

/**
 * Has each tower write its file into the run's folder, and then removes those of another placement that the run had before.
 * @returns the folder. @throws CheckpointError if the disk refuses the files.
 */
export async function saveWeights(
  { out, run }: Pick<Config, 'out' | 'run'>,
  towers: readonly TowerClient[],
  step: number,
): Promise<string> {
  const folder = join(out, run);
  const names = weightsNames(towers.length);
  const what = 'write the weights to';
  onDisk(what, folder, () => makeFolders(folder));
  await Promise.all(towers.map((tower, i) => tower.ask({ kind: 'save', file: join(folder, names[i]!), step })));
  onDisk(what, folder, () => {
    const others = readdirSync(folder).filter((name) => isWeightsName(name) && !names.includes(name));
    for (const name of others) rmSync(join(folder, name));
  });
  return folder;
}
