import assert from 'node:assert/strict';
import test from 'node:test';
import { resolveConfig } from '../../src/config/config.js';
import { CheckpointError } from '../../src/errors.js';
import { farMean, isMeasured, knownLevels, levelsToContinue, measured } from '../../src/train/levels.js';
import { flags, machineWith } from '../config/machines.js';
import { smallDataset } from '../data/sets.js';

const configWith = (data: Record<string, unknown>) =>
  resolveConfig([flags({ preset: 'mini', data: { source: 'embedded', ...data } })], machineWith('CPU:0', 'CPU:1'))
    .config;

test('measured() puts the levels of the training images in the place of `data`, and says so', async () => {
  const said: string[] = [];
  const note = (text: string) => said.push(text);
  // Image i of 101 is grey i: mean 50, deviation 29.15.
  const dataset = smallDataset(101, 1);
  const both = await measured(configWith({ mean: 'data', scale: 'data' }), dataset, { note });
  assert.deepEqual([both.mean, both.scale], [[50, 50, 50], 0.0343]);
  const mean = await measured(configWith({ mean: 'data' }), dataset, { note });
  assert.deepEqual([mean.mean, mean.scale], [[50, 50, 50], 1 / 90]);
  const scale = await measured(configWith({ scale: 'data' }), dataset, { note });
  assert.deepEqual([scale.mean, scale.scale], [[73, 73, 73], 0.0343]);
  assert.deepEqual(said, [
    'mean 50 and deviation 29.2 of all 101 training images',
    'mean 50 of all 101 training images',
    'deviation 29.2 of all 101 training images',
  ]);
  const black = await measured(configWith({ scale: 'data' }), smallDataset(1, 1), { note });
  assert.equal(black.scale, 1, 'images without any contrast are not multiplied by infinity');
});

test('measured() leaves numbers as they are, and warns if asked to', async () => {
  const warned: string[] = [];
  const ui = { note: assert.fail, warn: (message: string) => warned.push(message) };
  const config = configWith({ mean: [73, 73, 73] });
  assert.equal(await measured(config, smallDataset(101, 1), ui), config.data);
  await measured(configWith({ mean: [0, 0, 0] }), smallDataset(101, 1), ui);
  await measured(configWith({ meanImage: true }), smallDataset(101, 1), ui);
  await measured(config, smallDataset(101, 1), { note: assert.fail });
  assert.deepEqual(warned, [
    'the mean of 101 training images is 50, and 73 is subtracted: --mean data subtracts their own',
  ]);
});

test('farMean() allows half a deviation in each channel', () => {
  const images = { deviation: 60, images: 500 };
  assert.equal(farMean([73, 100, 100], [103, 100, 71], images), undefined);
  assert.match(farMean([73, 73, 73], [104, 73, 73], images)!, /^the mean of 500 .* is 104, 73, and 73 is subtracted/);
  assert.ok(farMean([73, 73, 104], [73, 73, 73], images));
});

test('a resumed run and a finished one have the levels of the training', () => {
  const asked = configWith({ mean: 'data', scale: 'data' });
  const saved = { data: { ...asked.data, mean: [1, 2, 3], scale: 0.5 } };
  const { data } = levelsToContinue(asked, saved);
  assert.deepEqual([data.mean, data.scale, isMeasured(data)], [[1, 2, 3], 0.5, true]);
  const numbers = configWith({ mean: [4, 5, 6] });
  assert.equal(levelsToContinue(numbers, saved), numbers);
  assert.equal(knownLevels(numbers, 'runs/a'), numbers.data);
  assert.throws(
    () => knownLevels(asked, 'runs/a'),
    (error: Error) => {
      assert.ok(error instanceof CheckpointError);
      assert.match(
        error.message,
        /^Cannot use the run runs\/a: data\.mean or data\.scale .* is "data", expected .*; restore/,
      );
      return true;
    },
  );
});
