/** Puts a report together. */
import { packageVersion } from '../config/version.js';
import { compareRuns } from './compare.js';
import { groupRuns, type Variant } from './groups.js';
import type { Report, RunReport } from './model.js';

/** @param variants of an ablation's runs. They are compared as groups, as three runs or more are. */
export function makeReport(runs: readonly RunReport[], variants: ReadonlyMap<RunReport, Variant> = new Map()): Report {
  const isMany = runs.length > 2 || variants.size > 0;
  const comparison = runs.length === 2 && !isMany ? compareRuns(runs[0]!, runs[1]!) : undefined;
  return {
    version: packageVersion(),
    runs,
    ...(comparison && { comparison }),
    ...(isMany && { groups: groupRuns(runs, variants) }),
  };
}
