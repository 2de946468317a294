/** A LeNet on few images that trains in a moment, for tests of resumed runs. */
import { checkpointsFolder, newestCheckpoint } from '../../src/checkpoint/store.js';
import type { LogEvent } from '../../src/log.js';
import { type Resume, train } from '../../src/train/index.js';
import { smallConfig, smallNet } from './teams.js';

/** Trains four steps of 80 images, with five steps in an epoch, unless `values` override that. */
export async function trainLenet(out: string, few: string, values: Record<string, unknown>, resume?: Resume) {
  const net = smallNet('lenet', few);
  const config = smallConfig({
    ...{ out, steps: 4, batchSize: 80, checkpointEvery: 2, keep: 9, ...net, ...values },
    data: { ...(net.data as object), ...(values.data as object) },
  });
  const events: LogEvent[] = [];
  const notes: string[] = [];
  const ui = { report: (event: LogEvent) => events.push(event), note: (text: string) => notes.push(text) };
  const result = await train(config, { ...ui, signal: new AbortController().signal, resume });
  return { config, events, notes, result };
}

/** What a run is resumed from. */
export function newest(folder: string): Resume {
  const { found, skipped } = newestCheckpoint(checkpointsFolder(folder));
  return { checkpoint: found!, skipped };
}

/** The events of that name. */
export function of<Name extends LogEvent['event']>(events: readonly LogEvent[], name: Name) {
  return events.filter((event): event is Extract<LogEvent, { event: Name }> => event.event === name);
}

/** The loss of each step. */
export function losses(events: readonly LogEvent[]): number[] {
  return of(events, 'train_step').map(({ loss }) => loss);
}
