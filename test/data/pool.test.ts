import assert from 'node:assert/strict';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { createSlot } from '../../src/data/batches.js';
import { IMAGENET_COLOURS } from '../../src/data/colours.js';
import type { FillSetup } from '../../src/data/fill-task.js';
import { openPool } from '../../src/data/pool.js';
import { DataError } from '../../src/errors.js';
import { FAILS_IN_PART, FILLS, LEAVES, THROWS } from './failing-fill.js';
import { PLAIN, smallDataset } from './sets.js';

const FAILING = fileURLToPath(new URL('./failing-fill.js', import.meta.url));
const MISSING = fileURLToPath(new URL('./no-such-fill.js', import.meta.url));

const SETUP: FillSetup = {
  dataset: smallDataset(4, 4),
  batchSize: 2,
  inputSize: 4,
  inputChannels: 1,
  seed: 1,
  data: PLAIN,
  colours: IMAGENET_COLOURS,
  slots: [createSlot(2, 4, 1)],
};

function isDataError(wanted: RegExp): (error: Error) => boolean {
  return (error) => {
    assert.ok(error instanceof DataError, `${error}`);
    assert.match(error.message, wanted);
    return true;
  };
}

test('fill() rejects with the batch when a thread throws, leaves or cannot start, and goes on after it', async (t) => {
  const pool = openPool(SETUP, 2, FAILING);
  t.after(() => pool.close());
  await assert.rejects(pool.fill('training', THROWS, 0), isDataError(/training batch of step 1: .*out of crayons/));
  await assert.rejects(pool.fill('test', LEAVES, 0), isDataError(/test batch 2: .*worker exited with code: 3/));
  await pool.fill('training', FILLS, 0);

  const unstarted = openPool(SETUP, 1, MISSING);
  t.after(() => unstarted.close());
  await assert.rejects(unstarted.fill('training', 7, 0), isDataError(/training batch of step 7: .*no-such-fill/));
});

test('fill() rejects after the last thread has stopped writing to the slot', async (t) => {
  const pool = openPool(SETUP, 2, FAILING);
  t.after(() => pool.close());
  await assert.rejects(pool.fill('training', FAILS_IN_PART, 0), isDataError(/out of paper/));
  assert.equal(new Uint8Array(SETUP.slots[0]!)[0], 1);
});

test('close() makes what is being filled reject', async () => {
  const pool = openPool(SETUP, 1);
  const fills = [pool.fill('training', 1, 0), pool.fill('training', 2, 0)];
  const settled = Promise.allSettled(fills);
  await Promise.all([pool.close(), pool.close()]);
  const results = await settled;
  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  await assert.rejects(fills[1]!, isDataError(/training batch of step 2: the data threads were closed/));
});
