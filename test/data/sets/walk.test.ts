/** Links and endings in folders of images. */
import assert from 'node:assert/strict';
import fs, { renameSync, symlinkSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { errorWithCode, retryRead, SystemError } from '../../../src/data/images/retry.js';
import { openDataset } from '../../../src/data/index.js';
import { readImageFolder } from '../../../src/data/sets/image-folder.js';
import { findLabelsFile } from '../../../src/data/sets/val-labels.js';
import { DataError } from '../../../src/errors.js';
import { isSentence } from '../../fuzz.js';
import { imageFolderOf } from '../sets.js';

const SET = {
  'train/a/1.jpg': 'rgb.jpg',
  'train/a/below/2.jpg': 'rgb.jpg',
  'train/b/3.jpg': 'rgb.jpg',
  'val/a/4.jpg': 'rgb.jpg',
  'val/b/5.jpg': 'rgb.jpg',
};

/** Why a set with these links is refused; links are paths to targets. */
function refusedWith(
  t: TestContext,
  links: Readonly<Record<string, string>>,
  more: Record<string, string> = {},
): string {
  const folder = imageFolderOf(t, { ...SET, ...more });
  for (const [path, target] of Object.entries(links)) symlinkSync(target.replace('SET', folder), join(folder, path));
  let message = '';
  assert.throws(
    () => readImageFolder(folder),
    (error: Error) => {
      message = error.message;
      return error instanceof DataError && isSentence(message);
    },
  );
  return message.replaceAll(folder, 'SET');
}

test('readImageFolder() refuses a link to a folder that is walked anyway, and names its target', (t) => {
  const back = (link: string, target: string) =>
    new RegExp(`the link ${link} leads back to ${target}, .*remove the link`);
  const cases: [links: Record<string, string>, wanted: RegExp][] = [
    [{ 'train/a/up': '..' }, back('train/a/up', 'SET/train')],
    [{ 'train/a/up': '../..' }, back('train/a/up', 'SET')],
    [{ 'train/a/root': '/' }, back('train/a/root', '/')],
    [{ 'train/a/here': '.' }, back('train/a/here', 'SET/train/a')],
    [{ 'train/a/below/up': 'SET/train/a' }, back('train/a/below/up', 'SET/train/a')],
    [{ 'train/up': '..' }, back('train/up', 'SET')],
    [{ 'val/b/up': '../../val' }, back('val/b/up', 'SET/val')],
    // Two of them have no end: 2 to the power of 40 folders, which is as many links as the system follows.
    [{ 'train/a/up': '..', 'train/b/up': '..' }, back('train/a/up', 'SET/train')],
    [{ 'train/a/b': '../b' }, /the link train\/a\/b and train\/b are one folder, SET\/train\/b, .*remove the link/],
    [{ 'train/b/a': '../a/below' }, /train\/a\/below and the link train\/b\/a are one folder, SET\/train\/a\/below,/],
    [{ 'train/c': 'a' }, /train\/a and the link train\/c are one folder/],
    [{ 'train/a/z': 'below' }, /train\/a\/below and the link train\/a\/z are one folder/],
  ];
  for (const [links, wanted] of cases) assert.match(refusedWith(t, links), wanted, JSON.stringify(links));
});

test('readImageFolder() follows a link to a folder elsewhere, and refuses links back from there', (t) => {
  const disk = imageFolderOf(t, { 'more/6.jpg': 'rgb.jpg', 'train/c/7.jpg': 'rgb.jpg', 'val/c/7.jpg': 'rgb.jpg' });
  const folder = imageFolderOf(t, SET);
  symlinkSync(join(disk, 'more'), join(folder, 'train/a/more'));
  for (const part of ['train', 'val']) symlinkSync(join(disk, part, 'c'), join(folder, part, 'c'));
  symlinkSync('../b/3.jpg', join(folder, 'train/a/3.jpg')); // as good as a copy
  const { classNames, train, test: val } = readImageFolder(folder);
  assert.deepEqual([classNames, train.count, val.count], [['a', 'b', 'c'], 6, 3]);
  symlinkSync(join(folder, 'train', 'b'), join(disk, 'more', 'back'));
  assert.throws(
    () => readImageFolder(folder),
    /train\/a\/more\/back and train\/b are one folder|the link train\/a\/more\/back and train\/b are one folder/,
  );
});

test('readImageFolder() accepts parts that are links, also val as a link to train', (t) => {
  const folder = imageFolderOf(t, SET);
  renameSync(join(folder, 'val'), join(folder, 'other'));
  symlinkSync('train', join(folder, 'val'));
  const { train, test: val, remarks } = readImageFolder(folder);
  assert.deepEqual([train.count, val.count], [3, 3]);
  assert.deepEqual(remarks, [
    'val and train are the same folder: the net is tested on the very images that it learns from, so its test results say nothing about others',
  ]);
});

test('readImageFolder() refuses images in both parts, and names the links', (t) => {
  const both = (first: string, second: string) =>
    new RegExp(
      `: ${first} and ${second} are the same, SET\\S*, so the net would be tested on images that it learns from`,
    );
  const cases: [links: Record<string, string>, wanted: RegExp][] = [
    [{ 'train/a/x': '../../val' }, both('the link train/a/x', 'val')],
    [{ 'train/a/x': '../../val/b' }, both('the link train/a/x', 'val/b')],
    [{ 'val/a/x': '../../train/b' }, both('train/b', 'the link val/a/x')],
    [{ 'val/a/x': '../../train' }, both('train', 'the link val/a/x')],
    [{ 'train/c': 'SET/farm/c', 'val/c': 'SET/farm/c' }, both('the link train/c', 'the link val/c')],
    [
      { 'train/a/x': 'SET/farm', 'val/a/y': 'SET/farm/c' },
      both('train/a/x/c through the link train/a/x', 'the link val/a/y'),
    ],
    [
      { 'train/a/x': 'SET/farm/c', 'val/a/y': 'SET/farm' },
      both('the link train/a/x', 'val/a/y/c through the link val/a/y'),
    ],
    [{ 'train/a/9.jpg': '../../val/a/4.jpg' }, both('the link train/a/9.jpg', 'val/a/4.jpg')],
    [{ 'val/a/9.jpg': 'SET/train/a/below/2.jpg' }, both('the link val/a/9.jpg', 'train/a/below/2.jpg')],
  ];
  for (const [links, wanted] of cases) {
    assert.match(refusedWith(t, links, { 'farm/c/1.jpg': 'rgb.jpg' }), wanted, JSON.stringify(links));
  }
});

test('readImageFolder() refuses broken links instead of classes and parts', (t) => {
  const lost = (link: string, target: string, code: string) =>
    new RegExp(`: the link ${link} leads to ${target}, and cannot be followed \\(${code}.*\\), expected a folder`);
  const gone = '/nowhere/c';
  const cases: [links: Record<string, string>, wanted: RegExp][] = [
    [{ 'train/c': gone, 'val/c': gone }, lost('train/c', gone, 'ENOENT')],
    [{ 'val/c.v2': gone }, lost('val/c.v2', gone, 'ENOENT')],
    [{ 'train/zz': 'zz' }, lost('train/zz', 'zz', 'ELOOP')],
    [{ 'train/a/more': gone }, lost('train/a/more', gone, 'ENOENT')],
  ];
  for (const [links, wanted] of cases) assert.match(refusedWith(t, links), wanted, JSON.stringify(links));
  // Its place would be taken by the images without answers.
  const folder = imageFolderOf(t, { ...SET, 'test/a/1.jpg': 'rgb.jpg', 'test/b/1.jpg': 'rgb.jpg' });
  renameSync(join(folder, 'val'), join(folder, 'other'));
  symlinkSync(gone, join(folder, 'val'));
  assert.throws(() => readImageFolder(folder), lost('val', gone, 'ENOENT'));
  const hidden = imageFolderOf(t, SET);
  for (const name of ['.lock', '7.jpg', 'notes.txt']) symlinkSync(gone, join(hidden, 'train/a', name));
  assert.equal(readImageFolder(hidden).train.count, 4);
});

test('openDataset() retries system faults, so that no part, list or class seems missing', async (t) => {
  const folder = imageFolderOf(t, { ...SET, 'val.txt': Buffer.from('') });
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  for (const [name, place, code, advice] of [
    ['readdirSync', 'train/a', 'EMFILE', /ulimit -n/],
    ['statSync', 'val.txt', 'EIO', /check the disk/],
    ['statSync', 'dataset.json', 'ESTALE', /mount the folder again/],
  ] as const) {
    const original = fs[name] as (...given: unknown[]) => unknown;
    let left = 2;
    const stat = t.mock.method(fs, name, (...given: unknown[]) => {
      if (String(given[0]).endsWith(place) && left-- > 0) throw errorWithCode(code, `${code}: so it is, open '/x'`);
      return original(...given);
    });
    syncBuiltinESMExports();
    const open = () => findLabelsFile(folder, 'val') && openDataset(folder, 2);
    assert.ok(await retryRead(folder, open, { waitsMs: [0, 0] }));
    left = 9;
    await assert.rejects(retryRead(folder, open, { waitsMs: [0] }), (error: Error) => {
      const wanted = new RegExp(
        `^Cannot look at \\S*${place}: the system refused it \\(${code}: so it is\\), expected`,
      );
      return error instanceof SystemError && wanted.test(error.message) && advice.test(error.message);
    });
    stat.mock.restore();
    syncBuiltinESMExports();
  }
});

test('readImageFolder() accepts all endings of JPEG, and counts ignored files by ending', (t) => {
  const bytes = Buffer.from('x');
  const names = ['x.jfif', 'x.JPE', 'x.jif', 'x.pjpeg', 'x.JPG', 'x.Jpeg'];
  const folder = imageFolderOf(t, {
    ...SET,
    ...Object.fromEntries(names.map((name) => [`train/a/${name}`, 'rgb.jpg'])),
    ...{ 'train/a/1.bmp': bytes, 'train/b/2.BMP': bytes, 'val/a/3.heic': bytes, 'train/a/notes.txt': bytes },
    ...{ 'train/a/README': bytes, 'train/a/x.tar gz': bytes },
  });
  const { train, ignored, passedOver, remarks } = readImageFolder(folder);
  assert.equal(train.count, 3 + names.length);
  assert.deepEqual([ignored, passedOver], [6, { bmp: 2, heic: 1, txt: 1, '': 1, others: 1 }]);
  const file = join(folder, 'val/a/3');
  const how = `\`sips -s format jpeg ${file}.heic --out ${file}.jpg\` on macOS, \`heif-convert ${file}.heic ${file}.jpg\` on Linux`;
  assert.deepEqual(remarks, [
    `2 .bmp files, 1 .heic file ignored: only JPEG, PNG, GIF and WebP files are read; convert them: ${how}; docs/photos.md says more`,
  ]);
  const empty = imageFolderOf(t, { ...SET, 'train/c/1.tiff': bytes, 'val/c/1.tiff': bytes });
  assert.throws(() => readImageFolder(empty), /class folder train\/c holds no image; ignored .*: 1 \.tiff file,/);
});
