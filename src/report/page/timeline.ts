/** The timeline of a traced step. */
import { SPAN_PARTS, type Span, type Timeline } from '../figure.js';
import { show } from '../units.js';
import { axis, common, cut, type Space, tip } from './common.js';
import {
  type CustomSeriesRenderItemAPI,
  type CustomSeriesRenderItemParams,
  type EChartsCoreOption,
  graphic,
} from './echarts.js';
import { zoom } from './lines.js';
import { colourOf } from './theme.js';

const LANE_PIXELS = 46;

/** @param index of the step in the figure. */
export function timelineOption(
  { steps }: Timeline,
  index: number,
  space: Space,
): { option: EChartsCoreOption; height: number } {
  const { colours, width } = space;
  const { lanes, spans, ms } = steps[Math.min(index, steps.length - 1)]!;
  const parts = SPAN_PARTS.filter((part) => spans.some((each) => each.part === part));
  const { option, top } = common(space, parts);
  const end = Math.max(ms, ...spans.map((each) => each.start + each.ms));
  const left = width < 500 ? 66 : 76;
  return {
    height: lanes.length * LANE_PIXELS + top + 96,
    option: {
      ...option,
      grid: { top: top + 4, left, right: 14, bottom: 84, outerBoundsMode: 'none' },
      xAxis: {
        ...{ ...axis(colours, true), type: 'value', min: 0, max: end, splitNumber: width < 500 ? 4 : 8 },
        axisLabel: {
          color: colours.muted,
          hideOverlap: true,
          showMaxLabel: false,
          formatter: (value: number) => `${Number(value.toPrecision(4))} ms`,
        },
      },
      yAxis: {
        ...{ ...axis(colours, false), type: 'category', data: [...lanes], inverse: true },
        axisLabel: {
          color: colours.text,
          interval: 0,
          lineHeight: 15,
          formatter: (name: string) => name.replace(/ (?=\S+$)/, '\n'),
        },
        splitArea: { show: false },
        splitLine: { show: true, lineStyle: { color: colours.line } },
      },
      dataZoom: [
        { ...zoom(), minSpan: 0.2 },
        {
          ...{
            type: 'slider',
            xAxisIndex: 0,
            filterMode: 'none',
            bottom: 8,
            height: 30,
            left,
            right: 14,
            minSpan: 0.2,
          },
          ...{ showDetail: false, showDataShadow: false, brushSelect: false, borderColor: colours.line },
          ...{
            fillerColor: `${colours.series[0]}33`,
            handleStyle: { color: colours.muted },
            moveHandleStyle: { color: colours.muted },
          },
        },
      ],
      tooltip: {
        ...(option.tooltip as object),
        formatter: ({ data }: { data: { span: Span } }) => spanTip(data.span, lanes[data.span.lane] ?? '', end),
      },
      series: parts.map((part) => ({
        ...{ type: 'custom', name: part, clip: true, encode: { x: [0, 1], y: 2 } },
        itemStyle: { color: colourOf(part, colours) },
        data: spans
          .filter((each) => each.part === part)
          .map((span) => ({ value: [span.start, span.start + span.ms, span.lane], span })),
        renderItem: bar(
          spans.filter((each) => each.part === part),
          space,
        ),
      })),
    },
  };
}

function spanTip({ name, part, layer, start, ms }: Span, lane: string, end: number): HTMLElement {
  return tip(name, [
    ['part', part],
    ...(layer === undefined ? [] : [['layer', layer] as const]),
    ['where', lane],
    ['start', show(start, 'ms')],
    ['duration', `${show(ms, 'ms')}, ${show(ms / end, 'share')} of the step`],
  ]);
}

function bar(spans: readonly Span[], { colours }: Space) {
  return (params: CustomSeriesRenderItemParams, api: CustomSeriesRenderItemAPI) => {
    const [from, to] = [0, 1].map((each) => api.coord([api.value(each), api.value(2)]));
    const space = params.coordSys as unknown as { x: number; y: number; width: number; height: number };
    const height = (api.size!([0, 1]) as number[])[1]! * 0.66;
    const whole = { x: from![0]!, y: from![1]! - height / 2, width: Math.max(to![0]! - from![0]!, 0.75), height };
    const shape = graphic.clipRectByRect(whole, space);
    if (!shape) return { type: 'group' as const, children: [] };
    const text = spans[params.dataIndex]!.layer ?? spans[params.dataIndex]!.name;
    const room = Math.floor((shape.width - 12) / 6.5);
    return {
      type: 'group' as const,
      children: [
        {
          type: 'rect' as const,
          shape,
          style: { ...visual(api), stroke: colours.surface, lineWidth: shape.width > 3 ? 1 : 0 },
        },
        ...(room >= 3 && room >= Math.min(text.length, 5)
          ? [
              {
                type: 'text' as const,
                silent: true,
                style: {
                  ...{
                    text: cut(text, room),
                    x: shape.x + shape.width / 2,
                    y: shape.y + height / 2,
                    align: 'center' as const,
                    verticalAlign: 'middle' as const,
                  },
                  ...{
                    fill: colours.text,
                    fontSize: 11,
                    backgroundColor: colours.surface,
                    padding: [2, 3],
                    borderRadius: 3,
                  },
                },
              },
            ]
          : []),
      ],
    };
  };
}

/** The fill and the pattern that ECharts has chosen for the series. */
function visual(api: CustomSeriesRenderItemAPI) {
  return { fill: api.visual('color'), decal: api.visual('decal') } as object;
}
