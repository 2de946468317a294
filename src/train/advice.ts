/** What to type when a training needs a lower learning rate: a branch of an older checkpoint. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkpointFolder, checkpointsFolder, stepsIn } from '../checkpoint/store.js';
import type { Config } from '../config/config.js';
import { PRESETS } from '../config/presets.js';
import { shellWord } from '../printable.js';

/** As the authors of 2012 did by hand. */
const FACTOR = 10;
/** A name may have 200 characters. */
const MOST_OF_NAME = 180;

/**
 * The flags that go on with a tenth of the rate.
 * @param learningRate the present one.
 * @param healthy the last step at which nothing was wrong: the newest checkpoint up to there is taken. Undefined where that
 * is not known: the oldest.
 */
export function lowerRate(
  { out, run }: Pick<Config, 'out' | 'run'>,
  learningRate: number,
  healthy: number | undefined,
): string {
  const checkpoints = checkpointsFolder(join(out, run));
  const steps = stepsIn(checkpoints);
  const step = healthy === undefined ? steps[0] : steps.findLast((each) => each <= healthy);
  const flags = [
    ...(step === undefined ? [] : [`--resume ${shellWord(checkpointFolder(checkpoints, step))}`]),
    `--run ${shellWord(freeName(out, run))}`,
    ...(out === PRESETS.mini.out ? [] : [`--out ${shellWord(out)}`]),
    `--lr ${Number((learningRate / FACTOR).toPrecision(2))}`,
  ].join(' ');
  return step === undefined ? `begin anew, with ${flags} beside the other flags` : `go on with ${flags}`;
}

function freeName(out: string, run: string): string {
  const name = `${run.slice(0, MOST_OF_NAME)}-lower`;
  for (let number = 1; ; number++) {
    const next = number === 1 ? name : `${name}-${number}`;
    if (!existsSync(join(out, next))) return next;
  }
}
