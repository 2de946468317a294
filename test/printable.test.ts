import assert from 'node:assert/strict';
import test from 'node:test';
import { jsonText, printable, printableLines, shellWord } from '../src/printable.js';

test('printable() escapes control characters as JSON does, and does not change letters', () => {
  const cases: [text: string, shown: string][] = [
    ['café 寿司 🐈‍⬛ "a\\b" a\tb', 'café 寿司 🐈‍⬛ "a\\b" a\tb'],
    ['\u001b]0;TITLE\u0007', '\\u001b]0;TITLE\\u0007'],
    ['a\r\nb\u0000\u007f', 'a\\r\\nb\\u0000\\u007f'],
    ['\u0085\u009b2J', '\\u0085\\u009b2J'],
    ['\u200e\u200f\u061cabc', '\\u200e\\u200f\\u061cabc'],
    ['\u202egpj.exe\u2066\u2028\u2029', '\\u202egpj.exe\\u2066\\u2028\\u2029'],
  ];
  for (const [text, shown] of cases) assert.equal(printable(text), shown);
  assert.equal(printableLines('a\n\u001bb\n'), 'a\n\\u001bb\n');
});

test('jsonText() returns JSON of the same value without control characters', () => {
  const value = { 'b\u009b31m': ['\u200f\u007f', 'é', '\ud83d'] };
  for (const space of [undefined, 1]) {
    const text = jsonText(value, space);
    assert.deepEqual(JSON.parse(text), value);
    assert.equal(text.includes('\n'), space === 1);
    assert.equal(printableLines(text), text);
  }
});

test('printable() of JSON is JSON of the same value', () => {
  const value = { '\u009b\u007f': ['\u0000\n\u202e', '\ud83d', 'é'] };
  assert.deepEqual(JSON.parse(printable(JSON.stringify(value))), value);
});

test('shellWord() quotes characters that are special in a shell', () => {
  for (const word of ['a.jpg', '/a/b-1.pt', '~/x', 'a=b', '--lr']) assert.equal(shellWord(word), word);
  for (const word of ['', '$(x)', '`x`', 'a b', 'a"b', 'a;b', '~x', '~', '=ls', 'a*', 'é']) {
    assert.equal(shellWord(word), `'${word}'`);
  }
  assert.equal(shellWord("it's"), `'it'\\''s'`);
});
