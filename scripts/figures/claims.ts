/** The trainings of docs/claims.md: each set twice, with other seeds. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Ablation } from '../../src/cli/ablation.js';
import type { Measure, Statistics } from '../../src/cli/ablation-statistics.js';
import { meanOf } from '../../src/report/intervals.js';
import type { Maker } from './tools/figure.js';
import { markdownTable, percent, signed } from './tools/markdown.js';
import type { Runner } from './tools/runner.js';

/** What one command found. */
interface Half {
  seeds: readonly number[];
  statistics: Statistics;
  /** Sum over the trainings. */
  trainingSeconds: number;
}

export interface Found {
  halves: Half[];
}

/** A command for each half. The settings were chosen with the first seeds, before any of the others was trained. */
function commandsOf(flags: string, ...sets: readonly string[]): string[] {
  return sets.map((seeds) => `npm run ablate -- ${flags} --seeds ${seeds}`);
}

/** Runs the same ablation with each set of seeds. */
export async function measureSets({ ablate }: Runner, name: string, commands: readonly string[]): Promise<Found> {
  const halves: Half[] = [];
  for (const [i, command] of commands.entries()) {
    const { folder } = await ablate(command, `${name}-${i + 1}`);
    const { rows, statistics } = JSON.parse(readFileSync(join(folder, 'ablation.json'), 'utf8')) as Ablation;
    // A training that was interrupted has no time.
    const times = rows.flatMap(({ result }) => result?.seconds ?? []);
    const trainingSeconds = meanOf(times) * rows.length;
    halves.push({ seeds: [...new Set(rows.map(({ seed }) => seed))], statistics, trainingSeconds });
  }
  return { halves };
}

const CIFAR = 'CIFAR-10 (npm run data -- fetch cifar-10)';

/** A row of a table: the paper's claim about a variant. */
interface Claim {
  variant: string;
  /** What is claimed, and where. */
  claim: string;
  /** The paper's number. */
  paper: string;
  measure: Measure;
  /** The sign of the difference of the variant from the baseline that agrees with the claim. */
  expected: 'worse' | 'better';
}

/** The difference of a half in points: `+1.9 (+1.1 to +2.7)`. */
function differenceText({ statistics }: Half, { variant, measure }: Claim): string {
  const difference = differenceOf(statistics, variant, measure);
  if (!difference) return 'none';
  const points = (value: number) => signed(100 * value);
  const { mean, low, high } = difference;
  return low === null || high === null ? points(mean) : `${points(mean)} (${points(low)} to ${points(high)})`;
}

function differenceOf({ variants }: Statistics, variant: string, measure: Measure) {
  return variants.find((each) => each.variant === variant)?.measures[measure]?.difference ?? undefined;
}

/** The verdict of docs/claims.md, whose list says what each means. */
function verdictOf(found: Found, claim: Claim): string {
  const verdicts = found.halves.map(
    ({ statistics }) => differenceOf(statistics, claim.variant, claim.measure)?.verdict,
  );
  if (verdicts.every((each) => each === claim.expected))
    return verdicts.length > 1 ? 'shows' : 'shows with one set of seeds';
  const agreeing = verdicts.filter((each) => each === claim.expected).length;
  const opposite = verdicts.filter((each) => each === (claim.expected === 'worse' ? 'better' : 'worse')).length;
  if (opposite === verdicts.length) return 'the opposite shows';
  if (agreeing > 0 && opposite === 0) return 'shows with one set of seeds';
  return opposite > 0 ? 'undecided' : 'no difference seen';
}

function claimsTable(found: Found, claims: readonly Claim[]): string {
  const header = ['claim', 'paper', ...found.halves.map(({ seeds }) => `here, seeds ${seedsText(seeds)}`), 'verdict'];
  const rows = claims.map((claim) => [
    claim.claim,
    claim.paper,
    ...found.halves.map((half) => differenceText(half, claim)),
    verdictOf(found, claim),
  ]);
  return markdownTable(header, rows);
}

function seedsText(seeds: readonly number[]): string {
  return `${seeds[0]} to ${seeds.at(-1)}`;
}

/** The baseline's errors and the time, as a sentence. */
function baselineText({ halves }: Found): string {
  const baselines = halves.map(({ statistics }) => statistics.variants[0]!);
  const errors = baselines.map(({ measures }) => percent(measures.top1Error!.mean, 1)).join(' and ');
  const sds = baselines.map(({ measures }) => (100 * (measures.top1Error!.sd ?? 0)).toFixed(1)).join(' and ');
  const train = baselines.map(({ measures }) => percent(measures.trainTop1Error!.mean, 1)).join(' and ');
  return `The baseline's test error is ${errors} (standard deviation between seeds ${sds} points), its training error ${train}. ${timeText({ halves })}`;
}

function timeText({ halves }: Found): string {
  const minutes = halves.map(({ trainingSeconds }) => Math.round(trainingSeconds / 60)).join(' and ');
  const trainings = halves[0]!.statistics.variants.reduce((sum, each) => sum + each.trainings, 0);
  const sets = halves.length > 1 ? 'each set' : 'the set';
  return `The ${trainings} trainings of ${sets} took ${minutes} minutes.`;
}

function claimsFigure(
  name: string,
  minutes: number,
  sets: readonly string[],
  flags: string,
  claims: readonly Claim[],
  needs = CIFAR,
): Maker<Found> {
  const commands = commandsOf(flags, ...sets);
  return {
    ...{ name, minutes, commands, needs },
    measure: (runner) => measureSets(runner, name, commands),
    blocks: {
      [name]: (found) => [claimsTable(found, claims), '', baselineText(found)].join('\n'),
    },
  };
}

const TOP1 = 'top1Error' as const;
const TRAIN = 'trainTop1Error' as const;

export const claimsArchitecture = claimsFigure(
  'claims-architecture',
  60,
  ['1-7', '101-107'],
  '--preset mini --data cifar-10 --limit 20000 --batch-size 128 --lr 0.03 --epochs 5 --schedule cosine --eval-every 1000 --exchange device --variants no-norm,no-overlap,one-gpu,columns',
  [
    {
      ...{ variant: 'no-norm', measure: TOP1, expected: 'worse', paper: '+1.4' },
      claim: 'without response normalization (§3.3)',
    },
    {
      ...{ variant: 'no-overlap', measure: TOP1, expected: 'worse', paper: '+0.4' },
      claim: 'pooling windows that do not overlap (§3.4)',
    },
    {
      ...{ variant: 'one-gpu', measure: TOP1, expected: 'worse', paper: '+1.7' },
      claim: 'the net of one GPU, with half of the kernels (§3.2)',
    },
    {
      ...{ variant: 'columns', measure: TOP1, expected: 'worse', paper: '+1.2 (#150)' },
      claim: 'two columns without crossings (§3.2)',
    },
  ],
);

const overfitting = claimsFigure(
  'claims-overfitting',
  35,
  ['1-5', '101-105'],
  '--preset mini --data cifar-10 --limit 2000 --batch-size 128 --lr 0.02 --epochs 40 --schedule cosine --eval-every 1000 --colour-noise 0.1 --exchange device --variants no-dropout,no-augmentation,no-colour-noise,no-weight-decay',
  [
    {
      ...{ variant: 'no-dropout', measure: TRAIN, expected: 'better', paper: 'lower: overfits' },
      claim: 'without dropout: training error (§4.2)',
    },
    {
      ...{ variant: 'no-dropout', measure: TOP1, expected: 'worse', paper: 'higher' },
      claim: 'without dropout: test error (§4.2)',
    },
    {
      ...{ variant: 'no-augmentation', measure: TRAIN, expected: 'better', paper: 'lower: overfits' },
      claim: 'without crops, flips and colour noise: training error (§4.1)',
    },
    {
      ...{ variant: 'no-augmentation', measure: TOP1, expected: 'worse', paper: 'higher' },
      claim: 'without crops, flips and colour noise: test error (§4.1)',
    },
    {
      ...{ variant: 'no-colour-noise', measure: TOP1, expected: 'worse', paper: 'over +1' },
      claim: 'without colour noise: test error (§4.1)',
    },
    {
      ...{ variant: 'no-weight-decay', measure: TRAIN, expected: 'worse', paper: 'higher' },
      claim: 'without weight decay: training error (§5)',
    },
  ],
);

export const claimsOverfitting: Maker<Found> = {
  ...overfitting,
  blocks: { ...overfitting.blocks, tutorial: overfittingTable },
};

/** The mean errors over both sets, by variant. */
function overfittingTable({ halves }: Found): string {
  const names = ['baseline', 'no-dropout', 'no-augmentation', 'no-weight-decay'];
  const rows = names.map((name) => {
    const errors = ([TRAIN, TOP1] as const).map((measure) =>
      meanOf(
        halves.map(
          ({ statistics }) => statistics.variants.find(({ variant }) => variant === name)!.measures[measure]!.mean,
        ),
      ),
    ) as [number, number];
    return [name, ...errors.map((error) => percent(error, 1)), signed(100 * (errors[1] - errors[0]))];
  });
  const trainings = halves.reduce((sum, { seeds }) => sum + seeds.length, 0);
  const table = markdownTable(['variant', 'training error', 'test error', 'difference, points'], rows);
  return [table, '', `Means over ${trainings} seeds.`].join('\n');
}

export const claimsLenet = claimsFigure(
  'claims-lenet',
  30,
  ['1-3', '101-103'],
  '--preset tutorial --data fashion-mnist --limit 20000 --width 0.125 --batch-size 32 --epochs 3 --exchange device --variants lenet --set lenet.net=lenet --set lenet.width=1 --set lenet.input-size=28 --set lenet.resize=28 --set lenet.lr=0.9',
  [
    {
      ...{ variant: 'lenet', measure: TOP1, expected: 'worse', paper: 'higher' },
      claim: "LeNet's test error beside AlexNet's",
    },
  ],
  'Fashion-MNIST (npm run data -- fetch fashion-mnist)',
);

/** Trains with one activation function and another, each with a rate of its own, to the same training error. */
const RELU = commandsOf(
  '--preset cifar --width 0.5 --limit 10000 --epochs 20 --no-norm --weight-decay 0 --lr 0.003 --placement single --variants tanh --set tanh.lr=0.03 --until-error 0.5',
  '1-3',
  '101-103',
);

export const claimsRelu: Maker<Found> = {
  ...{ name: 'claims-relu', minutes: 18, commands: RELU },
  needs: CIFAR,
  measure: (runner) => measureSets(runner, 'claims-relu', RELU),
  blocks: {
    'claims-relu': (found) => {
      const header = ['training error', 'paper', ...found.halves.map(({ seeds }) => `here, seeds ${seedsText(seeds)}`)];
      const level = percent(found.halves[0]!.statistics.until!.error);
      const rows = [
        [
          `tanh's epochs to ${level}, over ReLU's`,
          '6 times, to 25 %',
          ...found.halves.map(ratioText),
          reluVerdict(found),
        ],
        ['epochs of ReLU', '', ...found.halves.map((half) => epochsText(half, 0)), ''],
        ['epochs of tanh', '', ...found.halves.map((half) => epochsText(half, 1)), ''],
      ];
      return [markdownTable([...header, 'verdict'], rows), '', timeText(found)].join('\n');
    },
  },
};

function ratioText({ statistics }: Half): string {
  const ratio = statistics.until!.variants[1]!.ratio;
  if (!ratio) return 'not reached by all';
  const interval =
    ratio.low === null || ratio.high === null ? '' : ` (${ratio.low.toFixed(1)} to ${ratio.high.toFixed(1)})`;
  return `${ratio.mean.toFixed(1)}${interval}`;
}

function reluVerdict({ halves }: Found): string {
  const verdicts = halves.map(({ statistics }) => statistics.until!.variants[1]!.ratio?.verdict);
  return verdicts.every((each) => each === 'slower') ? 'shows' : 'undecided';
}

function epochsText({ statistics }: Half, variant: 0 | 1): string {
  return statistics.until!.variants[variant]!.epochs?.toFixed(1) ?? 'not reached by all';
}
