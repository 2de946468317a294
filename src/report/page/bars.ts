/** Bars, and values with intervals. */
import type { Bars, Intervals } from '../figure.js';
import { show } from '../units.js';
import { axis, common, labelPixels, type Space, tick, tip } from './common.js';
import type { CustomSeriesRenderItemAPI, CustomSeriesRenderItemParams, EChartsCoreOption } from './echarts.js';
import { extent, roundRange } from './lines.js';
import { colourOf } from './theme.js';

/** A value is written into its part of a bar if that is wide enough. */
const LABEL_PIXELS = 52;

export function barsOption(figure: Bars, space: Space): { option: EChartsCoreOption; height: number } {
  const { categories, unit, stacked } = figure;
  const { colours, width } = space;
  const series = figure.series.filter(({ values }) => values.some((each) => each !== null && each !== 0));
  const { option, top } = common(
    space,
    series.map(({ name }) => name),
  );
  const left = labelPixels(categories, width) + 14;
  const sums = categories.map((_, i) => {
    const own = series.map(({ values }) => values[i] ?? 0);
    return stacked ? own.reduce((sum, each) => sum + each, 0) : Math.max(...own, 0);
  });
  const pixels = (width - left - 24) / Math.max(...sums, Number.MIN_VALUE);
  const rowPixels = stacked ? (categories.length > 8 ? 30 : 40) : Math.max(26, 9 * series.length + 8);
  return {
    height: categories.length * rowPixels + top + 44,
    option: {
      ...option,
      grid: { top: top + 4, left, right: 24, bottom: 30, outerBoundsMode: 'none' },
      xAxis: {
        ...{ ...axis(colours, true), type: 'value', splitNumber: width < 500 ? 3 : 5 },
        axisLabel: {
          color: colours.muted,
          hideOverlap: true,
          formatter: (value: number) => `${tick(value, unit)}${unit === 'ms' ? ' ms' : ''}`,
        },
      },
      yAxis: categoryAxis(categories, left, space),
      tooltip: {
        ...(option.tooltip as object),
        ...{ trigger: 'axis', axisPointer: { type: 'shadow' } },
        formatter: (points: { dataIndex: number; seriesName: string; value: number; color: string }[]) =>
          tip(
            categories[points[0]?.dataIndex ?? 0] ?? '',
            points.map(({ seriesName, value, color }) => [seriesName, show(value, unit), color] as const),
          ),
      },
      series: series.map(({ name, tone, values }) => ({
        ...{ type: 'bar', name, ...(stacked && { stack: 'all' }), barMaxWidth: 26, barGap: '8%' },
        itemStyle: { color: colourOf(tone, colours), borderColor: colours.surface, borderWidth: stacked ? 1 : 0 },
        data: values.map((value) => ({
          value,
          label: {
            ...{
              show: stacked && (value ?? 0) * pixels > LABEL_PIXELS,
              position: 'inside',
              formatter: show(value, unit),
            },
            ...{
              color: colours.text,
              backgroundColor: colours.surface,
              padding: [2, 4],
              borderRadius: 3,
              fontSize: 11,
            },
          },
        })),
        emphasis: { disabled: true },
      })),
    },
  };
}

function categoryAxis(categories: readonly string[], left: number, { colours }: Space) {
  return {
    ...{ ...axis(colours, false), type: 'category', data: [...categories], inverse: true },
    axisLabel: { color: colours.text, width: left - 14, overflow: 'break', interval: 0, lineHeight: 14 },
  };
}

export function intervalsOption(figure: Intervals, space: Space): { option: EChartsCoreOption; height: number } {
  const { categories, values, low, high, unit, title } = figure;
  const { colours, width } = space;
  const { option } = common(space, []);
  const left = labelPixels(categories, width) + 14;
  const colour = colours.series[0]!;
  const known = [...values, ...low, ...high].filter((each) => typeof each === 'number');
  const data = categories.map((_, i) => [values[i] ?? '-', low[i] ?? values[i] ?? '-', high[i] ?? values[i] ?? '-', i]);
  return {
    height: categories.length * 32 + 50,
    option: {
      ...option,
      grid: { top: 8, left, right: 28, bottom: 30, outerBoundsMode: 'none' },
      xAxis: {
        ...{ ...axis(colours, true), type: 'value', ...roundRange(extent(known), unit) },
        axisLabel: { color: colours.muted, hideOverlap: true, formatter: (value: number) => tick(value, unit) },
      },
      yAxis: categoryAxis(categories, left, space),
      tooltip: {
        ...(option.tooltip as object),
        formatter: ({ value: [mean, least, most, i] }: { value: [number, number, number, number] }) =>
          tip(categories[i] ?? '', [
            [title, show(mean, unit), colour],
            ['95 % interval', `${show(least, unit)} to ${show(most, unit)}`],
          ]),
      },
      series: [
        {
          ...{ type: 'custom', name: title, data, encode: { x: [0, 1, 2], y: 3 }, clip: true },
          renderItem: (_: CustomSeriesRenderItemParams, api: CustomSeriesRenderItemAPI) =>
            whiskers(api, colour, colours.surface),
        },
      ],
    },
  };
}

function whiskers(api: CustomSeriesRenderItemAPI, colour: string, surface: string) {
  const [at, from, to] = [0, 1, 2].map((each) => api.coord([api.value(each), api.value(3)]));
  if (!at || !from || !to || Number.isNaN(at[0]!)) return null;
  const y = at[1]!;
  const line = (x1: number, y1: number, x2: number, y2: number, lineWidth: number) => ({
    ...{ type: 'line' as const, shape: { x1, y1, x2, y2 }, style: { stroke: colour, lineWidth } },
  });
  return {
    type: 'group' as const,
    children: [
      line(from[0]!, y, to[0]!, y, 3),
      ...[from, to].map(([x]) => line(x!, y - 6, x!, y + 6, 2)),
      {
        type: 'circle' as const,
        shape: { cx: at[0]!, cy: y, r: 6 },
        style: { fill: colour, stroke: surface, lineWidth: 2 },
      },
    ],
  };
}
