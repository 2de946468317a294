/** What a tower did when in a traced step, from what TensorFlow's profiler and the tower's thread report. */
import type { TRACE_PARTS } from '../../log.js';
import type { ProfiledEvent } from '../../native/c/xspace.js';
import type { ThreadSpan } from '../../tower/protocol.js';
import { scopeIn } from '../../tower/scopes.js';

export type TracePart = (typeof TRACE_PARTS)[number];

/** Times are milliseconds from the start of the step. */
export interface Span {
  name: string;
  part: TracePart;
  layer?: string;
  /** `function`: the compiled function; `thread`: the tower's thread, which serves it meanwhile. */
  lane: 'function' | 'thread';
  start: number;
  end: number;
}

/** An op of a tower, or its kernel on a GPU. */
export interface Op extends Span {
  /** Where it ran: a thread of TensorFlow's, or a stream of a GPU. */
  line: string;
  /** TensorFlow's type of the op. */
  type: string;
  /** Whether it computes nothing: it starts kernels on a GPU, which are ops of their own, or hands a tensor over. */
  isHandover: boolean;
}

/** A span of the tower's thread, with the message that it sent or received. */
export type NotedSpan = Span & Pick<ThreadSpan, 'message'>;

/**
 * Ops of the host that hand a tensor to another thread or device. They are done at once, but the profiler's event can last
 * until its thread has a core again, while the tower's thread, which it has woken, exchanges or waits.
 */
const HANDOVERS = new Set(['QueueEnqueueV2', 'QueueDequeueV2', '_Send', '_Recv', '_HostSend', '_HostRecv']);

/**
 * The ops of each tower, from the profiler's events. Ops without a scope, which belong to no layer, are left out.
 * @param onGpu whether each tower is on a GPU: then its ops on the host only start kernels.
 * @param length of the step; what ran outside of it is left out.
 */
export function opsOf(events: readonly ProfiledEvent[], onGpu: readonly boolean[], length: number): Op[][] {
  const ops: Op[][] = onGpu.map(() => []);
  for (const { name, op, plane, line, start, ms } of events) {
    const scope = scopeIn(op || name);
    const end = Math.min(start + ms, length);
    if (!scope || scope.tower >= ops.length || end <= 0 || start >= length) continue;
    const isKernel = plane.startsWith('/device:');
    const type = typeOf(op || name);
    ops[scope.tower]!.push({
      ...{ name, part: scope.phase, layer: scope.layer, lane: 'function', type },
      line: isKernel ? `${plane.replace('/device:', '')} ${line}` : line,
      isHandover: !isKernel && (onGpu[scope.tower]! || HANDOVERS.has(type)),
      ...{ start: Math.max(0, start), end },
    });
  }
  return ops;
}

/** `Conv2D` of `tower0/conv1/forward/Conv2D_7:Conv2D`. */
function typeOf(name: string): string {
  return name.slice(name.lastIndexOf(':') + 1);
}

/**
 * The spans of a tower's thread. @param dataMs how long the batch was waited for. @param origin the start of the step, by
 * `clockMs`. @param isCompiled whether the pass ran as a function, beside the thread.
 */
export function notedSpans(
  spans: readonly ThreadSpan[],
  dataMs: number,
  origin: number,
  isCompiled: boolean,
): NotedSpan[] {
  const noted = spans.map(({ start, end, ...span }): NotedSpan => {
    const lane = span.part === 'pass' && isCompiled ? 'function' : 'thread';
    return { ...span, lane, start: start - origin, end: end - origin };
  });
  return [{ name: 'wait for the batch', part: 'data', lane: 'thread', start: 0, end: dataMs }, ...noted];
}

const MOST_SPANS = 120;

/**
 * Joins the ops of the same layer and part, and the thread's spans of the same name, that follow one another or overlap, with
 * gaps as long as it takes for a tower to have no more than {@link MOST_SPANS}.
 */
export function joinSpans(spans: readonly Span[], length: number): Span[] {
  for (let gap = length / 400; ; gap *= 2) {
    const joined = joinedBy(spans, gap);
    if (joined.length <= MOST_SPANS || gap > length) return joined;
  }
}

function joinedBy(spans: readonly Span[], gap: number): Span[] {
  const last = new Map<string, Span>();
  const joined: Span[] = [];
  for (const span of [...spans].sort((a, b) => a.start - b.start)) {
    const name = span.lane === 'function' ? (span.layer ?? span.name) : span.name;
    const key = [span.lane, span.part, name].join(' ');
    const before = last.get(key);
    if (before && span.start - before.end <= gap) {
      before.end = Math.max(before.end, span.end);
      continue;
    }
    const { part, layer, lane, start, end } = span;
    const made = { name, part, lane, start, end };
    joined.push(layer === undefined ? made : { ...made, layer });
    last.set(key, joined.at(-1)!);
  }
  return joined;
}
