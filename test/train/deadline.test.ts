import assert from 'node:assert/strict';
import test from 'node:test';
import { inTime } from '../../src/train/deadline.js';

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
