/** Reads a Chrome trace file, as its readers do. */
import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';
import type { chromeTrace } from '../../../src/train/trace/chrome.js';
import { type Found, toolFile } from '../../tools.js';

type Trace = ReturnType<typeof chromeTrace>;
type Event = Trace['traceEvents'][number];

interface Lane {
  process: string;
  lane: string;
  spans: Event[];
}

/**
 * The lanes of a trace, with their spans by start.
 * @throws AssertionError for what Perfetto drops: spans of a lane that overlap without one being within the other, a lane
 * without a name, and half an arrow.
 */
export function lanesIn({ traceEvents }: Trace): Lane[] {
  const nameOf = (ph: string, pid: number, tid?: number) =>
    traceEvents.find((each) => each.name === ph && each.pid === pid && (tid === undefined || each.tid === tid))?.args
      ?.name as string | undefined;
  const spans = traceEvents.filter(({ ph }) => ph === 'X');
  const named = traceEvents.filter(({ name }) => name === 'thread_name');
  for (const { pid, tid } of spans) assert.ok(nameOf('thread_name', pid, tid), `lane ${pid} ${tid} has a name`);
  for (const { id } of traceEvents.filter(({ ph }) => ph === 's' || ph === 'f')) {
    const ends = traceEvents.filter((each) => each.id === id).map(({ ph }) => ph);
    assert.deepEqual(ends.sort(), ['f', 's'], `arrow ${id}`);
  }
  return named.map(({ pid, tid, args }) => {
    const own = spans.filter((each) => each.pid === pid && each.tid === tid);
    own.sort((a, b) => a.ts! - b.ts! || b.dur! - a.dur!);
    const open: number[] = [];
    for (const { name, ts, dur } of own) {
      assert.ok(ts! >= 0 && dur! >= 0, `${name} ${ts} ${dur}`);
      const end = nanoseconds(ts!) + nanoseconds(dur!);
      while (open.length > 0 && open.at(-1)! <= nanoseconds(ts!)) open.pop();
      assert.ok(open.length === 0 || end <= open.at(-1)!, `${name} at ${ts} ends within what surrounds it`);
      open.push(end);
    }
    return { process: nameOf('process_name', pid)!, lane: args!.name as string, spans: own };
  });
}

function nanoseconds(microseconds: number): number {
  return Math.round(microseconds * 1000);
}

/** What the developer tools read: the number of spans by process and lane, and the number of arrows. */
export interface DevToolsTrace {
  lanes: Record<string, number>;
  arrows: number;
}

interface Engine {
  Processor: {
    TraceProcessor: {
      createWithAllHandlers(): {
        parse(events: readonly Event[], options: object): Promise<void>;
        readonly data: {
          Renderer: {
            processes: Map<number, { threads: Map<number, { name: string; entries: unknown[] }> }>;
          };
          Flows: { flows: unknown[] };
        };
      };
    };
  };
}

/** The engine with which Chrome's developer tools open a trace file (`@paulirish/trace_engine`). */
export async function readByDevTools(): Promise<Found<(json: string) => Promise<DevToolsTrace>>> {
  const file = toolFile('@paulirish/trace_engine');
  if ('skip' in file) return file;
  (globalThis as { DOMRect?: unknown }).DOMRect ??= class {}; // which Node.js does not have
  const { Processor } = (await import(pathToFileURL(file.tool).href)) as Engine;
  return {
    async tool(json) {
      const processor = Processor.TraceProcessor.createWithAllHandlers();
      await processor.parse((JSON.parse(json) as Trace).traceEvents, { isFreshRecording: false });
      const { Renderer, Flows } = processor.data;
      const lanes = [...Renderer.processes].flatMap(([pid, { threads }]) =>
        [...threads.values()].map(({ name, entries }) => [`${pid} ${name}`, entries.length] as const),
      );
      return { lanes: Object.fromEntries(lanes), arrows: Flows.flows.length };
    },
  };
}
