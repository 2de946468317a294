/** Any content of the lists of a data set: shards and their indexes, labels, statistics. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import fc from 'fast-check';
import { openReader } from '../../../src/data/images/reader.js';
import { openImages, packImages } from '../../../src/data/index.js';
import { nameAt } from '../../../src/data/sets/names.js';
import { readLabels } from '../../../src/data/sets/val-labels.js';
import { readPacked } from '../../../src/data/shards/packed-dataset.js';
import { readStatistics, writeStatistics } from '../../../src/data/statistics/cache.js';
import { DataError } from '../../../src/errors.js';
import { fuzz, isSentence, jsonLike } from '../../fuzz.js';
import { IMAGES } from '../sets.js';

const root = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-lists-'));
after(() => fs.rmSync(root, { recursive: true, force: true }));
const packed = join(root, 'packed');
const texts: Record<string, string> = {};
const isRefusal = (error: unknown) => error instanceof DataError && isSentence(error.message);

before(async () => {
  const names = fs.readdirSync(IMAGES);
  for (const place of ['train/a', 'train/b', 'val/a', 'val/b']) {
    fs.mkdirSync(join(root, 'plain', place), { recursive: true });
    for (const name of names.slice(0, 6)) fs.copyFileSync(join(IMAGES, name), join(root, 'plain', place, name));
  }
  await packImages(openImages(join(root, 'plain')), { out: packed, shardBytes: 2 ** 20 });
  for (const name of ['dataset.json', 'train-000000.json']) texts[name] = fs.readFileSync(join(packed, name), 'utf8');
  texts.tar = fs.readFileSync(join(packed, 'train-000000.tar'), 'latin1');
});

/** Restores the packed folder. */
function restore(): void {
  for (const name of ['dataset.json', 'train-000000.json']) fs.writeFileSync(join(packed, name), texts[name]!);
  fs.rmSync(join(packed, 'train-000000.tar'), { force: true, recursive: true });
  fs.writeFileSync(join(packed, 'train-000000.tar'), texts.tar!, 'latin1');
}

/** Every image of the folder, or the reason why it has none; asserts that nothing leads out of what is there. */
async function readAll(): Promise<number> {
  const dataset = readPacked(packed);
  const { size } = fs.statSync(join(packed, 'train-000000.tar'));
  assert.ok(dataset.classNames.every((name) => typeof name === 'string') && typeof dataset.key === 'string');
  const { train } = dataset;
  const reader = openReader(packed, train);
  try {
    for (let i = 0; i < train.count; i++) {
      assert.ok(train.labels[i]! < dataset.classNames.length, `label ${train.labels[i]}`);
      assert.doesNotMatch(nameAt(train.names, i), /^\/|(^|\/)\.\.(\/|$)|\0/);
      const read = await reader.read(i, (bytes) => ({ bytes }));
      assert.ok('bytes' in read, JSON.stringify(read));
      assert.ok(read.bytes.length <= size && train.places!.offset[i]! >= 0);
    }
  } finally {
    reader.close();
  }
  return train.count;
}

test('readPacked() accepts any index and list of shards that fit the files, or explains in a sentence what does not fit', async (t) => {
  for (const name of ['dataset.json', 'train-000000.json']) {
    restore();
    await fuzz(t, {
      what: name,
      cases: jsonLike(JSON.parse(texts[name]!), 2),
      usual: 150,
      async read(text) {
        fs.writeFileSync(join(packed, name), text);
        await readAll();
      },
      refuses: isRefusal,
    });
  }
});

test('openReader() returns the bytes of a shard of the size in its index; readPacked() refuses other shards', async (t) => {
  restore();
  const bytes = Buffer.from(texts.tar!, 'latin1');
  const tars = fc.oneof(
    fc.nat({ max: bytes.length }).map((length) => bytes.subarray(0, length)),
    fc.nat({ max: 600 }).map((more) => Buffer.concat([bytes, Buffer.alloc(more)])),
    // What a header of the archive says is not asked: names that lead out, sizes that lie.
    fc
      .tuple(fc.nat({ max: bytes.length / 512 - 1 }), fc.uint8Array({ minLength: 512, maxLength: 512 }))
      .map((block) => {
        const changed = Buffer.from(bytes);
        changed.set(block[1], 512 * block[0]);
        return changed;
      }),
  );
  await fuzz(t, {
    what: 'shards',
    cases: tars,
    usual: 60,
    async read(shard) {
      fs.writeFileSync(join(packed, 'train-000000.tar'), shard);
      await readAll();
    },
    refuses: isRefusal,
  });
});

test('readPacked() refuses labels and offsets that are not integers within the shard, and names outside the folder', async () => {
  type Index = Record<'index' | 'label' | 'path' | 'offset' | 'bytes', unknown[]> & { size: number };
  const changes: [string, (index: Index) => unknown][] = [
    ['a label below 0', ({ label }) => (label[0] = -1)],
    ['half a label', ({ label }) => (label[0] = 0.5)],
    ['no label', ({ label }) => (label[0] = null)],
    ['a place before the file', ({ offset }) => (offset[0] = -1)],
    ['a length below 0', ({ bytes }) => (bytes[0] = -1)],
    ['half a byte', ({ bytes }) => (bytes[0] = 0.5)],
    ['a number as text', ({ index }) => (index[0] = `${index[0]}`)],
    ['a path of another kind', ({ path }) => (path[0] = 7)],
    ['a path that leads out', ({ path }) => (path[0] = 'train/../../../etc/passwd')],
    ['a path from the root', ({ path }) => (path[0] = '/etc/passwd')],
  ];
  for (const [what, change] of changes) {
    restore();
    const index = JSON.parse(texts['train-000000.json']!) as Index;
    change(index);
    fs.writeFileSync(join(packed, 'train-000000.json'), JSON.stringify(index));
    await assert.rejects(readAll, /train-000000\.json has an image .* that does not fit, expected/, what);
  }
  restore();
  assert.equal(await readAll(), 12);
});

test('readPacked() refuses a pipe instead of a shard, an index or the list, and does not wait for it', async () => {
  for (const [name, found] of [
    ['train-000000.tar', /train-000000\.tar has no bytes, expected/],
    ['train-000000.json', /train-000000\.json cannot be read \(it is not a file\)/],
    ['dataset.json', /dataset\.json cannot be read \(it is not a file\)/],
  ] as const) {
    restore();
    fs.rmSync(join(packed, name));
    execFileSync('mkfifo', [join(packed, name)]);
    await assert.rejects(readAll, found);
    fs.rmSync(join(packed, name));
  }
});

test('readLabels() returns a class for each image from any text, or explains in a sentence why not', async (t) => {
  const file = join(root, 'val.txt');
  const classNames = ['ant', 'bee', '7'];
  const paths = ['val/a.jpg', 'val/b.png'];
  const names = fc.constantFrom('a.jpg', 'a', 'b.png', 'x/b.PNG', 'c.gif', '../a.jpg', '/b', '\0', 'x'.repeat(9_000));
  const words = fc.constantFrom('ant', 'bee', '0', '2', '7', '3', '-1', '1e0', '0x1', '99999999999999999999', '');
  const usual = fc
    .tuple(names, fc.constantFrom(' ', ',', '\t', ''), words, fc.constantFrom('', ' 1 2 3', ','))
    .map((parts) => parts.join(''));
  const good = fc.constantFrom('a.jpg ant', 'b.png,1', 'b bee 3 4', 'a 0', '');
  const lines = fc.oneof({ weight: 6, arbitrary: good }, usual, fc.string(), fc.constant('ImageId,PredictionString'));
  await fuzz(t, {
    what: 'lists of labels',
    cases: fc
      .tuple(fc.array(lines, { maxLength: 6 }), fc.constantFrom('\n', '\r\n', '\n\n'))
      .map(([all, end]) => ['a 1', 'b 2', ...all].slice(all.length % 3).join(end)),
    usual: 150,
    read(text) {
      fs.writeFileSync(file, text);
      const labels = readLabels(file, classNames, paths);
      assert.ok(labels.length === 2 && labels.every((label) => [0, 1, 2].includes(label)), `${labels}`);
    },
    refuses: isRefusal,
  });
});

test('readLabels() reads a million lines, and refuses a file that is not a list', () => {
  const file = join(root, 'val.txt');
  fs.writeFileSync(file, `${'\n'.repeat(2 ** 20)}a ant\n`);
  assert.deepEqual(readLabels(file, ['ant'], ['val/a.jpg']), [0]);
  fs.truncateSync(file, 2 ** 26 + 1);
  assert.throws(() => readLabels(file, ['ant'], ['a']), /it has 67108865 bytes, more than 67108864, expected a list/);
  fs.writeFileSync(file, `a ${'z'.repeat(100_000)}`);
  assert.throws(
    () => readLabels(file, ['ant'], ['a']),
    (error) => isRefusal(error) && /the class z{57}\.\.\.,/.test(`${error}`),
  );
  assert.throws(() => readLabels('/dev/zero', ['ant'], ['a']), /it is not a file, expected a list/);
});

test('readStatistics() returns the statistics of a complete file, or undefined', async (t) => {
  const mean = new Float32Array(4 * 4 * 3).fill(100);
  const directions = [1, 2, 3].map((i) => [i, i, i]);
  const statistics = {
    images: 5,
    resize: 4,
    channels: 3 as const,
    mean,
    colours: { deviations: [1, 2, 3], directions },
  };
  writeStatistics(root, 'good.json', statistics as never);
  const good = fs.readFileSync(join(root, 'good.json'), 'utf8');
  const file = join(root, 'any.json');
  await fuzz(t, {
    what: 'files of statistics',
    cases: jsonLike(JSON.parse(good), 2),
    usual: 150,
    read(text) {
      fs.writeFileSync(file, text);
      const found = readStatistics(file, 4);
      if (!found) throw new DataError('there are none, as it should be');
      assert.equal(found.mean.length, 16 * found.channels);
      assert.ok(found.mean.every(Number.isFinite) && found.mean.buffer instanceof SharedArrayBuffer);
    },
    refuses: isRefusal,
  });
  writeStatistics(root, 'nan.json', { ...statistics, mean: mean.with(7, Number.NaN) } as never);
  assert.equal(readStatistics(join(root, 'nan.json'), 4), undefined);
  fs.truncateSync(join(root, 'good.json'), 2 ** 30);
  const before = process.resourceUsage().maxRSS;
  assert.equal(readStatistics(join(root, 'good.json'), 4), undefined);
  assert.ok(process.resourceUsage().maxRSS - before < 100_000);
});
