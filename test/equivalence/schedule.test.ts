/** Schedules that change at every step in complete runs: resumed, made longer, and left by a branch. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { checkpointsFolder, readCheckpoint } from '../../src/checkpoint/store.js';
import type { LogEvent } from '../../src/log.js';
import { learningRateAt } from '../../src/optim/schedule.js';
import { fewImages } from '../data/sets.js';
import { losses, newest, of, trainLenet } from './resumed-runs.js';
import { SINGLE } from './teams.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-schedule-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));
const FEW = fewImages(out);
const COSINE = {
  ...{ learningRate: 0.1, warmupEpochs: 0.4, warmupFrom: 0.01 },
  schedule: { kind: 'cosine', least: 0 } as const,
};
const ratesOf = (events: readonly LogEvent[]) => of(events, 'train_step').map(({ learning_rate: rate }) => rate);
const six = (rates: readonly number[]) => rates.map((rate) => Number(rate.toPrecision(6)));

test('train() with a cosine and a warm-up resumes with the same rates and bits; a longer run and a branch go on', async () => {
  const run = (name: string, values: Record<string, unknown>, resume?: Parameters<typeof trainLenet>[3]) =>
    trainLenet(out, FEW, { run: name, optimizer: COSINE, checkpointEvery: 1, ...SINGLE, ...values }, resume);
  const whole = await run('whole', { steps: 6 });
  assert.deepEqual(six(ratesOf(whole.events)), [0.001, 0.0505, 0.1, 0.0853553, 0.05, 0.0146447]);
  const at = (step: number) => join(checkpointsFolder(join(out, 'whole')), String(step).padStart(10, '0'));
  for (const step of [1, 3]) {
    const resumed = await run(`from${step}`, { steps: 6 }, { checkpoint: readCheckpoint(at(step)), skipped: [] });
    assert.deepEqual(ratesOf(resumed.events), ratesOf(whole.events).slice(step));
    assert.deepEqual(losses(resumed.events), losses(whole.events).slice(step));
    assert.deepEqual(resumed.notes, []);
  }

  const longer = await run('whole', { steps: 8 }, newest(join(out, 'whole')));
  const expected = [7, 8].map((step) => learningRateAt({ step, steps: 8, batchesPerEpoch: 5 }, COSINE));
  assert.deepEqual(ratesOf(longer.events), expected);
  assert.match(
    longer.notes.join('\n'),
    /the run had 6 steps before, and has 8 now: the schedule cosine goes over .* step 7 uses the learning rate 0\.025, after 0\.0146/,
  );

  const optimizer = { ...COSINE, schedule: { kind: 'linear', least: 0 }, warmupEpochs: 0 };
  const branch = await run('branch', { steps: 7, optimizer }, { checkpoint: readCheckpoint(at(5)), skipped: [] });
  assert.deepEqual(six(ratesOf(branch.events)), [0.05, 0.025]);
  const state = newest(join(out, 'branch')).checkpoint.state.scheduleStart;
  assert.deepEqual([state?.epoch, state?.step], [2, 5]);
});
