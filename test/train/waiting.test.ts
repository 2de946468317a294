/** Promises that are cut short by a deadline or by a stop. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { GracePeriod, openUnlessStopped, Stopped, stoppable, withDeadline } from '../../src/train/waiting.js';

const forever = () => new Promise<never>(() => {});

test('withDeadline() settles as the promise does', async () => {
  const late = () => new Error('late');
  assert.equal(await withDeadline(Promise.resolve(3), 60_000, late), 3);
  await assert.rejects(withDeadline(Promise.reject(new Error('own')), 60_000, late), /own/);
  assert.equal(await withDeadline(Promise.resolve(4), Number.MAX_SAFE_INTEGER, late), 4);
});

test('withDeadline() throws at the deadline, and ignores a later rejection', async () => {
  let fail: (error: Error) => void = () => {};
  const promise = new Promise<never>((_, reject) => {
    fail = reject;
  });
  await assert.rejects(
    withDeadline(promise, 5, () => new Error('late')),
    /late/,
  );
  fail(new Error('after all'));
});

test('GracePeriod does not count time in which the process was suspended', async (t) => {
  let wall = performance.now();
  t.mock.method(performance, 'now', () => wall);
  const { signal } = new AbortController();
  const grace = new GracePeriod();
  assert.equal(grace.ms, 5_000);
  const paused = Promise.resolve().then(() => {
    wall += 3_600_000;
  });
  await grace.wait(paused, signal);
  assert.equal(grace.ms, 5_000);
});

test('openUnlessStopped() returns what is opened, and closes what is opened too late', async () => {
  const closed: number[] = [];
  const close = async (late: number) => void closed.push(late);
  const { signal } = new AbortController();
  assert.equal(await openUnlessStopped(Promise.resolve(1), signal, close), 1);
  await assert.rejects(openUnlessStopped(Promise.reject<number>(new Error('x')), signal, close), /^Error: x$/);
  const late = new Promise<number>((resolve) => setTimeout(resolve, 20, 2));
  assert.equal(await openUnlessStopped(late, AbortSignal.abort(), close), undefined);
  assert.deepEqual(closed, [2]);
  // The signal itself may cause such an error.
  assert.equal(await openUnlessStopped(Promise.reject<number>(new Error('y')), AbortSignal.abort(), close), undefined);
});

test('stoppable() settles as the promise does, or throws Stopped after the grace period', async () => {
  const { signal } = new AbortController();
  assert.equal(await stoppable(Promise.resolve(3), signal), 3);
  await assert.rejects(stoppable(Promise.reject(new Error('x')), signal), /^Error: x$/);
  await assert.rejects(stoppable(forever(), AbortSignal.abort()), Stopped);
  assert.equal(await stoppable(Promise.resolve(4), AbortSignal.abort(), 1000), 4);
});
