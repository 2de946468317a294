/**
 * The Chrome trace format, which ui.perfetto.dev and chrome://tracing open: a process for each tower, a lane for its thread
 * and for each of TensorFlow's threads or a GPU's streams, and arrows from where a message was sent to where it arrived.
 * https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
 */
import type { EventOf } from '../../log.js';
import type { NotedSpan, Op, Span } from './spans.js';

interface ChromeEvent {
  name: string;
  /** X: a span; M: a name of a process or lane; s and f: the ends of an arrow; C: a counter. */
  ph: 'X' | 'M' | 's' | 'f' | 'C';
  pid: number;
  tid: number;
  cat?: string;
  /** Microseconds from the start of the step. */
  ts?: number;
  dur?: number;
  id?: number;
  bp?: 'e';
  args?: Record<string, unknown>;
}

/** Lanes of a tower: its thread, what surrounds the ops, and from here on the threads in which ops ran. */
const THREAD = 1;
const FUNCTION = 2;
const FIRST_LINE = 3;
/** Process of the coordinator. Towers count from 1. */
const STEP = 0;

/**
 * @param threads spans of each tower's thread. @param ops of each tower; none if nothing reports them.
 * @param titles the towers' names.
 */
export function chromeTrace(
  { step, step_ms, data_ms, epoch, images }: EventOf<'train_step'>,
  threads: readonly (readonly NotedSpan[])[],
  ops: readonly (readonly Op[])[],
  titles: readonly string[] = threads.map((_, tower) => `tower ${tower}`),
): { displayTimeUnit: 'ms'; traceEvents: ChromeEvent[] } {
  const messages = new Map<string, number>();
  const idOf = (id: string) => {
    const found = messages.get(id) ?? messages.size + 1;
    messages.set(id, found);
    return found;
  };
  const traceEvents = [
    ...named(STEP, 'step', [[1, 'steps']]),
    span(STEP, 1, `step ${step}`, 'step', 0, step_ms, { epoch, images }),
    ...(data_ms > 0 ? [span(STEP, 1, 'wait for the batch', 'data', 0, data_ms, {})] : []),
    ...threads.flatMap((thread, tower) => towerEvents(tower, titles[tower]!, thread, ops[tower] ?? [], idOf)),
  ];
  return { displayTimeUnit: 'ms', traceEvents: traceEvents.sort(byTime) };
}

/** Names first, then by time, as readers expect it; of what starts together, what surrounds the others comes first. */
function byTime(a: ChromeEvent, b: ChromeEvent): number {
  return (a.ts ?? -1) - (b.ts ?? -1) || (b.dur ?? -1) - (a.dur ?? -1);
}

function towerEvents(
  tower: number,
  title: string,
  thread: readonly NotedSpan[],
  ops: readonly Op[],
  idOf: (message: string) => number,
): ChromeEvent[] {
  const pid = tower + 1;
  const lines = [...new Set(ops.map(({ line }) => line))].sort();
  const lanes: [number, string][] = [
    [THREAD, `thread of ${title}`],
    [FUNCTION, 'function'],
    ...lines.map((line, i): [number, string] => [FIRST_LINE + i, line]),
  ];
  const events = named(pid, title, lanes);
  for (const each of ops) {
    const { line, type, name, part, layer, isHandover } = each;
    const args = { layer, op: type, node: name, ...(isHandover && { handover: true }) };
    const lane = FIRST_LINE + lines.indexOf(line);
    events.push(span(pid, lane, `${layer} ${type}`, part, each.start, each.end, args));
  }
  let sent = 0;
  for (const each of thread) {
    const { name, part, layer, lane, start, end, message } = each;
    if (part === 'data') continue; // the step has it
    const tid = lane === 'thread' ? THREAD : FUNCTION;
    const bytes = message && message.bytes > 0 ? { bytes: message.bytes } : {};
    events.push(span(pid, tid, name, part, start, end, { ...(layer !== undefined && { layer }), ...bytes }));
    if (!message) continue;
    const isSent = message.action === 'send';
    // At the start of the span, which readers take for where the arrow belongs.
    const arrow = { name: 'message', cat: part, pid, tid, id: idOf(message.id), ts: microseconds(start) };
    events.push(isSent ? { ...arrow, ph: 's' } : { ...arrow, ph: 'f', bp: 'e' });
    if (!isSent) continue;
    sent += message.bytes;
    events.push({ name: 'sent', ph: 'C', pid, tid: 0, ts: microseconds(end), args: { bytes: sent } });
  }
  return events;
}

function named(pid: number, process: string, lanes: readonly (readonly [number, string])[]): ChromeEvent[] {
  const events: ChromeEvent[] = [{ name: 'process_name', ph: 'M', pid, tid: 0, args: { name: process } }];
  events.push({ name: 'process_sort_index', ph: 'M', pid, tid: 0, args: { sort_index: pid } });
  for (const [tid, name] of lanes) {
    events.push({ name: 'thread_name', ph: 'M', pid, tid, args: { name } });
    events.push({ name: 'thread_sort_index', ph: 'M', pid, tid, args: { sort_index: tid } });
  }
  return events;
}

/** Both ends are rounded to nanoseconds, so that spans within others stay within. */
function span(
  pid: number,
  tid: number,
  name: string,
  cat: Span['part'] | 'step',
  start: number,
  end: number,
  args: Record<string, unknown>,
): ChromeEvent {
  const ts = microseconds(start);
  return { name, ph: 'X', cat, pid, tid, ts, dur: Math.round((microseconds(end) - ts) * 1000) / 1000, args };
}

function microseconds(ms: number): number {
  return Math.round(ms * 1e6) / 1e3;
}
