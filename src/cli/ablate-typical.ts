/** How much differences vary between seeds, before an ablation has measured it: as in an earlier one of the same kind. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { valueAt } from '../config/layers.js';
import { ABLATION_JSON, readAblation } from './ablation.js';
import { statisticsOf } from './ablation-statistics.js';

/** Ablations that differ in these have other images or another net, so their seeds say little about each other. */
const SAME = ['preset', 'net', 'data.source', 'data.limit', 'data.valShare', 'epochs', 'steps'];
/** So many are read at most, the newest first. */
const MOST_READ = 20;

export interface Typical {
  /** Standard deviation of the differences of top-1 errors between seeds, a share of images. */
  sd: number;
  /** The ablation that measured it. */
  folder: string;
}

/**
 * The newest ablation in the folder of the runs that had two seeds and the same images, net and length.
 * @param out the folder. @param settings of the ablation that is to begin. @returns undefined if there is none that can be read.
 */
export function typicalDeviationIn(out: string, settings: Readonly<Record<string, unknown>>): Typical | undefined {
  const own = keyOf(settings);
  for (const folder of newestFirst(out).slice(0, MOST_READ)) {
    try {
      const { settings: theirs, rows } = readAblation(folder, 'read', '');
      const { sensitivity } = statisticsOf(rows);
      if (sensitivity && keyOf(theirs) === own) return { sd: sensitivity.sd, folder };
    } catch {
      // It is not needed: the estimate is then made without it.
    }
  }
  return undefined;
}

function keyOf(settings: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(SAME.map((path) => valueAt(settings, path.split('.')) ?? null));
}

function newestFirst(out: string): string[] {
  try {
    return readdirSync(out)
      .flatMap((name) => {
        const folder = join(out, name);
        const stat = statSync(join(folder, ABLATION_JSON), { throwIfNoEntry: false });
        return stat ? [{ folder, time: stat.mtimeMs }] : [];
      })
      .sort((a, b) => b.time - a.time)
      .map(({ folder }) => folder);
  } catch {
    return []; // no folder of runs yet, or one that may not be read
  }
}
