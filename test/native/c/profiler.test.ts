/** TensorFlow's profiler, in a process of its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { profilerMissing } from '../../../src/native/c/profiler.js';
import { runProgram } from '../child.js';

const missing = profilerMissing();

test('sessions of the profiler report the op that ran in them, with its scope, one session at a time', {
  skip: missing ?? false,
}, async () => {
  const { code, signal, stdout, stderr } = await runProgram('profiler');
  assert.deepEqual([code, signal, stderr], [0, null, '']);
  const { found, now } = JSON.parse(stdout);
  // Another session meanwhile is refused; nothing of before and after is reported.
  assert.deepEqual(found, Array(3).fill({ second: true, names: ['tower0/conv1/forward/Relu:Relu'], isWithin: true }));
  assert.equal(now, true);
});

test('the profiler is used only with the build that it was tried with', () => {
  const tried = { version: '2.21.0', platform: 'linux', arch: 'x64' };
  assert.equal(profilerMissing(tried), undefined);
  for (const other of [{ version: '2.21.1' }, { platform: 'darwin' }, { arch: 'arm64' }]) {
    const here = { ...tried, ...other };
    assert.equal(
      profilerMissing(here),
      `the profiler is only used with TensorFlow 2.21.0 for linux x64, and this is TensorFlow ${here.version} for ${here.platform} ${here.arch}`,
    );
  }
});
