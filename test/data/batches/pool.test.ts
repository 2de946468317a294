import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { FillSetup } from '../../../src/data/batches/filler.js';
import { openPool } from '../../../src/data/batches/pool.js';
import { createSlot, floatLayout } from '../../../src/data/batches/slots.js';
import { IMAGENET_COLOURS } from '../../../src/data/images/colours.js';
import { DataError } from '../../../src/errors.js';
import { PLAIN, smallDataset } from '../sets.js';
import { FAILS_IN_PART, FILLS, HANGS, LEAVES, THROWS } from './failing-worker.js';

const FAILING = fileURLToPath(new URL('./failing-worker.js', import.meta.url));
const MISSING = fileURLToPath(new URL('./no-such-worker.js', import.meta.url));

const SETUP: FillSetup = {
  dataset: smallDataset(4, 4),
  batchSize: 2,
  inputSize: 4,
  inputChannels: 1,
  seed: 1,
  data: PLAIN,
  colours: IMAGENET_COLOURS,
  slots: [createSlot(floatLayout(2, 4, 1))],
};

function isDataError(wanted: RegExp): (error: Error) => boolean {
  return (error) => {
    assert.ok(error instanceof DataError, `${error}`);
    assert.match(error.message, wanted);
    return true;
  };
}

test('fill() names the batch when a worker throws, exits or cannot start, and works again afterwards', async (t) => {
  const pool = openPool(SETUP, 2, FAILING);
  t.after(() => pool.close());
  await assert.rejects(pool.fill('training', THROWS, 0), isDataError(/training batch of step 1: .*out of crayons/));
  await assert.rejects(pool.fill('test', LEAVES, 0), isDataError(/test batch 2: .*worker exited with code: 3/));
  await pool.fill('training', FILLS, 0);

  const unstarted = openPool(SETUP, 1, MISSING);
  t.after(() => unstarted.close());
  await assert.rejects(unstarted.fill('training', 7, 0), isDataError(/training batch of step 7: .*no-such-worker/));
});

test('fill() rejects only after the last worker has stopped writing to the slot', async (t) => {
  const pool = openPool(SETUP, 2, FAILING);
  t.after(() => pool.close());
  await assert.rejects(pool.fill('training', FAILS_IN_PART, 0), isDataError(/out of paper/));
  assert.equal(new Uint8Array(SETUP.slots[0]!)[0], 1);
});

test('close() rejects pending fills', async () => {
  const pool = openPool(SETUP, 1);
  const fills = [pool.fill('training', 1, 0), pool.fill('training', 2, 0)];
  const settled = Promise.allSettled(fills);
  await Promise.all([pool.close(), pool.close()]);
  const results = await settled;
  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  await assert.rejects(fills[1]!, isDataError(/training batch of step 2: the data workers were closed/));
});

test('close() does not wait for a thread that hangs in the system', async (t) => {
  const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-pool-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const pipe = join(folder, 'pipe');
  if (spawnSync('mkfifo', [pipe]).status !== 0) return t.skip('there is no mkfifo, to hang at');
  const pool = openPool({ ...SETUP, dataset: { ...SETUP.dataset, classNames: [pipe] } }, 1, FAILING);
  const hanging = assert.rejects(pool.fill('training', HANGS, 0), isDataError(/the data workers were closed/));
  while (new Uint8Array(SETUP.slots[0]!)[1] !== 1) await sleep(5);
  const what = await Promise.race([pool.close().then(() => 'closed'), sleep(20_000, 'waits', { ref: false })]);
  // Opening without waiting fails as long as nobody reads. Then the thread continues, and ends.
  for (;;) {
    try {
      fs.closeSync(fs.openSync(pipe, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK));
      break;
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENXIO');
      await sleep(5);
    }
  }
  assert.equal(what, 'closed');
  await hanging;
});
