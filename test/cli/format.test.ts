import assert from 'node:assert/strict';
import test from 'node:test';
import { count, difference, duration, oneLine, table } from '../../src/cli/format.js';
import { numberOrText } from '../../src/cli/options.js';

test('count() groups thousands', () => {
  assert.deepEqual([0, 999, 60_965_224].map(count), ['0', '999', '60,965,224']);
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

test('oneLine() joins lines with single spaces', () => {
  assert.equal(oneLine(' a\n   b\r\n\nc '), 'a b c');
});

test('table() aligns numbers to the right and text to the left, without space at the end', () => {
  assert.deepEqual(
    table(
      ['name', 'n', 'mixed'],
      [
        ['a', 1000, 'x'],
        ['longer', 5, 7],
      ],
    ),
    ['name        n  mixed', 'a       1,000  x', 'longer      5  7'],
  );
  assert.deepEqual(table(['name', 'n'], []), ['name  n']);
});

test('numberOrText() reads decimal numbers, and keeps other texts', () => {
  const numbers: [text: string, value: number][] = [
    ['3', 3],
    ['-3', -3],
    ['+3', 3],
    ['.5', 0.5],
    ['5.', 5],
    ['1e-3', 0.001],
  ];
  for (const [text, value] of numbers) assert.equal(numberOrText(text), value);
  for (const text of ['', ' ', '0x10', '1_000', '1,5', 'NaN', 'Infinity', '3 ', '.', 'e3']) {
    assert.equal(numberOrText(text), text);
  }
});
