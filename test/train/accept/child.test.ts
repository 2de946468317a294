/** The child process ignores signals, which a terminal sends to the whole group: the parent decides. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { END_SIGNALS } from '../../../src/end-signals.js';

const CHILD_FILE = fileURLToPath(new URL('../../../src/train/accept/child.js', import.meta.url));

test('the child process ignores every signal that ends a run, and ends with its parent', async () => {
  const child = fork(CHILD_FILE, [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], serialization: 'advanced' });
  const ended = once(child, 'exit');
  const ask = async () => {
    child.send({ kind: 'no such job' });
    return await Promise.race([once(child, 'message'), ended]);
  };
  const answer = await ask();
  for (const name of END_SIGNALS) child.kill(name);
  assert.deepEqual(await ask(), answer);
  child.disconnect();
  assert.deepEqual(await ended, [1, null]);
});
