/** A chart in a page: the place where the browser draws it, its caption, and its numbers as a table. */
import type { Bars, Figure, Lines, Timeline } from '../figure.js';
import type { Finite } from '../model.js';
import { show } from '../units.js';
import { html, type Markup, table } from './markup.js';

/** Writes the place of a figure, and keeps the figure for the browser. @param caption what it shows, in one sentence. */
export type Draw = (figure: Figure, caption: string) => Markup;

/** Rows of a table for each line, and for each traced step. */
const MAX_ROWS = 40;
const MAX_SPANS = 40;

/** @param figures to which each drawn figure is added. */
export function drawInto(figures: Figure[]): Draw {
  return (given, caption) => {
    const figure = withValues(given);
    if (figure.kind === 'lines' && figure.lines.length === 0)
      return html`<p class="missing">${figure.title}: no value in the log is a finite number.</p>`;
    figures.push(figure);
    const { id, kind, title } = figure;
    return html`<figure class="figure" id="figure-${id}" data-kind="${kind}">
<div class="figure-head"><h3>${title}</h3>${(kind === 'lines' || kind === 'timeline') && toolbar(title)}</div>
${kind === 'timeline' && steps(figure)}
<div class="chart" id="chart-${id}" role="img" aria-label="${`${title}. ${caption}`}"></div>
<figcaption>${caption}</figcaption>
<details class="data" id="data-${id}"><summary>Data of “${title}”</summary>${tableOf(figure)}</details>
</figure>`;
  };
}

/** Leaves out lines without a number: all of them were NaN, or infinite. */
function withValues(figure: Figure): Figure {
  if (figure.kind !== 'lines') return figure;
  return { ...figure, lines: figure.lines.filter(({ y }) => y.some((each) => typeof each === 'number')) };
}

const BUTTONS = [
  ['in', '+', 'Zoom in', '+'],
  ['out', '−', 'Zoom out', '-'],
  ['left', '←', 'Move left', 'ArrowLeft'],
  ['right', '→', 'Move right', 'ArrowRight'],
  ['reset', 'all', 'Show all', '0'],
] as const;

function toolbar(title: string): Markup {
  const buttons = BUTTONS.map(
    ([action, sign, label, key]) =>
      html`<button type="button" data-zoom="${action}" aria-label="${label}" aria-keyshortcuts="${key}" title="${label} (${key})">${sign}</button>`,
  );
  return html`<div class="toolbar script-only" role="group" aria-label="Zoom of ${title}">${buttons}</div>`;
}

/** The choice among traced steps. */
function steps({ id, steps }: Timeline): Markup {
  const options = steps.map(
    ({ step }, i) => html`<option value="${step}"${i === steps.length - 1 && html` selected`}>${step}</option>`,
  );
  return html`<p class="choice script-only"><label for="step-${id}">Step</label> <select id="step-${id}">${options}</select>
<span class="hint">Click into the chart, then zoom with the wheel and drag; or use the keys + − ← → 0.</span></p>`;
}

function tableOf(figure: Figure): Markup {
  switch (figure.kind) {
    case 'lines':
      return linesTable(figure);
    case 'bars':
      return barsTable(figure);
    case 'intervals': {
      const { unit } = figure;
      const rows = figure.categories.map((name, i) => [
        name,
        ...[figure.values, figure.low, figure.high].map((each) => show(each[i], unit)),
      ]);
      return table(figure.title, [figure.category, 'value', 'low', 'high'], rows);
    }
    case 'timeline':
      return timelineTable(figure);
  }
}

function linesTable({ title, x, y, unit, lines }: Lines): Markup {
  const hasBands = lines.some((each) => each.low);
  const rows = lines.flatMap((line) => {
    const value = (list: readonly Finite[] | undefined, i: number) => show(list?.[i], unit);
    return evenly(line.x.length, MAX_ROWS).map((i) => [
      ...[line.name, show(line.x[i], 'count'), value(line.y, i)],
      ...(hasBands ? [value(line.low, i), value(line.high, i)] : []),
    ]);
  });
  const shortened = lines.some((each) => each.x.length > MAX_ROWS)
    ? ` (${MAX_ROWS} entries of each line, evenly spaced)`
    : '';
  return table(`${title}${shortened}`, ['line', x, y, ...(hasBands ? ['low', 'high'] : [])], rows);
}

/** Indices from 0 to length - 1, the first and the last among them. */
function evenly(length: number, atMost: number): number[] {
  if (length <= atMost) return Array.from({ length }, (_, i) => i);
  return Array.from({ length: atMost }, (_, i) => Math.round((i * (length - 1)) / (atMost - 1)));
}

function barsTable({ title, unit, category, categories, series }: Bars): Markup {
  const rows = categories.map((name, i) => [name, ...series.map(({ values }) => show(values[i], unit))]);
  return table(title, [category, ...series.map(({ name }) => name)], rows);
}

function timelineTable({ title, steps }: Timeline): Markup {
  return html`${[...steps].reverse().map(({ step, lanes, spans }) => {
    const longest = [...spans].sort((a, b) => b.ms - a.ms).slice(0, MAX_SPANS);
    const shown = spans.filter((each) => longest.includes(each)).sort((a, b) => a.start - b.start);
    const rows = shown.map((each) => [
      ...[each.name, lanes[each.lane], each.part, each.layer ?? '–'],
      ...[show(each.start, 'ms'), show(each.ms, 'ms')],
    ]);
    const shortened = shown.length < spans.length ? ` (the ${MAX_SPANS} longest of ${spans.length} spans)` : '';
    return table(`${title}, step ${step}${shortened}`, ['span', 'where', 'part', 'layer', 'start', 'duration'], rows);
  })}`;
}
