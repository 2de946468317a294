/** Curves with bands. */
import type { Line, Lines, Unit } from '../figure.js';
import type { Finite } from '../model.js';
import { show } from '../units.js';
import { axis, common, type Space, tick, tip } from './common.js';
import type { CustomSeriesRenderItemAPI, CustomSeriesRenderItemParams, EChartsCoreOption } from './echarts.js';
import { colourOf } from './theme.js';

const SYMBOLS = ['circle', 'diamond', 'rect', 'triangle', 'roundRect', 'pin'];
const DASHES = ['solid', [7, 3], [2, 3], [10, 3, 2, 3]] as const;

/** ECharts does not take 'none' for the points of a line. */
const NO_PATTERN = { color: 'rgba(0, 0, 0, 0)' };

/** From twice this number of entries on, successive ones are joined. */
const MOST_ENTRIES = 80;

const LINES_HEIGHT = 260;

export function linesOption(figure: Lines, range: Range, space: Space): { option: EChartsCoreOption; height: number } {
  const { lines, unit, x } = figure;
  const { colours } = space;
  const names = lines.map(({ name }) => name);
  const { option, top } = common(space, names);
  const [first, last] = stepsOf(lines);
  return {
    height: LINES_HEIGHT + top,
    option: {
      ...option,
      grid: { top: top + 8, left: 58, right: 16, bottom: 40, outerBoundsMode: 'none' },
      xAxis: {
        ...axis(colours, false),
        ...{ type: 'value', name: x, nameLocation: 'middle', nameGap: 26, min: first, max: last, minInterval: 1 },
        axisLabel: { color: colours.muted, hideOverlap: true, formatter: wholeStep },
      },
      dataZoom: [zoom()],
      tooltip: {
        ...(option.tooltip as object),
        trigger: 'axis',
        axisPointer: { type: 'line', snap: true, lineStyle: { color: colours.muted }, label: { show: false } },
        formatter: (points: { seriesName: string; value: readonly Finite[]; color: string }[]) =>
          tip(
            `${x} ${show(points[0]?.value[0], 'count')}`,
            points.map(({ seriesName, value, color }) => [seriesName, withBand(value, unit), color] as const),
          ),
      },
      ...visibleOption(figure, range, space),
    },
  };
}

/** A zoomed axis ends between two steps. */
function wholeStep(value: number): string {
  return Number.isInteger(value) ? value.toLocaleString('en-US') : '';
}

/** `0.45 (0.4 to 0.52)`. */
function withBand([, mean, low, high]: readonly Finite[], unit: Unit): string {
  const band = typeof low === 'number' && typeof high === 'number' && low < high;
  return `${show(mean, unit)}${band ? ` (${show(low, unit)} to ${show(high, unit)})` : ''}`;
}

/** Percents of the x axis. */
export type Range = readonly [start: number, end: number];

/** What depends on the shown part of the x axis: how fine the lines are, and the range of the y axis. */
export function visibleOption({ lines, unit }: Lines, [start, end]: Range, space: Space) {
  const { colours } = space;
  const [first, last] = stepsOf(lines);
  const [from, to] = [start, end].map((percent) => first + ((last - first) * percent) / 100) as [number, number];
  const shown = lines.map((line) => joined(line, from, to));
  const opacity = shown.filter((each) => each.low).length > 3 ? 0.08 : 0.18;
  return {
    yAxis: {
      ...{ ...axis(colours, true), type: 'value', ...visibleValues(shown, [from, to], unit) },
      axisLabel: { color: colours.muted, formatter: (value: number) => tick(value, unit) },
    },
    series: shown.flatMap((line, i): object[] => [seriesOf(line, i, space), bandOf(line, i, opacity, space)]),
  };
}

/** The first and the last step; one step alone has some space. */
function stepsOf(lines: readonly Line[]): [number, number] {
  const steps = lines.flatMap((each) => each.x);
  const [first, last] = extent(steps);
  return steps.every((each) => each === steps[0]) ? [Math.floor(first), Math.ceil(last)] : [first, last];
}

/** Wheel and drag; `charts.ts` sets the wheel free once the chart has the focus. */
export function zoom() {
  return {
    ...{ type: 'inside', xAxisIndex: 0, filterMode: 'none', minSpan: 0.5, preventDefaultMouseMove: false },
    ...{ zoomOnMouseWheel: 'ctrl', moveOnMouseWheel: false, moveOnMouseMove: true },
  };
}

function seriesOf({ name, tone, x, y, low, high, points, stepped, dashed }: Line, i: number, { colours }: Space) {
  const colour = colourOf(tone, colours);
  const dash = typeof tone === 'number' ? DASHES[(dashed ? 1 : 0) + 2 * (Math.floor(i / 8) % 2)] : 'solid';
  return {
    ...{
      type: 'line',
      name,
      id: `line-${i}`,
      data: x.map((each, at) => [each, y[at], low?.[at], high?.[at]]),
      z: 3,
      clip: true,
      step: stepped ? 'end' : false,
    },
    ...{ showSymbol: points === true || x.length === 1, symbol: SYMBOLS[i % SYMBOLS.length], symbolSize: 8 },
    lineStyle: { color: colour, width: 2, type: dash },
    itemStyle: { color: colour, decal: NO_PATTERN },
    emphasis: { disabled: true },
  };
}

/** The band as one polygon. */
function bandOf({ name, tone, x, low, high }: Line, i: number, opacity: number, { colours }: Space) {
  const known = x.map((_, at) => at).filter((at) => typeof low?.[at] === 'number' && typeof high?.[at] === 'number');
  const outline = [...known.map((at) => [x[at], high![at]]), ...[...known].reverse().map((at) => [x[at], low![at]])];
  const hasBand = known.length > 1;
  return {
    ...{ type: 'custom', name, id: `band-${i}`, z: 1, silent: true, clip: true, tooltip: { show: false } },
    data: hasBand ? [[x[known[0]!], high![known[0]!]]] : [],
    itemStyle: { color: colourOf(tone, colours), decal: NO_PATTERN },
    renderItem: (_: CustomSeriesRenderItemParams, api: CustomSeriesRenderItemAPI) => ({
      type: 'polygon' as const,
      shape: { points: outline.map((each) => api.coord(each as number[])) },
      style: { fill: colourOf(tone, colours), opacity },
    }),
  };
}

/** Joins successive entries, if so many are shown that the line would be a tangle: to their mean, with a band. */
function joined(line: Line, from: number, to: number): Line {
  const { x, y, low = y, high = y } = line;
  const size = Math.floor(x.filter((each) => each >= from && each <= to).length / MOST_ENTRIES);
  if (line.points || line.stepped || size < 2) return line;
  const groups = Array.from({ length: Math.ceil(x.length / size) }, (_, i) => [i * size, (i + 1) * size] as const);
  const of = (list: readonly Finite[], reduce: (values: number[]) => number) =>
    groups.map((group) => {
      const values = list.slice(...group).filter((each) => typeof each === 'number');
      return values.length === 0 ? null : reduce(values);
    });
  return {
    ...line,
    x: groups.map(([, end]) => x[Math.min(end, x.length) - 1]!),
    y: of(y, (values) => values.reduce((sum, each) => sum + each, 0) / values.length),
    low: of(low, (values) => Math.min(...values)),
    high: of(high, (values) => Math.max(...values)),
  };
}

/** The range of an axis for what lines and bands have between two x values, from and to round numbers. */
function visibleValues(lines: readonly Line[], [from, to]: readonly [number, number], unit: Unit) {
  const values = lines.flatMap(({ x, y, low, high }) =>
    x.flatMap((each, i) => (each < from || each > to ? [] : [y[i], low?.[i], high?.[i]])),
  );
  const known = values.filter((each) => typeof each === 'number');
  return known.length === 0 ? {} : roundRange(extent(known), unit);
}

/** @param range whose ends are different. */
export function roundRange([low, high]: readonly [number, number], unit: Unit) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const interval = power * ([1, 2, 5].find((each) => each * power >= rough * 0.999) ?? 10);
  const [least, most] = unit === 'share' ? [0, 1] : [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  const round = (value: number) => Number(value.toPrecision(12));
  return {
    min: Math.max(least, round(Math.floor(low / interval) * interval)),
    max: Math.min(most, round(Math.ceil(high / interval) * interval)),
    interval: round(interval),
  };
}

export function extent(values: readonly number[]): [number, number] {
  const [low, high] = values.reduce(([a, b], each) => [Math.min(a, each), Math.max(b, each)], [Infinity, -Infinity]);
  if (!Number.isFinite(low)) return [0, 1];
  if (low < high) return [low, high];
  const half = low === 0 ? 1 : Math.abs(low) / 10;
  return [low - half, low + half];
}
