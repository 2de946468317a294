/** What the process's threads share. A process has it only once, so each test has its own process. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Ended, runNode, runProgram } from '../child.js';

const noDeathsTold =
  process.platform !== 'linux' &&
  'only Linux tells that a thread ended which had a lock; elsewhere the wait has an end';

/** The process ended with 0, and printed these lines. */
function printed({ code, signal, stdout, stderr }: Ended, expected: string[]): void {
  assert.deepEqual([code, signal, stderr, stdout.trimEnd().split('\n')], [0, null, '', expected]);
}

test("oneAtATime() runs one thread's action at a time", async () => {
  printed(await runProgram('one-at-a-time', ['count']), ['true']);
});

test('oneAtATime() continues after a thread that ended during its action', { skip: noDeathsTold }, async () => {
  printed(await runProgram('one-at-a-time', ['dies']), ['0', 'and again']);
});

test('oneAtATime() stops waiting for a thread that does not finish', async () => {
  printed(await runProgram('one-at-a-time', ['late']), [
    'NativeError 4: Cannot be in time: another thread has been doing it for 0.05 s, expected it to take less; check the disk with TensorFlow and the driver (nvidia-smi), then start again',
  ]);
});

test('openContext() in two threads is one context, even after a third one has ended during it', {
  skip: noDeathsTold,
}, async () => {
  printed(await runProgram('one-at-a-time', ['context']), ['true']);
});

test('openLibrary() in many threads at once writes nothing, and loses nothing that others write', async (t) => {
  if (process.platform !== 'linux') return t.skip('only the builds for Linux have a line to be kept quiet');
  for (let i = 0; i < (process.env.FAULTS === 'all' ? 8 : 2); i++) {
    const { code, signal, stdout, stderr } = await runProgram('loads-at-once');
    assert.deepEqual([code, signal], [0, null], stderr);
    assert.match(stdout, /^\d+\n$/, 'no thread failed');
    const numbers = Array.from({ length: Number(stdout) }, (_, number) => `${number}`);
    assert.deepEqual(stderr.split('\n'), [...numbers, 'C', '']);
  }
});

test("openLibrary() in a later thread returns the loaded library, whatever the thread's environment is", async () => {
  const { href } = new URL('../../../src/native/c/load.js', import.meta.url);
  const load = `import(${JSON.stringify(href)}).then(({ openLibrary }) => openLibrary().path)`;
  const thread = `import { parentPort } from 'node:worker_threads';\nparentPort.postMessage(await ${load});`;
  const program = `import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    const path = await ${load};
    const env = { TENSORFLOW_DIR: '/nowhere' };
    const [theirs] = await once(new Worker(${JSON.stringify(thread)}, { eval: true, env }), 'message');
    process.stdout.write(String(theirs === path && path !== ''));`;
  printed(await runNode(['--input-type=module', '--eval', program]), ['true']);
});
