/** How long towers may take, and the messages meanwhile. A slow promise is used instead of a GPU. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TowerClient } from '../../src/tower/client.js';
import { ONLY } from '../../src/tower/replica.js';
import { answerOf, explainSlowOpening, openingMs } from '../../src/train/tower-deadline.js';

const none = () => undefined;
const blackwell = () => '12.0';

test('openingMs() is longer for a GPU, and longest if the driver compiles kernels', () => {
  const cpu = openingMs('CPU:0', blackwell);
  const gpu = openingMs('GPU:1', none);
  const compiling = openingMs('/job:localhost/replica:0/task:0/device:GPU:0', blackwell);
  assert.ok(cpu < gpu && gpu < compiling, [cpu, gpu, compiling].join());
  // TensorFlow warns of "30 minutes or longer".
  assert.ok(compiling >= 30 * 60_000);
});

test('explainSlowOpening() explains once, and returns what was opened', async () => {
  const notes: string[] = [];
  const note = (text: string) => void notes.push(text);
  const slow = () => sleep(100, 'open');
  const soon = { quietMs: 1, compiles: blackwell };
  assert.equal(await explainSlowOpening(slow(), ['GPU:0', 'GPU:1'], note, soon), 'open');
  assert.deepEqual(notes.length, 1);
  assert.match(notes[0]!, /^opening GPU:0, GPU:1: the GPU's driver compiles kernels for compute capability 12\.0/);
  await explainSlowOpening(slow(), ['GPU:0'], note, { quietMs: 1, compiles: none });
  assert.match(notes[1]!, /^opening GPU:0: loading CUDA's libraries/);
  await assert.rejects(explainSlowOpening(Promise.reject(new Error('no device')), ['GPU:0'], note, soon), /no device/);
});

test('explainSlowOpening() prints nothing on CPUs, or if opening is quick', async () => {
  const note = () => assert.fail('no explanation expected');
  await explainSlowOpening(sleep(50), ['CPU:0', 'CPU:1'], note, { quietMs: 1, compiles: blackwell });
  await explainSlowOpening(Promise.resolve(), ['GPU:0'], note, { quietMs: 20, compiles: blackwell });
  await sleep(50);
});

test('answerOf() waits longer for a GPU to open than for a CPU, and for no other command', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const stuck = (device: string) =>
    ({ setup: { device, part: 'whole', replica: ONLY }, ask: () => new Promise(() => {}) }) as unknown as TowerClient;
  const late: string[] = [];
  const ask = (device: string, kind: 'open' | 'list') =>
    answerOf(stuck(device), { kind }, undefined, 1).catch(() => void late.push(`${kind} ${device}`));
  const all = [ask('CPU:0', 'open'), ask('GPU:0', 'open'), ask('GPU:0', 'list')];
  const pass = async (ms: number) => {
    t.mock.timers.tick(ms);
    await new Promise(setImmediate);
  };
  await pass(1_000);
  assert.deepEqual(late, ['list GPU:0']);
  await pass(100_000);
  assert.deepEqual(late, ['list GPU:0', 'open CPU:0']);
  await pass(3 * 3_600_000);
  assert.equal(late.at(-1), 'open GPU:0');
  await Promise.all(all);
});
