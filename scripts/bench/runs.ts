/** Compares the accuracies of finished runs by epoch. Reads their logs, and trains nothing. */
import { join } from 'node:path';
import { table } from '../../src/cli/format.js';
import type { EventOf, LogEvent } from '../../src/log.js';
import { median } from '../../src/numbers.js';
import { eventsIn } from '../../src/report/read-log.js';
import { firstStepOf, meanStep } from '../../src/step-lines.js';
import { save } from './report.js';

export interface EpochRow {
  epoch: number;
  /** Means over the images of the epoch. */
  trainLoss: number;
  trainTop1: number;
  /** Of the last evaluation in the epoch. Absent if there was none. */
  testLoss?: number;
  testTop1?: number;
}

/** Returns the epochs of a log. If a resumed run repeated a step, the last event of the step counts. */
export function epochsOf(events: readonly LogEvent[]): EpochRow[] {
  const steps = new Map<number, EventOf<'train_step'>>();
  const tests = new Map<number, EventOf<'eval'>>();
  for (const event of events) {
    if (event.event === 'train_step') {
      for (let step = firstStepOf(event); step < event.step; step++) steps.delete(step);
      steps.set(event.step, event);
    }
    if (event.event === 'eval') tests.set(event.epoch, event);
  }
  const epochs = [...new Set([...steps.values()].map(({ epoch }) => epoch))];
  return epochs.map((epoch) => {
    const rows = [...steps.values()].filter((row) => row.epoch === epoch);
    const images = rows.reduce((total, row) => total + row.images, 0);
    const mean = (of: (row: EventOf<'train_step'>) => number) =>
      rows.reduce((total, row) => total + of(row) * row.images, 0) / images;
    const test = tests.get(epoch);
    return {
      epoch,
      trainLoss: mean(({ loss }) => loss),
      trainTop1: mean(({ top1 }) => top1),
      ...(test && { testLoss: test.loss, testTop1: test.top1 }),
    };
  });
}

/** Prints the runs' accuracies by epoch, and how long a step took. */
export async function benchRuns(folders: readonly string[], name: string | undefined): Promise<void> {
  const runs = await Promise.all(folders.map(summaryOf));
  const header = ['epoch', ...runs.flatMap(({ run }) => [`${run}: test`, 'in training'])];
  const longest = Math.max(...runs.map(({ epochs }) => epochs.length));
  const share = (value: number | undefined) => value?.toFixed(4) ?? '';
  const rows = Array.from({ length: longest }, (_, i) => [
    i + 1,
    ...runs.flatMap(({ epochs }) => [share(epochs[i]?.testTop1), share(epochs[i]?.trainTop1)]),
  ]);
  for (const line of table(header, rows)) console.log(line);
  for (const { run, stepMs } of runs) console.log(`${run}: ${stepMs.toFixed(0)} ms a step, median`);
  save(name, { runs });
}

async function summaryOf(folder: string) {
  const events: LogEvent[] = [];
  for await (const event of eventsIn(join(folder, 'log.ndjson'))) events.push(event);
  const start = events.find((event) => event.event === 'run_start');
  const end = events.findLast((event) => event.event === 'run_end');
  const stepMs = events.flatMap((event) => (event.event === 'train_step' ? [meanStep(event).step_ms] : []));
  return {
    run: start?.run ?? folder,
    config: start?.config,
    stepMs: median(stepMs),
    trainMs: end?.train_ms,
    epochs: epochsOf(events),
  };
}
