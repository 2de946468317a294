import assert from 'node:assert/strict';
import test from 'node:test';
import { oneLine, table } from '../../src/cli/format.js';
import { numberOrText } from '../../src/cli/options.js';

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
