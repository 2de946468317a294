/** The heading of a page, and the figures that people look for first. */
import { count, duration, imagesText } from '../../numbers.js';
import type { RunReport } from '../model.js';
import { towerNames } from '../settings.js';
import { bytes, decimal, milliseconds, share, show } from '../units.js';
import { html, type Markup, table } from './markup.js';
import { missing, type Section, type Source } from './section.js';

const STATUS: Record<RunReport['status'], string> = {
  done: '',
  failed: '',
  stopped: 'by a signal',
  unfinished: 'The log has no end, so the run was killed or is still running.',
  empty: 'The log has no event.',
};

/** The heading for one run. */
export function runHeading(run: RunReport): Markup {
  return html`<p class="kicker">Report of a run</p>
<h1>${run.run}</h1>
${statusLine(run)}
${about(run)}`;
}

export function statusLine({ status, error }: RunReport): Markup {
  return html`<p class="status"><span class="badge status-${status}">${status}</span> ${STATUS[status]}</p>
${error !== undefined && html`<p class="error"><strong>Error:</strong> ${error}</p>`}`;
}

/** When and where a run took place. */
export function about(run: RunReport): Markup {
  const { start } = run;
  const rows: [string, string | undefined][] = [
    ['Folder', run.folder],
    ['Started', run.started === null ? undefined : time(run.started)],
    ['Last line', run.ended === null ? undefined : time(run.ended)],
  ];
  if (start) {
    const { alexnet_split, node, tensorflow, tfjs } = start.versions;
    rows.push(
      ['Placement', start.placement === 'split' ? 'split over two devices' : 'the whole net on one device'],
      ['Devices', start.towers.map((each) => deviceOf(each, towerNames(start)(each.tower))).join('; ')],
      ['Net', `${nameOfNet(start.config)}${count(start.parameters)} parameters; preset ${start.preset}`],
      ['Data', `${start.dataset.name}: ${imagesText(start.dataset)}, from ${start.dataset.source}`],
      ['Versions', `alexnet-split ${alexnet_split}, Node.js ${node}, TensorFlow ${tensorflow}, tfjs ${tfjs}`],
    );
    if (start.branch) rows.push(['Branch of', `${start.branch.checkpoint}, step ${count(start.branch.step)}`]);
  }
  const shown = rows.filter(([, value]) => value !== undefined);
  return html`<dl class="about">${shown.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** With the device that TensorFlow reports, if that is another one. */
function deviceOf(
  { device, backing_device: backing }: NonNullable<RunReport['start']>['towers'][number],
  name: string,
): string {
  return `${name} on ${device}${backing.endsWith(device) ? '' : ` (${backing})`}`;
}

function nameOfNet(config: object): string {
  const { net } = config as { net?: { table?: unknown } };
  return typeof net?.table === 'string' ? `${net.table}, ` : '';
}

/** In UTC, so that the page says the same everywhere. */
function time(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

interface KeyFigure {
  name: string;
  value: string;
  note?: string;
}

/** Steps, speed, accuracy, loss and time of a run. */
function keyFigures(run: RunReport): KeyFigure[] {
  const last = run.evals.at(-1);
  const best = run.evals.reduce<(typeof run.evals)[number] | undefined>(
    (a, b) => (a && a.top1 >= b.top1 ? a : b),
    undefined,
  );
  const lastLoss = run.loss.mean.at(-1);
  const planned = run.start?.steps;
  return [
    {
      name: 'Steps',
      value: count(run.steps),
      note: planned === undefined ? '' : `of ${count(planned)}; ${count(run.images)} images`,
    },
    {
      name: 'Images per second',
      value: run.time ? decimal(run.time.imagesPerSecond) : '–',
      note: run.time
        ? `${milliseconds(run.time.mean)} per step, median ${milliseconds(run.time.median)}`
        : 'too few steps',
    },
    {
      name: 'Test accuracy',
      value: last ? share(last.top1) : '–',
      note: last
        ? `at step ${count(last.step)}, ${count(last.images)} test images${best && best !== last ? `; best ${share(best.top1)} at step ${count(best.step)}` : ''}`
        : 'no evaluation',
    },
    {
      name: 'Test loss',
      value: last ? show(last.loss, 'number') : '–',
      note: lastLoss === undefined ? '' : `training: ${show(lastLoss, 'number')} in the last steps`,
    },
    {
      name: 'Time',
      value: run.started === null || run.ended === null ? '–' : duration(run.ended - run.started),
      note: 'from the first to the last line of the log',
    },
  ];
}

/** Of one run, with the sentence that says what limits it. */
export function summary({ runs: [run] }: Source): Section {
  const { time, check } = run!;
  return {
    id: 'summary',
    title: 'Summary',
    body: html`${time ? html`<p class="sentence">${time.limit}</p>` : missing('The log has too few steps to say what limits them.')}
<dl class="cards">${keyFigures(run!).map(
      ({ name, value, note }) =>
        html`<div class="card"><dt>${name}</dt><dd><b>${value}</b><span>${note}</span></dd></div>`,
    )}</dl>
${check && html`<p>${checkSentence(check)}</p>`}`,
  };
}

function checkSentence({ passed, worst_relative, tensor, tolerance }: NonNullable<RunReport['check']>): string {
  const found = `the largest relative difference is ${show(worst_relative, 'number')} (${tensor}), allowed is ${show(tolerance, 'number')}`;
  return passed
    ? `Before the first step, split and reference agree: ${found}.`
    : `Split and reference differ: ${found}.`;
}

/** The key figures of several runs, a row each. */
export function keyTable({ runs, names }: Source): Markup {
  const columns = [
    'run',
    'status',
    'steps',
    'images/s',
    'step',
    'test accuracy',
    'test loss',
    'exchanged per step',
    'time',
  ];
  const rows = runs.map((run, i) => {
    const last = run.evals.at(-1);
    const sent = run.exchange.reduce((sum, each) => sum + each.forward + each.backward, 0);
    return [
      ...[names[i], run.status, count(run.steps), run.time && decimal(run.time.imagesPerSecond)],
      ...[run.time && milliseconds(run.time.mean), last && share(last.top1), last && show(last.loss, 'number')],
      ...[
        sent > 0 ? bytes(sent) : undefined,
        run.started !== null && run.ended !== null ? duration(run.ended - run.started) : undefined,
      ],
    ];
  });
  return table('Key figures of the runs', columns, rows);
}
