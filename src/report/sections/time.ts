/** Where the time of a step goes, over all steps and within a traced one. */

import type { EventOf } from '../../log.js';
import { count } from '../../numbers.js';
import { SPAN_PARTS, type TimelineStep } from '../figure.js';
import { capitalized } from '../limit.js';
import type { RunReport } from '../model.js';
import { towerNames } from '../settings.js';
import { milliseconds, share } from '../units.js';
import { html, type Markup, table } from './markup.js';
import { missing, perRun, prefix, type Section, type Source } from './section.js';

type Trace = EventOf<'trace'>;
type NameOf = ReturnType<typeof towerNames>;

export function stepTime(source: Source): Section {
  const { runs, draw } = source;
  const [id, title] = ['step-time', 'Where the time of a step goes'];
  const rows = runs.flatMap(({ time, start }, i) => {
    if (!time) return [];
    const nameOf = towerNames(start);
    return time.towers.map((tower) => ({
      name: `${prefix(source, i)}${nameOf(tower.tower)} (${tower.device})`,
      values: { ...tower, data: time.parts.data, other: Math.max(0, time.mean - tower.step - time.parts.data) },
    }));
  });
  if (rows.length === 0)
    return {
      id,
      title,
      body: missing('The log has too few steps after the first one, which compiles, so there are no mean times.'),
    };
  const parts = ['compute', 'exchange', 'wait', 'data', 'other'] as const;
  const series = parts.map((name) => ({ name, tone: name, values: rows.map(({ values }) => values[name]) }));
  const sentences = runs.map(({ time }, i) =>
    time
      ? `${prefix(source, i)}${count(time.steps)} steps, mean ${milliseconds(time.mean)}, median ${milliseconds(time.median)}, 95 % of them under ${milliseconds(time.p95)}.`
      : '',
  );
  return {
    ...{ id, title },
    body: html`${draw(
      {
        kind: 'bars',
        id: 'step-time',
        title: 'Mean step by tower',
        unit: 'ms',
        category: 'tower',
        categories: rows.map(({ name }) => name),
        stacked: true,
        series,
      },
      'Mean milliseconds of a step that each tower computes, handles exchanged tensors, and waits for the other tower; the towers run at the same time.',
    )}
${sentences.map((each) => html`<p>${each}</p>`)}`,
  };
}

/** The newest ones, so that the page stays below 2 MB. */
const MAX_STEPS = 10;
const MAX_STEPS_OF_TWO = 4;
/** Of a tower in a step; the longest ones. */
const MAX_SPANS = 200;

/** From the top. */
const LANES = ['function', 'thread'] as const;

export function timeline(source: Source): Section {
  const { runs, draw } = source;
  const [id, title] = ['timeline', 'Timeline of a step'];
  if (!runs.some(({ traces }) => traces.length > 0))
    return {
      id,
      title,
      body: missing('No step was traced. To trace steps 20 and 21, train with --trace-steps 20-21.'),
    };
  return {
    ...{ id, title },
    body: perRun(source, (run, i) => {
      if (run.traces.length === 0) return missing('No step of this run was traced (--trace-steps).');
      const traces = run.traces.slice(-(runs.length > 1 ? MAX_STEPS_OF_TWO : MAX_STEPS));
      const last = traces.at(-1)!;
      const nameOf = towerNames(run.start);
      return html`${draw(
        {
          kind: 'timeline',
          id: `timeline-${i}`,
          title: `Timeline${suffix(source, i)}`,
          unit: 'ms',
          steps: traces.map((each) => toStep(each, nameOf)),
        },
        caption(traces),
      )}
${last.source === 'host' && html`<p>TensorFlow’s profiler was not used, so this is what the towers’ threads can see; the first warning about the trace says why.</p>`}
${draw(traceParts(source, i, traces), `Milliseconds of the traced ${traces.length > 1 ? 'steps' : 'step'} by part; the parts of a tower do not overlap, so exchange and wait are only what no computing hides. “Other” is the time between two ops; on CPUs also the time in which an op is ready, but the cores are busy.`)}
<ul>${findings(last, nameOf).map((each) => html`<li>${each}</li>`)}</ul>
${layerTable(last, nameOf)}`;
    }),
  };
}

function caption(traces: readonly Trace[]): string {
  const isByOp = traces.every(({ towers }) =>
    towers.every(({ spans }) => spans.every(({ lane }) => lane === 'thread')),
  );
  const exchanges = traces.some(({ towers }) => towers.length > 1);
  const lanes = isByOp
    ? `its thread computes layer by layer${exchanges ? ', and exchanges tensors in between' : ''}`
    : `its compiled function above, and below it its thread${exchanges ? ', which exchanges tensors meanwhile' : ''}`;
  return `What each tower does when, in a traced step: ${lanes}. Where a tower has no bar, nothing of it runs: the cores are busy, or its next command has not come yet.`;
}

function suffix({ names }: Source, i: number): string {
  return names.length > 1 ? ` of ${names[i]}` : '';
}

function toStep({ step, step_ms, towers }: Trace, nameOf: NameOf): TimelineStep {
  const used = LANES.filter((lane) => towers.some(({ spans }) => spans.some((each) => each.lane === lane)));
  const lanes = towers.flatMap(({ tower }) => used.map((lane) => `${capitalized(nameOf(tower))} ${lane}`));
  const spans = towers.flatMap((tower, t) =>
    longest(tower.spans).map(({ name, part, layer, lane, start_ms, ms }) => ({
      ...{ name, part, start: round(start_ms), ms: round(ms), lane: used.length * t + used.indexOf(lane) },
      ...(layer !== undefined && { layer }),
    })),
  );
  return { step, ms: step_ms, lanes, spans };
}

function longest(spans: Trace['towers'][number]['spans']) {
  if (spans.length <= MAX_SPANS) return spans;
  const least = spans.map(({ ms }) => ms).sort((a, b) => b - a)[MAX_SPANS - 1]!;
  return spans.filter(({ ms }) => ms >= least).slice(0, MAX_SPANS);
}

function round(value: number): number {
  return Number(value.toFixed(4));
}

function traceParts(source: Source, i: number, traces: readonly Trace[]) {
  const nameOf = towerNames(source.runs[i]!.start);
  const rows = traces.flatMap(({ step, towers }) => towers.map((each) => ({ step, ...each })));
  return {
    ...({
      kind: 'bars',
      id: `trace-parts-${i}`,
      title: `Parts of the traced steps${suffix(source, i)}`,
      unit: 'ms',
      stacked: true,
    } as const),
    category: 'step and tower',
    categories: rows.map(({ step, tower }) => `step ${step}, ${nameOf(tower)}`),
    series: SPAN_PARTS.map((name) => ({ name, tone: name, values: rows.map(({ parts_ms }) => parts_ms[name]) })),
  };
}

/** Which layer is slow, who waits for whom, and what the exchange hides behind. */
function findings({ step, step_ms, towers }: Trace, nameOf: NameOf): string[] {
  const slowest = layersOf(towers)[0];
  const exchanged = towers.map(({ tower, hidden_exchange_ms, parts_ms }) => {
    const all = hidden_exchange_ms + parts_ms.exchange;
    return all > 0
      ? `${nameOf(tower)} hides ${share(hidden_exchange_ms / all)} of its ${milliseconds(all)} of exchange behind computing`
      : '';
  });
  const waits = towers.map(
    ({ tower, parts_ms }) =>
      `${nameOf(tower)} waits ${milliseconds(parts_ms.wait)} (${share(parts_ms.wait / step_ms)})`,
  );
  return [
    slowest &&
      `The slowest layer of step ${count(step)} is ${slowest.layer}: ${milliseconds(slowest.slowest)} in one tower, forward and backward.`,
    towers.length > 1 && `For the other tower, ${waits.join(', ')}.`,
    exchanged.some(Boolean) && `In step ${count(step)}, ${exchanged.filter(Boolean).join(', and ')}.`,
  ].filter((each) => typeof each === 'string');
}

/** Time of each layer by tower, the slowest first. */
function layersOf(towers: Trace['towers']) {
  const layers = new Map<string, { forward: number; backward: number }[]>();
  towers.forEach(({ spans }, t) => {
    for (const { layer, part, ms } of spans) {
      if (layer === undefined || (part !== 'forward' && part !== 'backward')) continue;
      const times = layers.get(layer) ?? towers.map(() => ({ forward: 0, backward: 0 }));
      times[t]![part] += ms;
      layers.set(layer, times);
    }
  });
  return [...layers]
    .map(([layer, times]) => ({
      layer,
      times,
      slowest: Math.max(...times.map((each) => each.forward + each.backward)),
    }))
    .sort((a, b) => b.slowest - a.slowest);
}

function layerTable({ step, towers }: Trace, nameOf: NameOf): Markup | undefined {
  const layers = layersOf(towers);
  if (layers.length === 0) return undefined;
  const columns = [
    'layer',
    ...towers.flatMap(({ tower }) => [`${nameOf(tower)} forward`, `${nameOf(tower)} backward`]),
  ];
  const rows = layers.map(({ layer, times }) => [
    layer,
    ...times.flatMap((each) => [milliseconds(each.forward), milliseconds(each.backward)]),
  ]);
  return table(`Computing by layer in step ${step}, the slowest first`, columns, rows);
}

/** Bars of all runs, for a page of many. */
export function partsOfRuns({ runs, names, draw }: Source): Markup | undefined {
  const timed = runs.flatMap(({ time }: RunReport, i) => (time ? [{ name: names[i]!, parts: time.parts }] : []));
  if (timed.length === 0) return undefined;
  const parts = ['compute', 'exchange', 'wait', 'data', 'other'] as const;
  return draw(
    {
      ...{ kind: 'bars', id: 'parts', title: 'Mean step by run', unit: 'ms', category: 'run', stacked: true },
      categories: timed.map(({ name }) => name),
      series: parts.map((name) => ({ name, tone: name, values: timed.map((each) => each.parts[name]) })),
    },
    'Mean milliseconds of a step of each run: computing, exchange and wait of the slower tower, and waiting for data.',
  );
}
