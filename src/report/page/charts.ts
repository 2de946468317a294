/** The charts of the page: drawn, redrawn when the theme, the size or the data change, and zoomed. */
import type { Figure, Timeline, TimelineStep } from '../figure.js';
import { show } from '../units.js';
import { barsOption, intervalsOption } from './bars.js';
import type { Space } from './common.js';
import { type ECharts, init } from './echarts.js';
import { linesOption, visibleOption } from './lines.js';
import { DARK, isDark, LIGHT } from './theme.js';
import { timelineOption } from './timeline.js';

interface Drawn {
  figure: Figure;
  chart: ECharts;
  place: HTMLElement;
  width: number;
  isDrawn: boolean;
  /** The shown step of a timeline. undefined for the newest. */
  step?: number;
  /** The shown part of the x axis, percent. */
  range: [start: number, end: number];
}

const drawn = new Map<string, Drawn>();
/** Paper has this many pixels between its margins. */
const PAPER_PIXELS = 680;
let isPrinting = false;

/** Draws figures, or draws them again with new data. */
export function drawAll(figures: readonly Figure[]): void {
  for (const figure of figures) {
    const place = document.getElementById(`chart-${figure.id}`);
    if (!place) continue;
    const known = drawn.get(figure.id);
    if (known?.place === place && JSON.stringify(known.figure) === JSON.stringify(figure)) continue;
    const entry: Drawn = known?.place === place ? Object.assign(known, { figure }) : begin(figure, place);
    drawn.set(figure.id, entry);
    draw(entry);
  }
  for (const [id, { place, chart }] of drawn) {
    if (place.isConnected) continue;
    chart.dispose();
    drawn.delete(id);
  }
}

function begin(figure: Figure, place: HTMLElement): Drawn {
  place.tabIndex = 0;
  const chart = init(place, null, { renderer: 'svg', width: 1, height: 1 });
  const entry: Drawn = { figure, chart, place, width: 0, isDrawn: false, range: [0, 100] };
  chart.on('datazoom', () => {
    const [zoom] = (chart.getOption().dataZoom ?? []) as { start: number; end: number }[];
    if (zoom) keepRange(entry, [zoom.start, zoom.end]);
  });
  sizes.observe(place);
  return entry;
}

/** A chart is as wide as its place. */
const sizes = new ResizeObserver((entries) => {
  if (isPrinting) return;
  for (const { target } of entries) {
    const entry = [...drawn.values()].find(({ place }) => place === target);
    if (entry && entry.width !== target.clientWidth && target.clientWidth > 0) draw(entry);
  }
});

function draw(entry: Drawn): void {
  const { figure, chart, place } = entry;
  entry.width = isPrinting ? PAPER_PIXELS : Math.max(place.clientWidth, 200);
  const { option, height } = optionOf(entry, spaceOf(entry));
  place.style.height = `${height}px`;
  chart.resize({ width: entry.width, height, silent: true });
  const { legend } = (chart.getOption() ?? {}) as { legend?: { selected?: object }[] };
  const selected = legend?.[0]?.selected;
  chart.setOption(selected ? { ...option, legend: { ...(option.legend as object), selected } } : option, {
    notMerge: true,
  });
  entry.isDrawn = true;
  if (isZoomable(figure)) {
    const [start, end] = entry.range;
    if (start > 0 || end < 100) chart.dispatchAction({ type: 'dataZoom', start, end });
    keepRange(entry, entry.range);
  }
}

/** Only the first drawing moves. */
function spaceOf({ width, isDrawn }: Drawn): Space {
  const isStill = isDrawn || isPrinting || matchMedia('(prefers-reduced-motion: reduce)').matches;
  return { colours: isDark() && !isPrinting ? DARK : LIGHT, width, isStill, isPaper: isPrinting };
}

function optionOf({ figure, step, range }: Drawn, space: Space) {
  switch (figure.kind) {
    case 'lines':
      return linesOption(figure, range, space);
    case 'bars':
      return barsOption(figure, space);
    case 'intervals':
      return intervalsOption(figure, space);
    case 'timeline':
      return timelineOption(shownStep(figure, step), space);
  }
}

function shownStep({ steps }: Timeline, step: number | undefined): TimelineStep {
  return steps.find((each) => each.step === step) ?? steps.at(-1)!;
}

function isZoomable({ kind }: Figure): boolean {
  return kind === 'lines' || kind === 'timeline';
}

/** All charts again, for another theme or another width. */
export function redraw(): void {
  for (const entry of drawn.values()) draw(entry);
}

/** For paper: light, still, and as wide as a page. */
export function watchPrinting(): void {
  const set = (printing: boolean) => {
    if (printing === isPrinting) return;
    isPrinting = printing;
    redraw();
  };
  matchMedia('print').addEventListener('change', ({ matches }) => set(matches));
  addEventListener('beforeprint', () => set(true));
  addEventListener('afterprint', () => set(false));
}

/** Shows a step of a timeline. */
export function showStep(id: string, step: number): void {
  const entry = drawn.get(id);
  if (entry?.figure.kind !== 'timeline') return;
  // Who looks at the newest step of a live page goes on to see the newest.
  if (step === entry.figure.steps.at(-1)?.step) delete entry.step;
  else entry.step = step;
  entry.range = [0, 100];
  draw(entry);
}

export type ZoomAction = 'in' | 'out' | 'left' | 'right' | 'reset';

/** @returns what is shown then, for the screen reader. */
export function zoomBy(id: string, action: ZoomAction): string | undefined {
  const entry = drawn.get(id);
  if (!entry || !isZoomable(entry.figure)) return undefined;
  const [start, end] = nextRange(entry.range, action);
  entry.chart.dispatchAction({ type: 'dataZoom', start, end });
  keepRange(entry, [start, end]);
  return shownRange(entry);
}

function nextRange([start, end]: [number, number], action: ZoomAction): [number, number] {
  if (action === 'reset') return [0, 100];
  const span = end - start;
  const [middle, next] = [
    (start + end) / 2,
    Math.min(100, Math.max(0.5, action === 'in' ? span / 2 : action === 'out' ? span * 2 : span)),
  ];
  const shift = action === 'left' ? -span / 4 : action === 'right' ? span / 4 : 0;
  const from = Math.min(100 - next, Math.max(0, middle + shift - next / 2));
  return [from, from + next];
}

function keepRange(entry: Drawn, [start, end]: [number, number]): void {
  entry.range = [start, end];
  entry.place.dataset.range = `${start.toFixed(2)} ${end.toFixed(2)}`;
  const { figure, chart } = entry;
  if (figure.kind === 'lines') chart.setOption(visibleOption(figure, entry.range, spaceOf(entry)));
}

function shownRange({ figure, chart, range, step }: Drawn): string {
  const [axis] = chart.getOption().xAxis as { min: number; max: number }[];
  const [from, to] = range.map((each) => axis!.min + ((axis!.max - axis!.min) * each) / 100);
  if (figure.kind === 'timeline') {
    return `${figure.title}, step ${shownStep(figure, step).step}: ${show(from, 'ms')} to ${show(to, 'ms')}`;
  }
  return `${figure.title}: ${show(from, 'count')} to ${show(to, 'count')}`;
}

/** The wheel zooms a chart that has the focus; otherwise it scrolls the page, and zooms with Ctrl. */
export function setWheel(id: string, isFree: boolean): void {
  const entry = drawn.get(id);
  if (!entry || !isZoomable(entry.figure)) return;
  entry.chart.setOption({ dataZoom: [{ zoomOnMouseWheel: isFree ? true : 'ctrl' }] });
}
