/** The folder of shards while it is written: who may write there, and which packing it belongs to. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../../errors.js';
import { readJson } from '../../read-json.js';
import { assertFolderWritable, makeFolders } from '../../safe-write.js';
import type { FileDataset } from '../sets/dataset.js';
import { UNFINISHED, writeWhole } from '../statistics/cache.js';
import { DATASET_FILE, PLAN_FILE } from './packed-dataset.js';

/** `plan.json`: a hash of all that decides what the shards hold, and for sized shards the mean bytes of an image. */
export interface Plan {
  readonly plan: string;
  /** Measured on a sample when packing begins. It decides how many images a shard gets. */
  readonly imageBytes?: number;
}

/**
 * Checks that images can be packed into a folder, without changing it.
 * @throws DataError if they are packed already, or the folder holds other files or cannot be written to.
 */
export function tryPacking({ folder, train }: FileDataset, out: string): void {
  if (train.places) {
    throw new DataError(`Cannot pack ${folder}: its images are packed, expected a folder of files; name that folder`);
  }
  try {
    assertFolderWritable(out);
    if (existsSync(out)) refuseOtherFiles(out, readdirSync(out));
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(
      `Cannot pack into ${out}: ${(error as Error).message}, expected a folder that can be written to; choose another folder with --pack`,
      { cause: error },
    );
  }
}

const OWN_FILES = /^((train|val)-\d{6}\.(tar|json)|dataset\.json|plan\.json|statistics-\w+\.json|\..*\.unfinished)$/;

/** The plan is written first: without it, only its unfinished file may exist. */
function refuseOtherFiles(out: string, names: readonly string[]): void {
  const isPlanned = names.includes(PLAN_FILE);
  const other =
    names.find((name) => !OWN_FILES.test(name)) ??
    (!isPlanned && names.some((name) => !name.endsWith(UNFINISHED)) ? names[0] : undefined);
  if (other === undefined) return;
  throw new DataError(
    `Cannot pack into ${out}: it holds ${other}, expected a new folder, or one in which packing has started; choose another folder with --pack`,
  );
}

/** The plan that packing into the folder has begun with, if it has this hash. */
export function begunPlan(out: string, plan: string): Plan | undefined {
  try {
    const found = readJson(join(out, PLAN_FILE), { limit: 65_536 }) as { plan?: unknown; imageBytes?: unknown } | null;
    if (found?.plan !== plan) return undefined;
    const { imageBytes } = found;
    return { plan, ...(typeof imageBytes === 'number' && imageBytes > 0 && { imageBytes }) };
  } catch {
    return undefined; // there is none, or it is damaged: packing begins
  }
}

/** Creates the folder, and removes files of another plan. */
export function claimFolder(out: string, plan: Plan): void {
  makeFolders(out);
  const names = readdirSync(out);
  refuseOtherFiles(out, names);
  for (const name of names.filter((each) => each.endsWith(UNFINISHED))) rmSync(join(out, name));
  if (begunPlan(out, plan.plan)) return;
  // The data set goes first: without it, files that are left over do not count.
  for (const name of [DATASET_FILE, ...names]) if (name !== PLAN_FILE) rmSync(join(out, name), { force: true });
  writeWhole(out, PLAN_FILE, `${JSON.stringify(plan)}\n`);
}
