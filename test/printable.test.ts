import assert from 'node:assert/strict';
import test from 'node:test';
import { printable, printableLines } from '../src/printable.js';

test('printable() shows what a terminal would obey, as JSON escapes it, and leaves letters as they are', () => {
  const cases: [text: string, shown: string][] = [
    ['café 寿司 🐈‍⬛ "a\\b" a\tb', 'café 寿司 🐈‍⬛ "a\\b" a\tb'],
    ['\u001b]0;TITLE\u0007', '\\u001b]0;TITLE\\u0007'],
    ['a\r\nb\u0000\u007f', 'a\\r\\nb\\u0000\\u007f'],
    ['\u0085\u009b2J', '\\u0085\\u009b2J'],
    ['\u202egpj.exe\u2066\u2028\u2029', '\\u202egpj.exe\\u2066\\u2028\\u2029'],
  ];
  for (const [text, shown] of cases) assert.equal(printable(text), shown);
  assert.equal(printableLines('a\n\u001bb\n'), 'a\n\\u001bb\n');
});

test('printable() leaves JSON what it was', () => {
  const value = { '\u009b\u007f': ['\u0000\n\u202e', '\ud83d', 'é'] };
  assert.deepEqual(JSON.parse(printable(JSON.stringify(value))), value);
});
