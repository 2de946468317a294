/** The trainings of docs/claims.md: each set twice, with other seeds. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Ablation } from '../../src/cli/ablation.js';
import type { Statistics } from '../../src/cli/ablation-statistics.js';
import type { Maker } from './tools/figure.js';
import { markdownTable, percent } from './tools/markdown.js';
import type { Runner } from './tools/runner.js';

/** What one command found. */
interface Half {
  seeds: readonly number[];
  statistics: Statistics;
  /** Sum over the trainings. */
  trainingSeconds: number;
}

interface Found {
  halves: Half[];
}

/** A command for each half. The settings were chosen with the first seeds, before any of the others was trained. */
function commandsOf(flags: string, count: number): string[] {
  return [`1-${count}`, `101-${100 + count}`].map((seeds) => `npm run ablate -- ${flags} --seeds ${seeds}`);
}

async function measure({ ablate }: Runner, name: string, commands: readonly string[]): Promise<Found> {
  const halves: Half[] = [];
  for (const [i, command] of commands.entries()) {
    const { folder } = await ablate(command, `${name}-${i + 1}`);
    const { rows, statistics } = JSON.parse(readFileSync(join(folder, 'ablation.json'), 'utf8')) as Ablation;
    // A training that was interrupted has no time.
    const times = rows.flatMap(({ result }) => result?.seconds ?? []);
    const trainingSeconds = (times.reduce((sum, seconds) => sum + seconds, 0) / times.length) * rows.length;
    halves.push({ seeds: [...new Set(rows.map(({ seed }) => seed))], statistics, trainingSeconds });
  }
  return { halves };
}

const CIFAR = 'CIFAR-10 (npm run data -- fetch cifar-10)';

function seedsText(seeds: readonly number[]): string {
  return `${seeds[0]} to ${seeds.at(-1)}`;
}

function timeText({ halves }: Found): string {
  const minutes = halves.map(({ trainingSeconds }) => Math.round(trainingSeconds / 60)).join(' and ');
  const trainings = halves[0]!.statistics.variants.reduce((sum, each) => sum + each.trainings, 0);
  return `The ${trainings} trainings of each set took ${minutes} minutes.`;
}

/** Trains with one activation function and another, each with a rate of its own, to the same training error. */
const RELU = commandsOf(
  '--preset cifar --width 0.5 --limit 10000 --epochs 20 --no-norm --weight-decay 0 --lr 0.003 --placement single --variants tanh --set tanh.lr=0.03 --until-error 0.5',
  3,
);

export const claimsRelu: Maker<Found> = {
  ...{ name: 'claims-relu', minutes: 18, commands: RELU },
  needs: CIFAR,
  measure: (runner) => measure(runner, 'claims-relu', RELU),
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
