/** Any bytes of an image file give pixels or a reason. In a process of its own, because the decoder is written in C. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { runNode } from '../../native/child.js';

const PROGRAM = fileURLToPath(new URL('decode-fuzz-program.js', import.meta.url));

test('decode() returns pixels or a reason for any bytes, without a crash and within bounded memory', async (t) => {
  const { code, signal, stdout, stderr } = await runNode([PROGRAM]);
  for (const line of stdout.trim().split('\n')) t.diagnostic(line);
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
  assert.match(stdout, /\d+ images: \d+ read, \d+ refused/);
});
