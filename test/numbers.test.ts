import assert from 'node:assert/strict';
import test from 'node:test';
import { count, difference, duration, mebibytes, median } from '../src/numbers.js';

test('count() groups thousands', () => {
  assert.deepEqual([0, 999, 60_965_224].map(count), ['0', '999', '60,965,224']);
});

test('median() returns the middle value, or the mean of the two in the middle', () => {
  assert.deepEqual([[3, 10, 1], [10, 9, 1, 2], [4], []].map(median), [3, 5.5, 4, Number.NaN]);
});

test('duration() prints seconds, minutes and hours as needed', () => {
  const cases: [milliseconds: number, text: string][] = [
    [0, '0 s'],
    [4_400, '4 s'],
    [59_499, '59 s'],
    [59_500, '1:00'],
    [65_000, '1:05'],
    [3_600_000, '1:00:00'],
    [7_384_000, '2:03:04'],
    [Number.NaN, '?'],
    [Number.POSITIVE_INFINITY, '?'],
  ];
  for (const [milliseconds, text] of cases) assert.equal(duration(milliseconds), text);
});

test('difference() keeps zero, NaN and the infinities', () => {
  assert.deepEqual([0, 2.14e-7, Number.NaN, Infinity].map(difference), ['0', '2.1e-7', 'NaN', 'Infinity']);
});

test('mebibytes() has one digit after the point', () => {
  assert.deepEqual([0, 1_500_000, 2 ** 30].map(mebibytes), ['0.0 MiB', '1.4 MiB', '1024.0 MiB']);
});
