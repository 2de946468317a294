/** What the options of all charts share. */
import type { Unit } from '../figure.js';
import { bytes } from '../units.js';
import type { EChartsCoreOption } from './echarts.js';
import type { Colours } from './theme.js';

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const CHARACTER_PIXELS = 6.7;
/** Too narrow a label is broken, so these are the pixels of wide letters. */
const LABEL_CHARACTER_PIXELS = 7.3;
const LEGEND_ROW_PIXELS = 22;

export interface Space {
  colours: Colours;
  /** Pixels. */
  width: number;
  isStill: boolean;
  isPaper: boolean;
}

/** @param names of the legend's entries. @returns the option, and the height that the legend takes at the top. */
export function common({ colours, width, isStill }: Space, names: readonly string[]) {
  const { text, muted, line, surface } = colours;
  const shown = names.length > 1 ? names : [];
  const rows = legendRows(shown, width);
  const option: EChartsCoreOption = {
    animation: !isStill,
    ...{ animationDuration: 300, animationDurationUpdate: 200 },
    backgroundColor: 'transparent',
    textStyle: { fontFamily: FONT, color: text, fontSize: 12 },
    aria: { enabled: true, label: { enabled: false }, decal: { show: true } },
    legend: {
      ...{
        show: shown.length > 0,
        data: [...names],
        top: 0,
        left: 0,
        right: 0,
        itemWidth: 22,
        itemHeight: 12,
        itemGap: 14,
      },
      formatter: (name: string) => cut(name, 42),
      textStyle: { color: text, fontFamily: FONT },
      inactiveColor: muted,
    },
    tooltip: {
      ...{
        trigger: 'item',
        confine: true,
        transitionDuration: isStill ? 0 : 0.1,
        backgroundColor: surface,
        borderColor: line,
      },
      textStyle: { color: text, fontSize: 12, fontFamily: FONT },
    },
  };
  return { option, top: rows * LEGEND_ROW_PIXELS + 10 };
}

function legendRows(names: readonly string[], width: number): number {
  let [rows, used] = [names.length > 0 ? 1 : 0, 0];
  for (const name of names) {
    const own = Math.min(name.length, 42) * CHARACTER_PIXELS + 42;
    if (used > 0 && used + own > width) {
      rows++;
      used = 0;
    }
    used += own;
  }
  return rows;
}

export function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

/** Style of an axis. */
export function axis({ line, muted }: Colours, isLined: boolean) {
  return {
    axisLine: { show: !isLined, lineStyle: { color: line } },
    axisTick: { show: false },
    axisLabel: { color: muted, hideOverlap: true },
    splitLine: { show: isLined, lineStyle: { color: line } },
    nameTextStyle: { color: muted },
  };
}

/** Numbers on an axis, shorter than in a tooltip. */
export function tick(value: number, unit: Unit): string {
  if (unit === 'ms') return `${Number(value.toPrecision(6))}`;
  if (unit === 'share') return `${Number((value * 100).toPrecision(4))} %`;
  if (unit === 'bytes') return bytes(value, 4);
  return unit === 'images/s' && value >= 10_000 ? `${value / 1000}k` : String(Number(value.toPrecision(6)));
}

/** The text of a tooltip: a title, and rows of a name and a value. Texts from a log go into it as text. */
export function tip(
  title: string,
  rows: readonly (readonly [name: string, value: string, colour?: string])[],
): HTMLElement {
  const box = document.createElement('div');
  const head = document.createElement('strong');
  head.textContent = cut(title, 80);
  box.append(head);
  for (const [name, value, colour] of rows) {
    const row = document.createElement('div');
    row.className = 'tip-row';
    const mark = document.createElement('span');
    mark.className = 'tip-mark';
    if (colour !== undefined) mark.style.background = colour;
    const [label, number] = [document.createElement('span'), document.createElement('b')];
    label.textContent = cut(name, 60);
    number.textContent = value;
    row.append(...(colour === undefined ? [] : [mark]), label, number);
    box.append(row);
  }
  return box;
}

/** Pixels that the longest name takes, at most a share of the width. */
export function labelPixels(names: readonly string[], width: number): number {
  const longest = Math.max(...names.map((each) => each.length), 1) * LABEL_CHARACTER_PIXELS;
  return Math.min(longest, Math.max(70, width * 0.32));
}
