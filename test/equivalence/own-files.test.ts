/** A resumed run has everything it needs in its own folder: weights, mean image, class names. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { checkpointFolder, checkpointsFolder, readCheckpoint } from '../../src/checkpoint/store.js';
import { isWeightsName } from '../../src/checkpoint/weights-files.js';
import { readStatistics, writeStatistics } from '../../src/data/index.js';
import { evaluateRun } from '../../src/train/index.js';
import { fewImages } from '../data/sets.js';
import { losses, newest, of, trainLenet } from './resumed-runs.js';
import { SINGLE } from './teams.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-own-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));
const FEW = fewImages(out);
const run = (values: Record<string, unknown>, resume = undefined as Parameters<typeof trainLenet>[3]) =>
  trainLenet(out, FEW, values, resume);

const SPLIT_FILES = ['tower-0-of-2.safetensors', 'tower-1-of-2.safetensors'];
await run({ run: 'first', steps: 2, ...SINGLE });

test('a run resumed with the other placement leaves no weights of the previous one', async () => {
  const folder = join(out, 'first');
  const weights = () => fs.readdirSync(folder).filter(isWeightsName).sort();
  assert.deepEqual(weights(), ['tower-0-of-1.safetensors']);
  fs.copyFileSync(join(folder, weights()[0]!), join(out, 'left'));
  const { config, events } = await run({ run: 'first' }, newest(folder));
  assert.deepEqual(weights(), SPLIT_FILES);
  fs.rmSync(checkpointsFolder(folder), { recursive: true });
  const [last] = of(events, 'eval');
  // As if the process had been killed before it removed the others.
  fs.copyFileSync(join(out, 'left'), join(folder, 'tower-0-of-1.safetensors'));
  const told: string[] = [];
  const { loss, step } = await evaluateRun(config, folder, { note: (text) => told.push(text) });
  assert.deepEqual([loss, step], [last!.loss, 4]);
  assert.match(told.join('\n'), /^ignored tower-0-of-1\.safetensors of step 2: /m);
});

test('a run that started from the weights of another can be resumed, and checked, when those are gone', async () => {
  const { events } = await run({ run: 'whole', weights: 'first', steps: 3, ...SINGLE });
  fs.rmSync(join(out, 'first'), { recursive: true });
  const checkpoint = readCheckpoint(checkpointFolder(checkpointsFolder(join(out, 'whole')), 2));
  const again = await run({ run: 'again', weights: 'first', steps: 3, check: true }, { checkpoint, skipped: [] });
  assert.deepEqual([again.result.exitCode, of(again.events, 'check')[0]?.passed], [0, true]);
  assert.deepEqual(losses(again.events), losses(events).slice(2));
});

test('a resumed run uses its own mean image and class names, and warns if it has none', async () => {
  const values = { run: 'mean', data: { meanImage: true }, steps: 3, ...SINGLE };
  const { config, events } = await run(values);
  const folder = join(out, 'mean');
  const meanOf = (run: string) => [...readStatistics(join(out, run, 'statistics.json'), config.data.resize)!.mean];
  const computed = readStatistics(join(folder, 'statistics.json'), config.data.resize)!;
  const own = { ...computed, mean: computed.mean.map((value) => value + 50) as Float32Array };
  writeStatistics(folder, 'statistics.json', own);
  const names = Array.from({ length: 10 }, (_, i) => `named by hand ${i}`);
  fs.writeFileSync(join(folder, 'classes.json'), JSON.stringify(names));
  const checkpoint = readCheckpoint(checkpointFolder(checkpointsFolder(folder), 2));
  const at2 = { checkpoint, skipped: [] };
  const branch = await run({ ...values, run: 'branch' }, at2);
  assert.notEqual(losses(branch.events)[0], losses(events)[2], 'it takes its own mean off');
  assert.deepEqual(meanOf('branch'), [...own.mean]);
  assert.deepEqual(JSON.parse(fs.readFileSync(join(out, 'branch', 'classes.json'), 'utf8')), names);

  fs.rmSync(checkpointFolder(checkpointsFolder(folder), 3), { recursive: true }); // otherwise no run would be resumed from the second
  writeStatistics(folder, 'statistics.json', { ...own, images: 399 });
  await assert.rejects(run(values, at2), {
    name: 'CheckpointError',
    message:
      /statistics\.json is of 399 images, and the run was trained with 400; restore the run's own file, or remove/,
  });
  fs.rmSync(join(folder, 'statistics.json'));
  const again = await run(values, at2);
  assert.equal(losses(again.events)[0], losses(events)[2]);
  const said = of(again.events, 'warning').map(({ message }) => message);
  const text = `${join(folder, 'statistics.json')} is missing or damaged: the mean of the training images is computed again`;
  assert.ok(said.includes(text), `${said}`);
  assert.deepEqual(meanOf('mean'), [...computed.mean]);
  assert.deepEqual(JSON.parse(fs.readFileSync(join(folder, 'classes.json'), 'utf8')), names);
});
