/** How long a device may take to open, and what is said meanwhile; a tower that is slow to open stands in for a GPU. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openingMs, saidWhileOpening } from '../../src/train/first-use.js';

const none = () => undefined;
const blackwell = () => '12.0';

test('openingMs() is patient with a GPU, and more so where the driver compiles kernels', () => {
  const cpu = openingMs('CPU:0', blackwell);
  const gpu = openingMs('GPU:1', none);
  const compiling = openingMs('/job:localhost/replica:0/task:0/device:GPU:0', blackwell);
  assert.ok(cpu < gpu && gpu < compiling, [cpu, gpu, compiling].join());
  // TensorFlow warns of "30 minutes or longer".
  assert.ok(compiling >= 30 * 60_000);
});

test('saidWhileOpening() says once what takes long, and gives what came', async () => {
  const notes: string[] = [];
  const note = (text: string) => void notes.push(text);
  const slow = () => sleep(100, 'open');
  const soon = { silentMs: 1, compiles: blackwell };
  assert.equal(await saidWhileOpening(slow(), ['GPU:0', 'GPU:1'], note, soon), 'open');
  assert.deepEqual(notes.length, 1);
  assert.match(notes[0]!, /^opening GPU:0, GPU:1: the GPU's driver compiles kernels for compute capability 12\.0/);
  await saidWhileOpening(slow(), ['GPU:0'], note, { silentMs: 1, compiles: none });
  assert.match(notes[1]!, /^opening GPU:0: CUDA's libraries are loaded/);
  await assert.rejects(saidWhileOpening(Promise.reject(new Error('no device')), ['GPU:0'], note, soon), /no device/);
});

test('saidWhileOpening() is silent on CPUs, and where it is quick', async () => {
  const note = () => assert.fail('nothing was to be said');
  await saidWhileOpening(sleep(50), ['CPU:0', 'CPU:1'], note, { silentMs: 1, compiles: blackwell });
  await saidWhileOpening(Promise.resolve(), ['GPU:0'], note, { silentMs: 20, compiles: blackwell });
  await sleep(50);
});
