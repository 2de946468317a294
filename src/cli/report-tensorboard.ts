/** `report --tensorboard`: event files for TensorBoard, made of logs. */
import { readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { SplitError } from '../errors.js';
import { parsedLines } from '../report/read-log.js';
import { makeFolders } from '../safe-write.js';
import { explained } from './explain.js';
import type { FoundLog } from './find-log.js';
import type { Services } from './services.js';
import { streamToFile } from './stream-file.js';

const ADVICE = 'choose another folder with --tensorboard';

/**
 * Writes the event file of each log into a folder of the run's name, and prints these folders. TensorBoard shows each as a run.
 * @throws SplitError if a log cannot be read, or a folder has event files already.
 */
export async function writeTensorboard(logs: readonly FoundLog[], out: string, { stdout }: Services): Promise<number> {
  // protobuf takes a while to load.
  const { eventFileName, isEventFile } = await import('../report/tensorboard.js');
  for (const [i, { file, folder: of }] of logs.entries()) {
    const name = basename(resolve(of));
    const isTaken = logs.slice(0, i).some((each) => basename(resolve(each.folder)) === name);
    const folder = join(out, isTaken ? `${name}-${i + 1}` : name);
    explained(`write ${folder}`, ADVICE, () => makeFolders(folder));
    const other = explained(`read ${folder}`, ADVICE, () => readdirSync(folder)).find(isEventFile);
    if (other !== undefined) {
      throw new SplitError(
        `Cannot write ${folder}: it has the event file ${other}, and TensorBoard would mix the two; remove it, or ${ADVICE}`,
      );
    }
    await streamToFile(join(folder, eventFileName(await startOf(file), 'report')), recordsOf(file), ADVICE);
    stdout.print(folder);
  }
  return 0;
}

/** The time of the first event, ms since 1970; 0 for a log without events. */
async function startOf(file: string): Promise<number> {
  for await (const { time } of eventsOf(file)) return time;
  return 0;
}

async function* recordsOf(file: string): AsyncGenerator<Uint8Array> {
  const { tensorboardEncoder } = await import('../report/tensorboard.js');
  const encode = tensorboardEncoder();
  for await (const { event, time } of eventsOf(file)) yield encode(event, time);
}

async function* eventsOf(file: string) {
  for await (const { parsed } of parsedLines(file)) if (parsed.kind === 'event') yield parsed;
}
