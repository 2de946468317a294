/**
 * Trains small nets for two steps on the GPUs, with the check against the reference before and an evaluation after: every
 * net, both placements, every transport. Prints a line of JSON for each: its name, exit code, losses and warnings.
 * @argument a folder for the runs
 */
import type { LogEvent } from '../../src/log.js';
import { train } from '../../src/train/index.js';
import { fewImages } from '../data/sets.js';
import { SMALL_NETS, smallConfig, smallNet } from '../equivalence/teams.js';

const [out] = process.argv.slice(2);
/** A whole batch of test images, and a smaller one. */
const few = fewImages(out!, { test: 24 });

const split = { devices: ['GPU:0', 'GPU:1'] };
const single = { devices: ['GPU:0'], placement: 'single' };
const oneGpu = { ...smallNet('original', few), net: { ...SMALL_NETS.original, table: 'one-gpu' } };
const settings: Record<string, Record<string, unknown>> = {
  'split original': { ...smallNet('original', few), ...split },
  'single original': { ...smallNet('original', few), ...single },
  'single one-gpu': { ...oneGpu, ...single },
  'split paper, device to device': { ...smallNet('paper', few), ...split, exchange: { transport: 'device' } },
  'split columns, float16': { ...smallNet('columns', few), ...split, exchange: { dtype: 'float16' } },
  'split tutorial': { ...smallNet('tutorial', few), ...split },
  'split torchvision': { ...smallNet('torchvision', few), ...split },
  'single cifar': { ...smallNet('cifar', few), ...single },
  'split lenet, device to device': { ...smallNet('lenet', few), ...split, exchange: { transport: 'device' } },
};

for (const [name, values] of Object.entries(settings)) {
  const events: LogEvent[] = [];
  const config = smallConfig({ batchSize: 16, steps: 2, check: true, out, run: name.replace(/\W+/g, '-'), ...values });
  const report = (event: LogEvent) => void events.push(event);
  const { exitCode } = await train(config, { report, signal: new AbortController().signal });
  const wrong = events.flatMap((event) => (event.event === 'warning' ? [event.message] : []));
  const losses = events.flatMap((event) => (event.event === 'train_step' ? [event.loss] : []));
  process.stdout.write(`${JSON.stringify({ name, exitCode, losses, wrong })}\n`);
}
