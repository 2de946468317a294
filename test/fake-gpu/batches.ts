/**
 * Trains some steps on grey levels, without a check or an evaluation in between. Prints a line of JSON: the bytes of images
 * that each step copies, by its log, and the losses.
 * @argument a folder for the run, and the towers' devices
 */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import type { LogEvent } from '../../src/log.js';
import { train } from '../../src/train/index.js';
import { fewImages } from '../data/sets.js';
import { smallConfig, smallNet } from '../equivalence/teams.js';

const [out, devices] = process.argv.slice(2) as [string, string];
const folder = mkdtempSync(join(out, 'run-'));
const few = fewImages(folder, { test: 24 });

const steps = 4;
const events: LogEvent[] = [];
const config = smallConfig({
  ...smallNet('lenet', few),
  ...{ devices: devices.split(','), batchSize: 48, steps, evalEvery: 100, out: folder, run: 'run' },
});
const { exitCode } = await train(config, {
  report: (event) => void events.push(event),
  signal: new AbortController().signal,
});
const of = (field: 'device_bytes' | 'loss') =>
  events.flatMap((event) => (event.event === 'train_step' ? [event[field]] : []));
process.stdout.write(`${JSON.stringify({ exitCode, deviceBytes: of('device_bytes'), losses: of('loss') })}\n`);
