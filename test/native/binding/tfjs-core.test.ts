/** tfjs-core's own tests, as tfjs-node runs them, on the pinned binding. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCoreTests } from './tfjs-core-run.js';

/** The number of tests that pass today. */
const PASSED = 3878;

test('tfjs-core passes its own tests on CPU:1, except those that tfjs-node skips', async () => {
  const { failed } = await runCoreTests('CPU:1', PASSED);
  assert.deepEqual(failed, []);
});
