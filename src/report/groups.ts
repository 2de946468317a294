/** Many runs: those that differ only in their seed as one group, with an interval. */
import { namesOf } from './compare.js';
import { type Interval, meanOf, studentInterval, wilsonInterval } from './intervals.js';
import type { Curve, Group, RunReport } from './model.js';
import { finite } from './series.js';

/** A variant of an ablation. */
export interface Variant {
  variant: string;
  change: string;
}

/** Settings that do not change what is trained. */
const OWN_SETTINGS = ['seed', 'run', 'out', 'logEvery', 'logSteps', 'traceSteps', 'tensorboard', 'metricsPort'];

/** Groups runs, in their order. @param variants of the runs of an ablation. */
export function groupRuns(runs: readonly RunReport[], variants: ReadonlyMap<RunReport, Variant> = new Map()): Group[] {
  const groups = new Map<string, RunReport[]>();
  for (const [i, run] of runs.entries()) {
    const key = keyOf(run) ?? `run ${i}`;
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  const nameOf = namesOf(runs);
  return [...groups.values()].map((members) => {
    const variant = variants.get(members[0]!);
    const names = members.map(nameOf);
    return {
      name: variant?.variant ?? groupName(names),
      ...(variant && { change: variant.change }),
      runs: names,
      ...accuracyOf(members),
      imagesPerSecond: meanIfAll(members.map(({ time }) => time?.imagesPerSecond)),
    };
  });
}

/** The settings that runs of a group have in common; undefined without settings. */
function keyOf({ start }: RunReport): string | undefined {
  if (!start) return undefined;
  const settings = Object.entries(start.config).filter(([key]) => !OWN_SETTINGS.includes(key));
  return JSON.stringify([start.placement, settings.sort(([a], [b]) => (a < b ? -1 : 1))]);
}

/** What the names have in common at their start, without a number of the seed: `wide` of `wide-seed-1` and `wide-seed-2`. */
function groupName(names: readonly string[]): string {
  const [first, ...others] = names as [string, ...string[]];
  if (others.length === 0) return first;
  let length = 0;
  while (length < first.length && others.every((name) => name[length] === first[length])) length++;
  const common = first.slice(0, length).replace(/[-_. ]*(seed|s)?[-_. ]*$/, '');
  return common === '' ? `${first} and ${others.length} more` : common;
}

type Accuracy = Pick<Group, 'top1' | 'low' | 'high' | 'interval' | 'testLoss' | 'curve'>;

function accuracyOf(runs: readonly RunReport[]): Accuracy {
  const last = runs.map(({ evals }) => evals.at(-1));
  const testLoss = meanIfAll(last.map((each) => each?.loss));
  const curve = curveOf(runs);
  if (!last.every((each) => Number.isFinite(each?.top1))) {
    return { top1: null, low: null, high: null, interval: 'none', testLoss, curve };
  }
  const { mean, low, high } = intervalOf(last as RunReport['evals']);
  const interval = runs.length > 1 ? 'seeds' : 'images';
  return { top1: finite(mean), low: finite(low), high: finite(high), interval, testLoss, curve };
}

/** Of evaluations of several runs, or of one. */
function intervalOf(evals: RunReport['evals']): Interval {
  const [first] = evals;
  return evals.length > 1
    ? studentInterval(evals.map(({ top1 }) => top1))
    : wilsonInterval(first!.top1, Math.max(1, first!.images));
}

/** At the steps at which all runs have an evaluation. */
function curveOf(runs: readonly RunReport[]): Curve {
  const [first, ...others] = runs.map(({ evals }) => new Map(evals.map((each) => [each.step, each])));
  const steps = [...first!.keys()].filter((step) => others.every((evals) => evals.has(step)));
  const intervals = steps.map((step) => intervalOf([first!, ...others].map((evals) => evals.get(step)!)));
  return {
    step: steps,
    mean: intervals.map(({ mean }) => finite(mean)),
    low: intervals.map(({ low }) => finite(low)),
    high: intervals.map(({ high }) => finite(high)),
  };
}

function meanIfAll(values: readonly (number | undefined)[]) {
  const known = values.filter((value) => value !== undefined);
  return known.length === values.length ? finite(meanOf(known)) : null;
}
