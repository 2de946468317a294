/** What an ablation will take, and what it can show. */
import { count, duration } from '../numbers.js';
import { visibleDifference } from '../report/paired.js';
import type { Typical } from './ablate-typical.js';
import { type Ablation, type AblationRow, isDone } from './ablation.js';
import { seedsIn, sensitivityText } from './ablation-page.js';

/** A point: the standard deviation that is assumed where no ablation has measured one. */
const POINT = 0.01;

/**
 * Before the first training: how many there are, how long they take if that is known, and what their seeds can show.
 * @param findTypical is called if this ablation has not measured the deviation between seeds.
 */
export function planLines(
  { rows: all, statistics: { sensitivity } }: Pick<Ablation, 'rows' | 'statistics'>,
  toTrain: ReadonlySet<AblationRow>,
  findTypical: () => Typical | undefined,
): string[] {
  const left = toTrain.size;
  if (left === 0) return [];
  const rows = all.filter((row) => isDone(row) || toTrain.has(row));
  const seeds = seedsIn(rows).length;
  const variants = new Set(rows.map(({ variant }) => variant)).size - 1;
  const done = left === rows.length ? '' : `, ${rows.length - left} of them done`;
  const time = leftText(rows) ?? 'how long they take is known after the first one';
  return [
    `${count(rows.length)} trainings: the baseline and ${variants} variant${variants === 1 ? '' : 's'}, ${seeds} seed${seeds === 1 ? '' : 's'} each${done}; ${time}`,
    sensitivity
      ? sensitivityText(sensitivity)
      : seeds < 2
        ? 'one seed proves nothing: see --seeds'
        : expectedText(seeds, findTypical()),
  ];
}

function expectedText(seeds: number, typical: Typical | undefined): string {
  const { sd } = typical ?? { sd: POINT };
  const visible = points(visibleDifference(sd, seeds));
  const source = typical ? `${points(sd)} points, as in ${typical.folder}` : '1 point, which is assumed';
  return `${seeds} seeds show differences from ${visible} points if their standard deviation between seeds is ${source}; after the second seed it is estimated`;
}

/** `about 1:05 left for 13 trainings`; undefined before one is done, and after the last one. */
export function leftText(rows: readonly AblationRow[]): string | undefined {
  const known = rows.flatMap(({ result }) => (result?.status === 'done' ? (result.seconds ?? []) : []));
  const left = rows.filter(({ result }) => !result).length;
  if (known.length === 0 || left === 0) return undefined;
  const seconds = known.reduce((sum, each) => sum + each, 0) / known.length;
  return `about ${duration(1000 * seconds * left)} left, for ${left} training${left === 1 ? '' : 's'}`;
}

/** Whether all trainings of a row's seed are over, and others are left: what the seeds can show so far is worth a sentence. */
export function endsSeed(rows: readonly AblationRow[], { seed }: AblationRow): boolean {
  return rows.every((row) => row.seed !== seed || row.result) && rows.some((row) => !row.result);
}

function points(share: number): string {
  return (share * 100).toFixed(1);
}
