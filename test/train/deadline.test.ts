import assert from 'node:assert/strict';
import test from 'node:test';
import type { TowerClient } from '../../src/tower/client.js';
import { answered, inTime } from '../../src/train/deadline.js';

test('inTime() gives what the promise gives, or throws what it throws', async () => {
  const late = () => new Error('late');
  assert.equal(await inTime(Promise.resolve(3), 60_000, late), 3);
  await assert.rejects(inTime(Promise.reject(new Error('own')), 60_000, late), /own/);
  assert.equal(await inTime(Promise.resolve(4), Number.MAX_SAFE_INTEGER, late), 4);
});

test('inTime() throws at the deadline, and is not troubled by what comes later', async () => {
  let fail: (error: Error) => void = () => {};
  const promise = new Promise<never>((_, reject) => {
    fail = reject;
  });
  await assert.rejects(
    inTime(promise, 5, () => new Error('late')),
    /late/,
  );
  fail(new Error('after all'));
});

test('answered() waits longer for a GPU to open than for a CPU, and for nothing else', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const stuck = (device: string) => ({ setup: { device }, ask: () => new Promise(() => {}) }) as unknown as TowerClient;
  const late: string[] = [];
  const ask = (device: string, kind: 'open' | 'list') =>
    answered(stuck(device), 0, { kind }, undefined, 1).catch(() => void late.push(`${kind} ${device}`));
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
