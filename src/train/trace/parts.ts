/** Divides the time of a traced step among what a tower did. */
import { TRACE_PARTS } from '../../log.js';
import type { Span, TracePart } from './spans.js';

export type Parts = Record<TracePart, number>;

const isComputing = ({ part }: Span) => part === 'forward' || part === 'backward' || part === 'update';
const isOp = (span: Span) => isComputing(span) && span.lane === 'function';

/**
 * What counts where several spans overlap, first first. Computing hides the exchange, and the exchange a wait. Of a whole
 * pass or update, which the thread waits for, only what nothing else explains counts.
 */
const ORDER: readonly ((span: Span) => boolean)[] = [
  isOp,
  ({ part }) => part === 'exchange',
  ({ part }) => part === 'wait',
  isComputing,
  ({ part }) => part === 'data',
  ({ part }) => part === 'pass',
];

/**
 * Exclusive parts: at each moment the tower does one thing. They sum to `length`.
 * @param knowsOps whether the spans have each op; then a pass in which no op runs is `other`.
 */
export function partsOf(spans: readonly Span[], length: number, knowsOps: boolean): Parts {
  const parts = Object.fromEntries(TRACE_PARTS.map((part) => [part, 0])) as Parts;
  const counted = spans.filter(({ part }) => part !== 'other' && !(knowsOps && part === 'pass'));
  const rankOf = (span: Span) => ORDER.findIndex((matches) => matches(span));
  const ranked = counted.map((span) => ({ ...span, rank: rankOf(span) })).sort((a, b) => a.rank - b.rank);
  const edges = ranked.flatMap(({ start, end }) => [start, end]).map((at) => Math.min(Math.max(at, 0), length));
  const times = [...new Set([0, ...edges, length])].sort((a, b) => a - b);
  for (const [i, from] of times.slice(0, -1).entries()) {
    const to = times[i + 1]!;
    const found = ranked.find(({ start, end }) => start <= from && end >= to);
    parts[found?.part ?? 'other'] += to - from;
  }
  return parts;
}

/** Milliseconds of the exchange in which an op of the tower ran. */
export function hiddenExchange(spans: readonly Span[]): number {
  const [ops, exchange] = [isOp, ({ part }: Span) => part === 'exchange'].map((matches) =>
    unionOf(spans.filter(matches)),
  );
  let hidden = 0;
  for (const { start, end } of exchange!) {
    for (const op of ops!) hidden += Math.max(0, Math.min(end, op.end) - Math.max(start, op.start));
  }
  return hidden;
}

/** The times in which any of the spans runs, without overlaps. */
function unionOf(spans: readonly Pick<Span, 'start' | 'end'>[]): { start: number; end: number }[] {
  const union: { start: number; end: number }[] = [];
  for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) {
    const last = union.at(-1);
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else union.push({ start, end });
  }
  return union;
}
