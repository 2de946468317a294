/**
 * A chart of a report's page as data. `sections/` makes figures from a report and writes the text and the table beside
 * each; `page/`, in the browser, draws them. Both import only this file of one another.
 */
import type { Finite } from './model.js';

/** What a number is: how an axis and a table show it. `share` is from 0 to 1, shown in percent. */
export type Unit = 'count' | 'number' | 'share' | 'bytes' | 'ms' | 'images/s';

export const SPAN_PARTS = ['forward', 'backward', 'pass', 'update', 'exchange', 'wait', 'data', 'other'] as const;

/** What the time of a tower is spent on; `compute` is all computing together. */
type TimePart = (typeof SPAN_PARTS)[number] | 'compute';

/** The colour of a series: of a part of a step, or the number of a run, a tower or a group, from 0. */
export type Tone = TimePart | number;

export interface Line {
  name: string;
  tone: Tone;
  x: readonly number[];
  y: readonly Finite[];
  /** The band around the line. */
  low?: readonly Finite[];
  high?: readonly Finite[];
  /** Few measurements, each of which is marked by a point. */
  points?: boolean;
  /** The value stays the same from one entry to the next one. */
  stepped?: boolean;
  /** To tell it from another line of the same tone. */
  dashed?: boolean | undefined;
}

interface Named {
  /** Unique in the page; letters, digits and `-`. */
  id: string;
  title: string;
  unit: Unit;
}

export interface Lines extends Named {
  kind: 'lines';
  x: string;
  y: string;
  lines: readonly Line[];
}

/** Horizontal bars, one for each category, or one for each series in it. */
export interface Bars extends Named {
  kind: 'bars';
  /** What a category is, for the table. */
  category: string;
  categories: readonly string[];
  stacked: boolean;
  series: readonly { name: string; tone: Tone; values: readonly Finite[] }[];
}

/** Values with an interval each. */
export interface Intervals extends Named {
  kind: 'intervals';
  category: string;
  categories: readonly string[];
  values: readonly Finite[];
  low: readonly Finite[];
  high: readonly Finite[];
}

/** Traced steps, one of which is shown at a time. */
export interface Timeline extends Named {
  kind: 'timeline';
  /** The newest last. */
  steps: readonly TimelineStep[];
}

export interface TimelineStep {
  step: number;
  ms: number;
  /** From the top. */
  lanes: readonly string[];
  spans: readonly Span[];
}

export interface Span {
  /** Index in `lanes`. */
  lane: number;
  part: (typeof SPAN_PARTS)[number];
  name: string;
  layer?: string;
  /** ms, from the start of the step. */
  start: number;
  ms: number;
}

export type Figure = Lines | Bars | Intervals | Timeline;

/** What the server of a live page sends: the contents of `<main>`, and the figures in it. */
export interface LivePage {
  title: string;
  main: string;
  figures: readonly Figure[];
}
