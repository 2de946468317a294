/** Traces the steps that `--trace-steps` names: what each tower did when, as an event and as a Chrome trace file. */
import { join } from 'node:path';
import type { Config } from '../../config/config.js';
import { isGpu } from '../../config/devices.js';
import { remoteDevice } from '../../config/servers.js';
import { hasStep, rangesOf } from '../../config/steps.js';
import { systemMessage } from '../../errors.js';
import { towerTitle } from '../../event-lines.js';
import type { EventOf, Report } from '../../log.js';
import { type ProfilerSession, profilerMissing, profilerNow, startProfiler } from '../../native/c/profiler.js';
import { eventsOf } from '../../native/c/xspace.js';
import { makeFolders, replaceFile } from '../../safe-write.js';
import { clockMs, clockOffset } from '../../tower/clock.js';
import type { StepReply } from '../../tower/protocol.js';
import { chromeTrace } from './chrome.js';
import { hiddenExchange, partsOf } from './parts.js';
import { joinSpans, type NotedSpan, notedSpans, type Op, opsOf } from './spans.js';

/** The trace of one step. It has started; {@link StepTrace.stop} has to follow, also if the step fails. */
export interface StepTrace {
  /** Ends the profiler's session. */
  stop(): void;
  /** Writes the Chrome trace file, and reports the event `trace`; also a warning if the file cannot be written. */
  report(step: EventOf<'train_step'>, replies: readonly StepReply[]): void;
}

/** Starts a trace where the settings want one; undefined for other steps. */
export type Tracer = (step: number) => StepTrace | undefined;

export function openTracer(config: Config, report: Report): Tracer {
  const { traceSteps } = config;
  if (traceSteps === null) return () => undefined;
  const ranges = rangesOf(traceSteps);
  let hasWarned = false;
  const warnOnce = (why: string) => {
    if (hasWarned) return;
    hasWarned = true;
    report({ event: 'warning', message: `the trace shows what the towers' threads can see: ${why}` });
  };
  return (step) => (hasStep(ranges, step) ? startTrace(config, report, warnOnce) : undefined);
}

/** A sentence if the settings name steps to trace, and none from `first` to `last`. */
export function untraced({ traceSteps }: Pick<Config, 'traceSteps'>, first: number, last: number): string | undefined {
  if (traceSteps === null || first > last || hasStep(rangesOf(traceSteps), first, last)) return undefined;
  return `--trace-steps ${traceSteps} traces nothing: the run trains steps ${first} to ${last}`;
}

/** Why nothing reports the single ops of a step; undefined if the profiler does. */
function opsMissing({ compile }: Config): string | undefined {
  if (compile === 'off') return 'with --compile off, they run op by op';
  if (compile === 'xla') return 'with --compile xla, a pass is one piece of machine code';
  return profilerMissing();
}

function startTrace(config: Config, report: Report, warn: (why: string) => void): StepTrace {
  let missing = opsMissing(config);
  let session: ProfilerSession | undefined;
  if (missing === undefined) {
    session = startProfiler();
    if (!session) missing = 'the profiler does not start, because another one runs';
  }
  /** Of the profiler's clock from the threads'. */
  const offset = session ? -clockOffset(() => profilerNow()!) : 0;
  const started = clockMs();
  let collected: Uint8Array | undefined;
  return {
    stop() {
      collected = session?.stop();
      session = undefined;
    },
    report(trained, replies) {
      const { step, step_ms: length, data_ms: dataMs } = trained;
      const isCompiled = config.compile !== 'off';
      const threads = replies.map(({ spans = [] }) => notedSpans(spans, dataMs, started, isCompiled));
      const titles = replies.map((_, tower) => towerTitle(tower, replies.length, config.placement));
      const devices = replies.map((_, tower) => config.devices[tower] ?? config.devices[0]!);
      const onGpu = devices.map(isGpu);
      let ops: ReturnType<typeof opsOf> | undefined;
      try {
        ops = collected && opsOf(eventsOf(collected, started + offset), onGpu, length);
      } catch (error) {
        missing ??= `the profiler's records cannot be read: ${systemMessage(error as Error)}`;
      }
      const idle = ops?.findIndex((own) => !own.some(({ isHandover }) => !isHandover)) ?? -1;
      if (idle >= 0) {
        const what = onGpu[idle] ? 'kernel on the GPU' : 'op';
        missing ??= remoteDevice(devices[idle]!)
          ? `${titles[idle]} is on ${devices[idle]}, and this process's profiler does not see what runs on a server`
          : `the profiler reported no ${what} of ${titles[idle]}`;
      }
      if (!ops) missing ??= 'the profiler failed';
      if (missing !== undefined) warn(missing);
      const file = `traces/step-${step}.json`;
      let isWritten = false;
      try {
        makeFolders(join(config.out, config.run, 'traces'));
        const text = JSON.stringify(chromeTrace(trained, threads, ops ?? [], titles));
        replaceFile(join(config.out, config.run, file), text);
        isWritten = true;
      } catch (error) {
        const message = `the trace of step ${step} was not written to ${file}: ${systemMessage(error as Error)}`;
        report({ event: 'warning', message });
      }
      report(traceEvent(trained, isWritten ? file : undefined, threads, missing === undefined ? ops : undefined));
    },
  };
}

/** @param ops of each tower; undefined if nothing reports them. */
function traceEvent(
  { step, step_ms }: EventOf<'train_step'>,
  file: string | undefined,
  threads: readonly (readonly NotedSpan[])[],
  ops: readonly (readonly Op[])[] | undefined,
): EventOf<'trace'> {
  return {
    ...{ event: 'trace', step, step_ms, source: ops ? 'profiler' : 'host', ...(file !== undefined && { file }) },
    towers: threads.map((thread, tower) => {
      const computed = ops?.[tower]?.filter(({ isHandover }) => !isHandover) ?? [];
      const spans = [...computed, ...(ops ? thread.filter(({ part }) => part !== 'pass') : thread)];
      return {
        ...{ tower, parts_ms: partsOf(spans, step_ms, ops !== undefined), hidden_exchange_ms: hiddenExchange(spans) },
        spans: joinSpans(spans, step_ms).map(({ name, part, layer, lane, start, end }) => ({
          ...{ name, part, ...(layer !== undefined && { layer }), lane },
          ...{ start_ms: rounded(start), ms: rounded(end - start) },
        })),
      };
    }),
  };
}

/** To microseconds, so that lines stay short. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
