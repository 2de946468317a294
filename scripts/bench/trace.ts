/** What `--trace-steps` costs: the steps that it does not name, and those that it names. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { opThreads } from '../../src/config/devices.js';
import type { LogEvent } from '../../src/log.js';
import { listDevices } from '../../src/native/c/context.js';
import { median } from '../../src/numbers.js';
import { trainStep } from '../../src/train/run-events.js';
import { openTracer } from '../../src/train/trace/tracer.js';
import { isEntry } from '../trainer.js';
import { configOf, type NetSettings, openStepper, WARMUP } from './nets.js';
import { interleave, printTimings, ratios, save, type Variant } from './report.js';

/** Steps from this number on are traced. */
const TRACED = 1_000_000;

interface Answer {
  /** Of the slower tower. */
  stepMs: number;
  /** The same with what comes before and after it: starting the profiler, reading it, writing the file. */
  allMs: number;
}

/** Prints the medians and the ratios of the steps, which run in turn in two processes. */
export async function benchTrace(settings: NetSettings, rounds: number, burst: number, name?: string): Promise<void> {
  const [plain, flagged] = await Promise.all([start(settings, false), start(settings, true)]);
  const whole: number[] = [];
  const variant = (name: string, step: () => Promise<Answer>): Variant => ({
    name,
    run: async () => (await step()).stepMs,
  });
  const timings = await interleave(
    [
      variant('without the flag', () => plain.step(false)),
      variant('with it, other steps', () => flagged.step(false)),
      variant('with it, traced steps', async () => {
        const answer = await flagged.step(true);
        whole.push(answer.allMs - answer.stepMs);
        return answer;
      }),
    ],
    rounds,
    2,
    burst,
  );
  for (const each of [plain, flagged]) each.close();
  const { table, width, pixels, batch } = settings;
  console.log(`split, net ${table}, width ${width}, ${pixels} px, batch ${batch}, ${rounds} rounds of ${burst}`);
  printTimings(timings);
  console.log(`reading the profiler and writing the file, between two steps: ${median(whole).toFixed(0)} ms, median`);
  save(name, { settings, timings, ratios: ratios(timings), betweenMs: median(whole) });
}

async function start(settings: NetSettings, isFlagged: boolean) {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(settings), String(isFlagged)]);
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`a process ended with ${code}`)));
  const answer = () => Promise.race([once(child, 'message').then(([message]) => message as Answer), ended]);
  await answer();
  return {
    step(isTraced: boolean): Promise<Answer> {
      child.send(isTraced);
      return answer();
    },
    close() {
      ended.catch(() => {}); // the end is expected
      child.disconnect(); // the process removes its files
    },
  };
}

/** Trains as `trainLoop` does, with and without the flag. */
async function serve(settings: NetSettings, isFlagged: boolean): Promise<void> {
  listDevices({ intraOpThreads: opThreads(settings.table) });
  const out = mkdtempSync(join(tmpdir(), 'alexnet-split-bench-'));
  const config = { ...configOf(settings, 'split'), out, run: 'traced' };
  const traceSteps = isFlagged ? `${TRACED}-${1_000 * TRACED}` : null;
  const events: LogEvent[] = [];
  const tracer = openTracer({ ...config, traceSteps }, (event) => events.push(event));
  const { train, close } = await openStepper(settings, 'split');
  let step = 0;
  const once = async (isTraced: boolean): Promise<Answer> => {
    step++;
    const number = isTraced ? TRACED + step : step;
    const begun = performance.now();
    const trace = tracer(number);
    const started = performance.now();
    const replies = await train(trace !== undefined).finally(() => trace?.stop());
    const stepMs = replies.reduce((longest, each) => Math.max(longest, each.stepMs), 0);
    const batch = { slot: 0, count: settings.batch, step: number, epoch: 0 };
    trace?.report(
      trainStep(batch as Parameters<typeof trainStep>[0], 0.1, replies, performance.now() - started, 0),
      replies,
    );
    return { stepMs, allMs: performance.now() - begun };
  };
  for (let i = 0; i < WARMUP; i++) await once(false);
  process.on('message', async (isTraced: boolean) => process.send!(await once(isTraced)));
  process.once('disconnect', async () => {
    await close();
    rmSync(out, { recursive: true, force: true });
    process.exit();
  });
  process.send!({ stepMs: 0, allMs: 0 });
}

if (isEntry(import.meta.url)) {
  const [json, isFlagged] = process.argv.slice(2) as [string, string];
  await serve(JSON.parse(json) as NetSettings, isFlagged === 'true');
}
