/** Data sets as they come: by other names, in other forms, with other lists. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { loadDataset, openDataset, openFeeder, openImages } from '../../../src/data/index.js';
import { readImageFolder } from '../../../src/data/sets/image-folder.js';
import { nameAt } from '../../../src/data/sets/names.js';
import { refusal } from '../refusal.js';
import { folderOf, fourFiles, idx, imageFolderOf, PLAIN } from '../sets.js';

const TRAIN = { 'train/cat/1.jpg': 'rgb.jpg', 'train/dog/2.jpg': 'rgb.jpg' };

test('Tiny ImageNet is read as it is downloaded', (t) => {
  const folder = imageFolderOf(t, {
    'train/n02/images/n02_0.JPEG': 'rgb.jpg',
    'train/n02/n02_boxes.txt': Buffer.from('n02_0.JPEG\t0\t0\t62\t62\n'),
    'train/n01/images/n01_0.JPEG': 'rgb.jpg',
    'train/n01/n01_boxes.txt': Buffer.from('n01_0.JPEG\t0\t0\t62\t62\n'),
    'val/images/val_0.JPEG': 'rgb.jpg',
    'val/images/val_1.JPEG': 'gray.jpg',
    'val/val_annotations.txt': Buffer.from('val_0.JPEG\tn02\t0\t32\t44\t62\nval_1.JPEG\tn01\t52\t55\t57\t59\n'),
    'test/images/test_0.JPEG': 'rgb.jpg',
    'wnids.txt': Buffer.from('n02\nn01\n'),
    'words.txt': Buffer.from('n01\tfish\n'),
  });
  const { train, test: val, classNames, passedOver } = readImageFolder(folder);
  assert.deepEqual([classNames, train.count], [['n01', 'n02'], 2]);
  assert.deepEqual([nameAt(val.names, 0), ...val.labels], ['val/images/val_0.JPEG', 1, 0]);
  assert.deepEqual(passedOver, { txt: 2 });
  rmSync(join(folder, 'val/val_annotations.txt'));
  const message = refusal(() => readImageFolder(folder), folder);
  assert.match(message, /val holds 2 images side by side, so nothing says their classes, .*val_annotations\.txt/);
});

test('other names of train and val are accepted with a warning, and test images without labels are explained', (t) => {
  for (const [train, val] of [
    ['train', 'valid'],
    ['train', 'validation'],
    ['train', 'test'],
    ['Train', 'Val'],
    ['TRAINING', 'Testing'],
  ]) {
    const names = ['cat', 'dog'].flatMap((name) => [`${train}/${name}/1.jpg`, `${val}/${name}/2.jpg`]);
    const folder = imageFolderOf(t, Object.fromEntries(names.map((name) => [name, 'rgb.jpg'])));
    const dataset = openDataset(folder, 2);
    assert.ok(dataset.kind === 'files');
    assert.deepEqual(
      [nameAt(dataset.train.names, 0), nameAt(dataset.test.names, 1), dataset.classNames],
      [`${train}/cat/1.jpg`, `${val}/dog/2.jpg`, ['cat', 'dog']],
    );
    assert.deepEqual(dataset.remarks, [`there is no folder val: the test images are those in ${val}`]);
  }
  const robo = { ...TRAIN, 'valid/cat/1.jpg': 'rgb.jpg', 'valid/dog/1.jpg': 'rgb.jpg', 'test/cat/1.jpg': 'rgb.jpg' };
  assert.match(nameAt(readImageFolder(imageFolderOf(t, robo)).test.names, 0), /^valid\//);
  const kaggle = imageFolderOf(t, { ...TRAIN, 'test/1.jpg': 'rgb.jpg' });
  const message = refusal(() => readImageFolder(kaggle), kaggle);
  assert.match(
    message,
    /test holds 1 image side by side, .* as in test sets that are published without labels, .*make a folder/,
  );
});

test('composed and decomposed names count as the same, and files are opened by their own form', async (t) => {
  const [composed, decomposed] = ['caf\u00e9', 'cafe\u0301'];
  const folder = imageFolderOf(t, {
    [`train/${decomposed}/${decomposed}.jpg`]: 'rgb.jpg',
    'train/cafz/2.jpg': 'rgb.jpg',
    [`val/${decomposed}.jpg`]: 'rgb.jpg',
    'val/2.jpg': 'gray.jpg',
    'val.txt': Buffer.from(`${composed}.jpg ${composed}\n2.jpg cafz\n`),
  });
  const { classNames, test: val } = readImageFolder(folder);
  assert.deepEqual(
    [classNames, [...val.labels]],
    [
      ['cafz', composed],
      [0, 1],
    ],
  );
  rmSync(join(folder, 'val'), { recursive: true });
  for (const name of [composed, 'cafz']) {
    mkdirSync(join(folder, 'val', name), { recursive: true });
    writeFileSync(join(folder, 'val', name, '1.jpg'), readFileSync(join(folder, 'train/cafz/2.jpg')));
  }
  const data = { ...PLAIN, mean: [0, 0, 0], workers: 0 };
  const feeder = openFeeder({
    ...{ dataset: openDataset(folder, 2), batchSize: 2, inputSize: 4, inputChannels: 3, seed: 1, data },
  });
  t.after(() => feeder.close());
  for (const batch of [await feeder.train(1), await feeder.test(0)]) assert.equal(batch.count, 2);
  writeFileSync(join(folder, 'train', 'cafz', `${composed}.jpg`), '');
  writeFileSync(join(folder, 'train', 'cafz', `${decomposed}.jpg`), '');
  assert.deepEqual(readImageFolder(folder).remarks, [
    `train/cafz/${composed}.jpg exists twice, with composed and with decomposed characters: both count`,
  ]);
  mkdirSync(join(folder, 'train', composed));
  assert.match(
    refusal(() => readImageFolder(folder), folder),
    /train has two folders caf\u00e9 that look alike, one with composed/,
  );
});

/** The four files by other names. */
function renamed(rename: (name: string) => string, files = fourFiles()): Record<string, Buffer> {
  return Object.fromEntries(Object.entries(files).map(([name, bytes]) => [rename(name), bytes]));
}

test('IDX files are found by all their usual names', (t) => {
  const wanted = loadDataset(folderOf(t, fourFiles()), 3);
  const spellings: Record<string, (name: string) => string> = {
    'a dot': (name) => name.replace('-idx', '.idx'),
    'a prefix': (name) => `emnist-letters-${name.replace('t10k', 'test')}`,
    test: (name) => name.replace('t10k', 'test'),
    'large letters': (name) => name.replace('train', 'Train'),
  };
  for (const [what, rename] of Object.entries(spellings)) {
    const folders = [folderOf(t, renamed(rename))];
    const gzipped = Object.fromEntries(Object.entries(fourFiles()).map(([name, bytes]) => [name, gzipSync(bytes)]));
    folders.push(
      folderOf(
        t,
        renamed((name) => `${rename(name)}.gz`, gzipped),
      ),
    );
    const nested = folderOf(t, {});
    for (const [name, bytes] of Object.entries(renamed(rename))) {
      mkdirSync(join(nested, name));
      writeFileSync(join(nested, name, name), bytes);
    }
    for (const folder of [...folders, nested]) {
      const { train, test: val } = loadDataset(folder, 3);
      assert.deepEqual([train, val], [wanted.train, wanted.test], what);
    }
  }
  const both = folderOf(t, { ...renamed((name) => `a-${name}`), ...renamed((name) => `b-${name}`) });
  assert.match(
    refusal(() => loadDataset(both, 3), both),
    /it holds 2 data sets \(a, b\), expected one; put the four files of one/,
  );
  assert.equal(loadDataset(folderOf(t, { ...fourFiles(), ...renamed((name) => `b-${name}`) }), 3).train.count, 3);
});

test('labels from 1 are made to start at 0 if their number fits the net; otherwise the message has their number', (t) => {
  const files = (train: number[], test: number[]) => ({
    ...fourFiles(),
    'train-labels-idx1-ubyte': idx(0x801, [3], train),
    't10k-labels-idx1-ubyte': idx(0x801, [2], test),
  });
  const folder = folderOf(t, files([1, 2, 3], [3, 3]));
  const { train, test: val, classNames, remarks } = loadDataset(folder, 3);
  assert.deepEqual(
    [[...train.labels], [...val.labels], classNames],
    [
      [0, 1, 2],
      [2, 2],
      ['1', '2', '3'],
    ],
  );
  assert.match(remarks!.join(), /go from 1 to 3: class 1 is the net's first/);
  assert.deepEqual([...loadDataset(folder, 4).train.labels], [1, 2, 3]);
  const message = refusal(() => loadDataset(folder, 2), folder);
  assert.match(message, /label 2 at index 1, expected 0 to 1 .*go from 1 to 3: set .*--classes 3$/);
  for (const [train, test, from] of [
    [[1, 2, 3], [0, 2], 1],
    [[0, 1, 2], [1, 3], 0],
  ] as const) {
    const other = folderOf(t, files([...train], [...test]));
    const refused = refusal(() => loadDataset(other, 3), other);
    const wanted = `t10k-labels-idx1-ubyte: its labels go from ${test[0]} to ${test[1]}, expected them to count from ${from} as the training labels do`;
    assert.ok(refused.includes(wanted) && !refused.includes('--classes'), refused);
  }
  const more = folderOf(t, files([0, 1, 2], [0, 3]));
  assert.match(
    refusal(() => loadDataset(more, 3), more),
    /label 3 at index 1, .*--classes 4$/,
  );
});

test('data in an unsupported format gets a message with the format and how to convert it', (t) => {
  const refused = (files: Record<string, Buffer | string>, wanted: RegExp, inner = '.') => {
    const folder = join(imageFolderOf(t, files), inner);
    for (const open of [() => openImages(folder), () => openDataset(folder, 2)]) {
      const message = refusal(open, folder);
      assert.match(message, wanted);
      assert.doesNotMatch(message, /-idx3-ubyte/);
    }
  };
  const x = Buffer.from('x');
  const tars =
    /tar files that `data prepare` did not write, such as WebDataset's shards \(.*docs\/data\.md has the lines/;
  refused({ 'a-000000.tar': x, 'a-000001.tar': x }, tars);
  refused({ 'train/000000.tar': x, 'val/000000.tar': x }, tars);
  refused({ 'a.tar': x }, /: it is a file of the kind tar files that .*docs\/data\.md has the lines/, 'a.tar');
  refused({ 'a.zip': x }, /: it is a file of the kind archives, .*unpack them/, 'a.zip');
  refused({ 'train.zip': x }, /holds archives \(train\.zip\), .*unpack them/);
  refused({ 'a/train-00000-of-00002.parquet': x, 'train-00000.parquet': x }, /Parquet or Arrow tables \(train-00000/);
  refused({ 'data.mdb': x, 'lock.mdb': x }, /an LMDB database/);
  refused(
    { data_batch_1: x, test_batch: x },
    /CIFAR-10's version for another program \(data_batch_1, … \(2\)\), .*end in \.bin/,
  );
  refused({ 'data_batch.npz': x }, /arrays of another program/);
  refused({ 'a set/test_batch.bin': x }, /it is in the folder .*a set, .*name that with --data/);
  refused(
    { 'cat/1.jpg': x, 'dog/1.jpg': x },
    /class folders \(cat, dog, …\), but no train and val, .*--val-share 0\.2, or .*data split \S+ --out OUT$/,
  );
  const whole = Object.fromEntries(['train', 'val'].flatMap((part) => [[`a set/${part}/cat/1.jpg`, x]]));
  refused(whole, /it is in the folder .*a set, .*name that with --data/);
});

const LINES = /```\n(for shard in [\s\S]*?)```/;

test("the commands in docs/data.md unpack another tool's shards into class folders", (t: TestContext) => {
  const lines = LINES.exec(readFileSync(new URL('../../../../docs/data.md', import.meta.url), 'utf8'))?.[1];
  assert.ok(lines);
  const folder = imageFolderOf(t, {
    '000.jpg': 'rgb.jpg',
    '000.cls': Buffer.from('7'),
    '001.png': 'rgba.png',
    '001.cls': Buffer.from('12\n'),
    '001.json': Buffer.from('{}'),
    '002.jpg': 'rgb.jpg',
    '002.cls': Buffer.from('../../gone'),
  });
  const names = ['000.jpg', '000.cls', '001.png', '001.cls', '001.json', '002.jpg', '002.cls'];
  for (const part of ['train', 'val']) {
    execFileSync('tar', ['-cf', `${part}-000000.tar`, ...names], { cwd: folder });
  }
  const out = join(folder, 'set');
  mkdirSync(out);
  for (const name of readdirSync(folder).filter((each) => each.endsWith('.tar'))) {
    renameSync(join(folder, name), join(out, name));
  }
  const { stderr } = spawnSync('sh', ['-c', lines], { cwd: out, encoding: 'utf8' });
  assert.match(stderr, /002\.cls of val-000000\.tar holds no class: \.\.\/\.\.\/gone/);
  assert.ok(!existsSync(join(folder, 'gone')));
  for (const name of readdirSync(out).filter((each) => each.endsWith('.tar'))) rmSync(join(out, name));
  const { classNames, train, test: val } = readImageFolder(out);
  assert.deepEqual([classNames, train.count, val.count], [['12', '7'], 2, 2]);
});
