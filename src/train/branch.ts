/** Branches: the flags that continue a run under another name, with other settings of the optimizer. */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { checkpointFolder, checkpointsFolder, stepsIn } from '../checkpoint/store.js';
import type { Config } from '../config/config.js';
import { FLAGS } from '../config/flags.js';
import { valueAt } from '../config/layers.js';
import { PRESETS } from '../config/presets.js';
import { scheduleText } from '../config/schedule-text.js';
import { scalingOf } from '../optim/schedule.js';
import { shellWord } from '../printable.js';

/**
 * The flags that continue from a checkpoint as a branch.
 * @param settings the paths of those that differ from the checkpoint's. What has no flag is in the user's file.
 * @param saved the checkpoint's settings: others that differ from them, such as the length, get their flags as well.
 */
export function branchFlags(
  folder: string,
  config: Config,
  settings: readonly string[],
  saved: Readonly<Record<string, unknown>> = {},
): string {
  const paths = new Set(settings.map((setting) => setting.replace(/(?<=\.schedule)\..*/, '')));
  const others = new Set(FLAGS.map(({ path }) => path).filter((path) => isAlsoChanged(path, saved, config)));
  const flags = FLAGS.flatMap(({ name, path, kind }) => {
    const value = valueAt(config, path.split('.'));
    if ((kind === 'on' || kind === 'off') && value !== (kind === 'on')) return [];
    if (!paths.delete(path) && !others.delete(path)) return [];
    if (kind === 'on' || kind === 'off') return [name];
    return [`${name} ${shellWord(kind === 'schedule' ? scheduleText(value) : String(value))}`];
  });
  const { out, run } = config;
  return [
    `--resume ${shellWord(folder)}`,
    `--run ${shellWord(freeName(out, run, 'branch'))}`,
    ...(out === PRESETS.mini.out ? [] : [`--out ${shellWord(out)}`]),
    ...flags,
    ...(paths.size > 0 ? ['--config FILE'] : []),
  ].join(' ');
}

/** Settings that a branch has of its own, or that a checkpoint stands for. */
const OWN = ['run', 'out', 'weights', 'newHead'];

function isAlsoChanged(path: string, saved: Readonly<Record<string, unknown>>, config: Config): boolean {
  const [was, now] = [saved, config].map((each) => valueAt(each, path.split('.')));
  // A length in steps is null beside one in epochs; a setting that is missing is of a later version.
  return was !== undefined && now !== null && JSON.stringify(was) !== JSON.stringify(now) && !OWN.includes(path);
}

/** The authors of 2012 divided the rate by ten, by hand (paper §5). */
const RATE_DIVISOR = 10;
/** A run's name may have 200 characters; a suffix has to fit. */
const MAX_NAME = 180;

/**
 * The flags that continue a run as a branch with a tenth of the learning rate. `--lr` is the rate without linear scaling.
 * @param learningRate with it, as the steps use it.
 * @param healthy the last step at which nothing was wrong: the branch starts from the newest checkpoint up to there, or from
 * the oldest if the step is not known.
 */
export function lowerRate(
  { out, run, optimizer }: Pick<Config, 'out' | 'run' | 'optimizer'>,
  learningRate: number,
  healthy: number | undefined,
): string {
  const checkpoints = checkpointsFolder(join(out, run));
  const steps = stepsIn(checkpoints);
  const step = healthy === undefined ? steps[0] : steps.findLast((each) => each <= healthy);
  const flags = [
    ...(step === undefined ? [] : [`--resume ${shellWord(checkpointFolder(checkpoints, step))}`]),
    `--run ${shellWord(freeName(out, run, 'lower'))}`,
    ...(out === PRESETS.mini.out ? [] : [`--out ${shellWord(out)}`]),
    `--lr ${lowered(learningRate, optimizer)}`,
  ].join(' ');
  return step === undefined ? `start again, with ${flags} beside the other flags` : `continue with ${flags}`;
}

/**
 * As {@link lowerRate} for a training of an ablation, which takes no branch: the flags of another ablation, in which that
 * variant has a tenth of the rate. All seeds of a variant have the same settings, so this one cannot take it.
 */
export function lowerRateOfVariant(
  { out, optimizer }: Pick<Config, 'out' | 'optimizer'>,
  learningRate: number,
  variant: string | undefined,
): string {
  const [outer, ablation, rate] = [dirname(out), basename(out), lowered(learningRate, optimizer)];
  const flags = [
    `--run ${shellWord(freeName(outer, ablation, 'lower'))}`,
    variant === undefined ? `--lr ${rate}` : `--set ${shellWord(`${variant}.lr=${rate}`)}`,
  ].join(' ');
  return `try a lower rate in another ablation, with ${flags} beside the other flags`;
}

function lowered(learningRate: number, optimizer: Config['optimizer']): number {
  return Number((learningRate / RATE_DIVISOR / scalingOf(optimizer)).toPrecision(2));
}

/** The run's name with that end, and a number if there is such a run. */
function freeName(out: string, run: string, end: string): string {
  const name = `${run.slice(0, MAX_NAME)}-${end}`;
  for (let number = 1; ; number++) {
    const next = number === 1 ? name : `${name}-${number}`;
    if (!existsSync(join(out, next))) return next;
  }
}
