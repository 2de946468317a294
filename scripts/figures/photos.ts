/** What the preset `photos` reaches on small sets of images, from initial values and from trained weights. */
import { copyFileSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { meanOf } from '../../src/report/intervals.js';
import { pairedDifference } from '../../src/report/paired.js';
import type { Maker } from './tools/figure.js';
import { counted, fenced, machineOf, markdownTable, percent, signed } from './tools/markdown.js';
import { of, type Runner } from './tools/runner.js';

const SEEDS = [1, 2, 3];

/** The trainings whose weights are taken. */
const PRETRAINED = {
  cifar: 'npm run train:single -- --preset mini --data cifar-10 --epochs 3 --schedule cosine --lr 0.03 --run cifar',
  fashion: 'npm run train:single -- --preset mini --data fashion-mnist --epochs 2 --schedule cosine --run fashion',
};

interface SmallSet {
  title: string;
  weights: keyof typeof PRETRAINED;
  /** How its images are found. */
  flags: string;
  /** Makes its folder; absent for a set with a name. */
  make?: string;
}

const folderOf = (name: string, title: string): [string, SmallSet] => [
  name,
  {
    ...{ title, weights: 'cifar', flags: `--data ${name} --val-share 0.3` },
    make: `node dist/scripts/photo-sets.js ${name} ${name}`,
  },
];

/** 50 images a class, with all test images. */
const few = (source: string) => `--data ${source} --limit 500`;

const SETS: Readonly<Record<string, SmallSet>> = Object.fromEntries<SmallSet>([
  folderOf('stamps', 'stamps of Tux Paint'),
  folderOf('emoji', 'emoji'),
  folderOf('cells', 'solar cells'),
  ['fashion50', { title: 'Fashion-MNIST, 50 a class', weights: 'cifar', flags: few('fashion-mnist') }],
  ['cifar50', { title: 'CIFAR-10, 50 a class', weights: 'fashion', flags: few('cifar-10') }],
]);

const START = { scratch: '', tuned: '--weights WEIGHTS --new-head ' } as const;
type Start = keyof typeof START;

function lineOf(name: string, start: Start, seed: number): string {
  const { flags, weights } = SETS[name]!;
  const from = START[start].replace('WEIGHTS', weights);
  return `npm run train:split -- --preset photos ${flags} ${from}--seed ${seed} --eval-every 1000000 --no-check`;
}

/** The way of docs/photos.md from images in class folders to a net that predicts. */
const PATH = [
  'npm run data -- check stamps',
  'npm run data -- split stamps --out divided',
  'npm run train:split -- --preset photos --data divided --run own',
  'npm run eval -- --run own --checkpoint best',
  'npm run train:split -- --preset photos --data divided --weights cifar --new-head --run tuned',
  'npm run eval -- --run tuned --checkpoint best',
  'npm run predict -- --run tuned --top 2 picture.png',
];

interface Row {
  set: string;
  classes: number;
  trainImages: number;
  testImages: number;
  /** Share of the test images in the largest class, by seed. */
  majority: number[];
  /** Test accuracy by seed. */
  scratch: number[];
  tuned: number[];
  /** Seconds of a training, mean. */
  seconds: number;
}

interface Result {
  rows: Row[];
  /** Test accuracy of each training whose weights were taken, and its seconds. */
  pretrained: { name: string; top1: number; seconds: number }[];
  /** Each command, its seconds, and its last line. */
  path: { line: string; seconds: number; last: string }[];
}

const names = Object.keys(SETS);
const makes = names.flatMap((name) => SETS[name]!.make ?? []);
const trainings = names.flatMap((name) =>
  (['scratch', 'tuned'] as const).flatMap((start) => SEEDS.map((seed) => lineOf(name, start, seed))),
);

export const photos: Maker<Result> = {
  name: 'photos',
  minutes: 15,
  commands: [...Object.values(PRETRAINED), ...makes, ...trainings, ...PATH],
  needs:
    "Debian's tuxpaint-stamps-default, Fashion-MNIST and CIFAR-10 (`npm run data -- fetch`), and npm's and PyPI's registries",
  async measure({ folder, run, train }) {
    const pretrained = [];
    for (const [name, line] of Object.entries(PRETRAINED)) {
      const end = of(await train(line, name), 'run_end').at(-1)!;
      pretrained.push({ name, top1: end.top1!, seconds: end.train_ms / 1000 });
    }
    const rows: Row[] = [];
    for (const set of names) {
      const { make } = SETS[set]!;
      if (make !== undefined && !existsSync(join(folder, set))) await run(make);
      const logs = { scratch: [], tuned: [] } as Record<Start, Awaited<ReturnType<typeof train>>[]>;
      for (const start of ['scratch', 'tuned'] as const) {
        for (const seed of SEEDS) logs[start].push(await train(lineOf(set, start, seed), `${set}-${start}-${seed}`));
      }
      const ends = (start: Start) => logs[start].map((log) => of(log, 'run_end').at(-1)!);
      const starts = logs.scratch.map((log) => of(log, 'run_start')[0]!);
      const { dataset, config } = starts[0]!;
      rows.push({
        ...{ set, classes: (config as { net: { classes: number } }).net.classes },
        ...{ trainImages: dataset.train_images, testImages: dataset.test_images },
        majority: starts.map((start) => start.dataset.test_majority!),
        scratch: ends('scratch').map(({ top1 }) => top1!),
        tuned: ends('tuned').map(({ top1 }) => top1!),
        seconds: meanOf([...ends('scratch'), ...ends('tuned')].map((end) => end.train_ms / 1000)),
      });
    }
    return { rows, pretrained, path: await walk(folder, run) };
  },
  blocks: {
    table({ rows }) {
      const cells = rows.map((row) => [
        ...[SETS[row.set]!.title, row.classes, row.trainImages, row.testImages, percent(meanOf(row.majority))],
        ...[percent(meanOf(row.scratch)), percent(meanOf(row.tuned)), SETS[row.set]!.weights, verdictOf(row)],
        row.seconds.toFixed(0),
      ]);
      const header = ['images', 'classes', 'training', 'test', 'largest class', 'from scratch', 'fine-tuned'];
      return markdownTable([...header, 'weights', 'difference in points', 'seconds'], cells);
    },
    path: ({ path }, origin) =>
      [
        fenced(...path.map(({ line, seconds, last }) => `$ ${line}   # ${seconds.toFixed(0)} s\n${last}`)),
        '',
        `From the first command to the last: ${counted(Math.round(path.reduce((sum, { seconds }) => sum + seconds, 0)), 'second')} (${machineOf(origin)}).`,
      ].join('\n'),
    pretrained: ({ pretrained }) =>
      pretrained
        .map(
          ({ name, top1, seconds }) => `\`${name}\`: ${percent(top1)} of its own test images, ${seconds.toFixed(0)} s`,
        )
        .join('; '),
    verdict({ rows }) {
      const isBelow = ({ majority, scratch, tuned }: Row) =>
        majority.some((share, i) => Math.min(scratch[i]!, tuned[i]!) <= share);
      const below = rows.filter(isBelow);
      const worst =
        below.length === 0
          ? 'No training of the table ended below the largest class.'
          : `Some trainings ended no better than the largest class: ${below.map(({ set }) => SETS[set]!.title).join(', ')}.`;
      const helped = rows.filter((row) => (differenceOf(row).low ?? Number.NEGATIVE_INFINITY) > 0);
      const titles = (some: readonly Row[]) => some.map(({ set }) => SETS[set]!.title).join('; ');
      const gain =
        helped.length > 0
          ? `Starting from trained weights helped with: ${titles(helped)}. Of the others the interval includes 0.`
          : 'With so few seeds no set shows a gain from trained weights: every interval includes 0.';
      return `${worst} ${gain}`;
    },
  },
};

async function walk(folder: string, run: Runner['run']): Promise<Result['path']> {
  for (const name of ['divided', 'runs/own', 'runs/tuned'])
    rmSync(join(folder, name), { recursive: true, force: true });
  const path = [];
  for (const line of PATH) {
    if (line.includes('predict')) {
      const animals = join(folder, 'divided', 'val', 'animals');
      copyFileSync(join(animals, readdirSync(animals).sort()[0]!), join(folder, 'picture.png'));
    }
    const { printed, seconds } = await run(line);
    path.push({ line, seconds, last: lastLineOf(printed) });
  }
  return path;
}

/** The result of a command: its last line on stdout that is no progress. */
function lastLineOf(printed: string): string {
  const lines = printed.trim().split('\n');
  return lines.findLast((line) => /^(done|runs|picture|train:)|training and/.test(line)) ?? lines.at(-1)!;
}

function differenceOf({ scratch, tuned, testImages }: Row) {
  return pairedDifference(
    tuned.map((top1, i) => [top1, scratch[i]!] as const),
    1 / testImages,
  )!;
}

/** The mean difference with its 95 % interval. */
function verdictOf(row: Row): string {
  const { mean, low, high } = differenceOf(row);
  const interval = low === null || high === null ? '' : ` (${signed(100 * low)} to ${signed(100 * high)})`;
  return `${signed(100 * mean)}${interval}`;
}
