import assert from 'node:assert/strict';
import test from 'node:test';
import type { Config } from '../../src/config/config.js';
import { compareSpeeds } from '../../src/train/ablate-speed.js';
import type { JobProcess } from '../../src/train/accept/job-process.js';

test('compareSpeeds() measures in five new processes, and ends the last one', async () => {
  const asked: unknown[] = [];
  let closed = 0;
  const run = async (job: object, { fresh }: { fresh?: boolean }) => {
    asked.push([job, fresh]);
    return { baseline: [asked.length], changed: [1] };
  };
  const jobs = { run, close: () => closed++ } as unknown as JobProcess;
  const [baseline, changed] = [{ run: 'a' }, { run: 'b' }] as Config[];
  const found = await compareSpeeds(baseline!, changed!, () => jobs);
  assert.deepEqual(asked, Array(5).fill([{ kind: 'compare', config: baseline, changed }, true]));
  assert.deepEqual(
    found.map((each) => each.baseline),
    [[1], [2], [3], [4], [5]],
  );
  const failing = { run: () => Promise.reject(new Error('x')), close: () => closed++ } as unknown as JobProcess;
  await assert.rejects(
    compareSpeeds(baseline!, changed!, () => failing),
    /x/,
  );
  assert.equal(closed, 2);
});
