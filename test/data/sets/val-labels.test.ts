/** Lists of labels for images without class folders. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { readLabels } from '../../../src/data/sets/val-labels.js';
import { refusal } from '../refusal.js';
import { folderOf } from '../sets.js';

test('readLabels() accepts names with blanks and commas: the longest name of an image, then of a class', (t) => {
  const file = join(folderOf(t, {}), 'val.txt');
  const classNames = ['golden', 'golden retriever', 'Great Dane, blue', 'n1'];
  const read = (text: string, ...names: string[]) => {
    writeFileSync(file, text);
    return readLabels(
      file,
      classNames,
      names.map((name) => `val/${name}`),
    );
  };
  const cases: [text: string, names: string[], labels: number[]][] = [
    ['my photo 1.png golden retriever\nb.png golden\n', ['my photo 1.png', 'b.png'], [1, 0]],
    ['my photo 1.png\tgolden retriever\t3', ['my photo 1.png'], [1]],
    ['my photo 1.png,golden', ['my photo 1.png'], [0]],
    ['my photo 1 golden retriever 4 5', ['my photo 1.png'], [1]],
    ['"my photo, 1.png",Great Dane, blue', ['my photo, 1.png'], [2]],
    ['"my ""photo"" 1.png","Great Dane, blue"', ['my "photo" 1.png'], [2]],
    ['my photo, 1.png 3', ['my photo, 1.png'], [3]],
    ['a 1 0\na 2', ['a.png', 'a 1.png'], [2, 0]],
    ['a 1\na 1 0', ['a.png', 'a 1.png'], [1, 0]],
    ['val/my photo.jpg n1', ['my photo.png'], [3]],
    ['/data/set 1/val/my photo.png n1 x', ['my photo.png'], [3]],
    ['a.jpg 0\na.png 1', ['a.jpg', 'a.png'], [0, 1]],
    ['x/a.jpg 0\nval/y/a.jpg 1', ['x/a.jpg', 'y/a.jpg'], [0, 1]],
    ['b 7.png golden\na.png 1', ['a.png'], [1]],
    // A list of all parts, and one that names val in a set without any other.
    ['train/1.png 0\ntest/2.png 1\nval/1.png 1\nval/2.png 0', ['1.png', '2.png'], [1, 0]],
    ['val/1.png 1\n1.png 0\n/data/train/1.png 2\nTrain/x/1 3', ['1.png'], [1]],
    ['/data/train/set/val/y/a.jpg 1\nval/test/b.jpg 2', ['y/a.jpg', 'test/b.jpg'], [1, 2]],
    ['validation/1.png 1', ['1.png'], [1]],
  ];
  for (const [text, names, labels] of cases) assert.deepEqual(read(text, ...names), labels, text);
  const refused = (wanted: RegExp, text: string, ...names: string[]) =>
    assert.match(
      refusal(() => read(text, ...names), file),
      wanted,
    );
  refused(/no line for val\/1\.png/, 'train/1.png 0\ntest/1.png 0\n', '1.png');
  refused(/no line for val\/1\.png.*; line 1 has \\ between folders: write \/ there$/, 'C:\\x\\1.png n1', '1.png');
  refused(/line 1 says no class.*; line 1 has a semicolon: write a comma/, '1.png;n1', '1.png');
  refused(/line 1 says the class ; n1.*; line 1 has a semicolon: write a comma/, '1.png ; n1', '1.png');
  refused(/line 1 says the class green, expected/, 'my photo 1.png green', 'my photo 1.png');
  refused(/line 1 says no class/, 'my photo 1.png', 'my photo 1.png');
  refused(/lines 1 and 2 say different classes of a\.png, expected one/, 'a.png 0\na.png 1', 'a.png');
  refused(/lines 1 and 2 say different classes of a\.jpg, .*their folders/, 'a.jpg 0\na.jpg 1', 'x/a.jpg', 'y/a.jpg');
});

test('readLabels() is fast for a long line', (t) => {
  const file = join(folderOf(t, {}), 'val.txt');
  writeFileSync(file, `${'a/ '.repeat(2 ** 21)}\n${'b '.repeat(2 ** 21)}\nc.jpg 1${' 1'.repeat(2 ** 20)}\n`);
  assert.deepEqual(readLabels(file, ['x', 'y'], ['val/c.jpg']), [1]);
});

test('readLabels() is fast for many ambiguous lines, with paths of any length', (t) => {
  const file = join(folderOf(t, {}), 'val.txt');
  const counted = (each: string) => Array.from({ length: 200 }, (_, i) => `${`${each} `.repeat(i)}${each}`);
  const names = ['a '.repeat(2000), `${'b/'.repeat(1000)}b`, ...counted('a')].map((name) => `val/${name}.png`);
  const lines = ['a '.repeat(2000), 'b/b '.repeat(1000), `${'val/'.repeat(900)}b x`, `b ${'x '.repeat(1500)}y`];
  const begun = process.cpuUsage().user;
  writeFileSync(file, `${lines.join('\n')}\n`.repeat(20));
  assert.match(
    refusal(() => readLabels(file, counted('x'), names), file),
    /line 1 says the class a a/,
  );
  // 30 ms for each line, when every blank was taken for the end of a name.
  writeFileSync(file, `${'a '.repeat(2000)}\n`.repeat(1000));
  const long = `val/${'d '.repeat(1999)}a.png`;
  assert.throws(() => readLabels(file, ['x', 'y'], [long]), /it has no line for/);
  assert.ok(process.cpuUsage().user - begun < 10e6);
});

test('a set without val uses test, whichever part its list names', (t) => {
  const file = join(folderOf(t, {}), 'val.txt');
  writeFileSync(file, 'val/1.png 1\ntest/2.png 0\ntrain/2.png 1\n');
  assert.deepEqual(readLabels(file, ['x', 'y'], ['test/1.png', 'test/2.png']), [1, 0]);
});
