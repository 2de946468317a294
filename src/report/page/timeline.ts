/** The timeline of a traced step. */
import { SPAN_PARTS, type Span, type TimelineStep } from '../figure.js';
import { show } from '../units.js';
import { axis, common, cut, type Space, tip } from './common.js';
import {
  type CustomSeriesRenderItemAPI,
  type CustomSeriesRenderItemParams,
  type CustomSeriesRenderItemReturn,
  type EChartsCoreOption,
  graphic,
} from './echarts.js';
import { zoom } from './lines.js';
import { type Colours, colourOf } from './theme.js';

const LANE_PIXELS = 46;

export function timelineOption(
  { lanes, spans, ms }: TimelineStep,
  space: Space,
): { option: EChartsCoreOption; height: number } {
  const { colours, width } = space;
  const parts = SPAN_PARTS.filter((part) => spans.some((each) => each.part === part));
  const { option, top } = common(space, parts);
  const end = Math.max(ms, ...spans.map((each) => each.start + each.ms));
  const left = width < 500 ? 66 : 76;
  return {
    height: lanes.length * LANE_PIXELS + top + (space.isPaper ? 40 : 96),
    option: {
      ...option,
      grid: { top: top + 4, left, right: 14, bottom: space.isPaper ? 28 : 84, outerBoundsMode: 'none' },
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
      dataZoom: [{ ...zoom(), minSpan: 0.2 }, ...(space.isPaper ? [] : [slider(left, colours)])],
      tooltip: {
        ...(option.tooltip as object),
        formatter: ({ data }: { data: { span: Span } }) => spanTip(data.span, lanes[data.span.lane] ?? '', end),
      },
      series: parts.map((part) => {
        const own = spans.filter((each) => each.part === part);
        // The whole pass, where its layers are known: a frame behind them.
        const isFrame = part === 'pass' && parts.includes('forward');
        return {
          ...{ type: 'custom', name: part, clip: true, encode: { x: [0, 1], y: 2 }, z: isFrame ? 1 : 2 },
          itemStyle: { color: colourOf(part, colours) },
          data: own.map((span) => ({ value: [span.start, span.start + span.ms, span.lane], span })),
          renderItem: bar(own, isFrame, space),
        };
      }),
    },
  };
}

/** A strip below the chart whose ends and middle can be dragged. */
function slider(left: number, { line, muted, series }: Colours) {
  return {
    ...{ type: 'slider', xAxisIndex: 0, filterMode: 'none', minSpan: 0.2, bottom: 8, height: 30, left, right: 14 },
    ...{
      showDetail: false,
      showDataShadow: false,
      brushSelect: false,
      borderColor: line,
      fillerColor: `${series[0]}33`,
    },
    ...{ handleStyle: { color: muted }, moveHandleStyle: { color: muted } },
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

/** Draws a span: a bar, with its name if that fits. */
function bar(spans: readonly Span[], isFrame: boolean, { colours }: Space) {
  return (params: CustomSeriesRenderItemParams, api: CustomSeriesRenderItemAPI): CustomSeriesRenderItemReturn => {
    const [from, to] = [0, 1].map((each) => api.coord([api.value(each), api.value(2)]));
    const place = params.coordSys as unknown as { x: number; y: number; width: number; height: number };
    const height = (api.size!([0, 1]) as number[])[1]! * (isFrame ? 0.86 : 0.66);
    const whole = { x: from![0]!, y: from![1]! - height / 2, width: Math.max(to![0]! - from![0]!, 0.75), height };
    const shape = graphic.clipRectByRect(whole, place);
    if (!shape) return null;
    const fill = { fill: api.visual('color') as string };
    if (isFrame) return { type: 'rect', shape, style: { ...fill, opacity: 0.2 } };
    const style = { ...fill, ...pattern(api), stroke: colours.surface, lineWidth: shape.width > 3 ? 1 : 0 };
    const { layer, name } = spans[params.dataIndex]!;
    const text = nameIn(shape, fits(shape, name) ? name : (layer ?? name), colours);
    // Without this, a name stays whose bar has become too short.
    return {
      type: 'group',
      $mergeChildren: false,
      children: [{ type: 'rect', shape, style }, ...(text ? [text] : [])],
    };
  };
}

function lettersIn({ width }: { width: number }): number {
  return Math.floor((width - 12) / 6.5);
}

function fits(shape: { width: number }, name: string): boolean {
  return name.length <= lettersIn(shape);
}

/** A text in the middle of a bar, undefined if it has no space. */
function nameIn(
  shape: { x: number; y: number; width: number; height: number },
  name: string,
  { text, surface }: Colours,
) {
  const letters = lettersIn(shape);
  if (letters < Math.min(name.length, 5)) return undefined;
  const place = { x: shape.x + shape.width / 2, y: shape.y + shape.height / 2 };
  const look = { fill: text, fontSize: 11, backgroundColor: surface, padding: [2, 3], borderRadius: 3 };
  const style = {
    ...place,
    ...look,
    text: cut(name, letters),
    align: 'center' as const,
    verticalAlign: 'middle' as const,
  };
  return { type: 'text' as const, silent: true, z2: 9, style }; // above bars that overlap its own
}

/** The pattern that ECharts has chosen for the series. */
function pattern(api: CustomSeriesRenderItemAPI) {
  return { decal: api.visual('decal') } as object;
}
