/** A page of many runs: variants of a net, each with one or several seeds. */
import { count, imagesText } from '../../numbers.js';
import type { Group } from '../model.js';
import { decimal, share, show } from '../units.js';
import { checkpoints, config, configDifferences, logFacts, warnings } from './facts.js';
import { html, type Markup, table } from './markup.js';
import { missing, type Section, type Source } from './section.js';
import { keyTable, statusLine } from './summary.js';
import { partsOfRuns } from './time.js';

/** Of runs in a sentence. */
const MAX_NAMES = 10;

/** More curves cannot be told apart. */
const MAX_CURVES = 8;

const INTERVALS: Record<Group['interval'], string> = {
  seeds: 'over seeds (t distribution)',
  images: 'over the test images of one run (Wilson)',
  none: 'none',
};

export function manyHeading({ runs, names }: Source, groups: readonly Group[]): Markup {
  const dataset = runs.find(({ start }) => start)?.start?.dataset;
  return html`<p class="kicker">Report of ${count(runs.length)} runs</p>
<h1>${count(groups.length)} ${groups.length === 1 ? 'group' : 'groups'} of runs compared</h1>
${dataset && html`<p>Data: ${dataset.name}, ${imagesText(dataset)}.</p>`}
${notDone({ runs, names })}`;
}

/** So that nobody takes the numbers of these runs for those of whole ones. */
function notDone({ runs, names }: Pick<Source, 'runs' | 'names'>): Markup | undefined {
  const found = runs.flatMap(({ status }, i) => (status === 'done' ? [] : [`${names[i]} (${status})`]));
  if (found.length === 0) return undefined;
  const list = found.length > MAX_NAMES ? [...found.slice(0, MAX_NAMES), 'others'] : found;
  return html`<p class="error"><strong>${count(found.length)} of ${count(runs.length)} runs ${found.length === 1 ? 'is' : 'are'} not done:</strong> ${list.join(', ')}</p>`;
}

export function groupTable({ draw }: Source, groups: readonly Group[]): Section {
  const [id, title] = ['summary', 'Groups'];
  if (groups.length === 0) return { id, title, body: missing('None of the runs has an evaluation.') };
  const kinds = [...new Set(groups.map((each) => each.interval).filter((each) => each !== 'none'))].map(
    (each) => INTERVALS[each],
  );
  const rows = groups.map((group) => [
    ...[group.name, show(group.top1, 'share')],
    ...[group.low === null || group.high === null ? '–' : `${share(group.low)} to ${share(group.high)}`],
    ...[show(group.testLoss, 'number'), group.imagesPerSecond === null ? '–' : decimal(group.imagesPerSecond)],
    ...[count(group.runs.length), group.change ?? '–'],
  ]);
  const columns = ['group', 'test accuracy', '95 % interval', 'test loss', 'images/s', 'runs', 'change'];
  const best = groups.reduce((a, b) => ((b.top1 ?? -1) > (a.top1 ?? -1) ? b : a));
  return {
    ...{ id, title },
    body: html`${best.top1 !== null && html`<p class="sentence">The highest test accuracy is that of ${best.name}: ${share(best.top1)}.${overlapping(best, groups)}</p>`}
${table('Accuracy of the last evaluation', columns, rows)}
${draw(
  {
    ...{ kind: 'intervals', id: 'groups', title: 'Test accuracy by group', unit: 'share', category: 'group' },
    categories: groups.map((each) => each.name),
    values: groups.map((each) => each.top1),
    low: groups.map((each) => each.low),
    high: groups.map((each) => each.high),
  },
  `Accuracy of the last evaluation with its 95 % interval${kinds.length > 0 ? ` ${kinds.join(', or ')}` : ''}.`,
)}`,
  };
}

function overlapping(best: Group, groups: readonly Group[]): string {
  if (best.low === null) return '';
  const close = groups.filter((each) => each !== best && each.high !== null && each.high >= best.low!);
  if (groups.length === 1) return '';
  if (close.length === 0) return ' No other interval reaches into its own.';
  return ` The intervals of ${count(close.length)} other ${close.length === 1 ? 'group' : 'groups'} overlap with its own, so the order among them is not certain.`;
}

export function groupCurves({ draw }: Source, groups: readonly Group[]): Section {
  const [id, title] = ['curves', 'Accuracy over the evaluations'];
  const drawn = groups.filter(({ curve }) => curve.step.length > 0);
  if (drawn.length === 0) return { id, title, body: missing('None of the runs has an evaluation.') };
  const lines = drawn.slice(0, MAX_CURVES).map(({ name, curve }, i) => ({
    ...{
      name,
      tone: i,
      x: curve.step,
      y: curve.mean,
      low: curve.low,
      high: curve.high,
      points: true,
    },
  }));
  return {
    ...{ id, title },
    body: html`${draw(
      { kind: 'lines', id: 'curves', title: 'Test accuracy', unit: 'share', x: 'step', y: 'test accuracy', lines },
      'Mean test accuracy of each group at each evaluation, with its 95 % interval as a band.',
    )}
${drawn.length > MAX_CURVES && html`<p>The first ${MAX_CURVES} of ${count(drawn.length)} groups are drawn; the table above has all.</p>`}`,
  };
}

export function runsOfGroups(source: Source): Section {
  const { runs, names } = source;
  return {
    ...{ id: 'runs', title: 'Runs' },
    body: html`${keyTable(source)}
${partsOfRuns(source)}
${runs.map((run, i) => {
  const own: Source = { ...source, runs: [run], names: [names[i]!] };
  const count = run.warnings.length + run.furtherWarnings;
  return html`<details id="run-${i}"><summary>${names[i]}: ${count === 0 ? 'no warning' : `${count} ${count === 1 ? 'warning' : 'warnings'}`}</summary>
${statusLine(run)}
${[warnings(own), checkpoints(own), logFacts(own)].map(({ title, body }) => html`<h3>${title}</h3>${body}`)}</details>`;
})}`,
  };
}

export function settingsOfRuns(source: Source): Section {
  const [first] = source.runs;
  const own: Source = { ...source, runs: [first!], names: [source.names[0]!] };
  return {
    ...{ id: 'config', title: 'Settings' },
    body: html`${configDifferences(source)}
<p>Settings of ${source.names[0]}:</p>
${config(own).body}`,
  };
}
