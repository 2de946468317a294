/** System faults: retried, then an error; never an unreadable image. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs, { rmSync, truncateSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import timers from 'node:timers/promises';
import sharp, { type Sharp } from 'sharp';
import { errorWithCode, retryRead, SystemError } from '../../../src/data/images/retry.js';
import {
  checkImages,
  createSlot,
  type FeedOptions,
  floatLayout,
  openDataset,
  openFeeder,
  openFileTransform,
  openImages,
  packImages,
  slotViews,
  statisticsOf,
} from '../../../src/data/index.js';
import { isSentence } from '../../fuzz.js';
import { folderOf, imageFolderOf, PLAIN } from '../sets.js';

const SET = Object.fromEntries(
  ['train/a', 'train/b', 'val/a', 'val/b'].flatMap((at) => [1, 2, 3].map((i) => [`${at}/${i}.jpg`, 'rgb.jpg'])),
);

function lastingOf(code: RegExp, advice: RegExp) {
  return (error: Error) =>
    error instanceof SystemError && isSentence(error.message) && code.test(error.message) && advice.test(error.message);
}

/** Puts stand-ins into Node's own modules. @returns how often was waited. */
function replace(t: TestContext, names: readonly ('openSync' | 'readSync')[], code: () => string | undefined) {
  const wait = t.mock.method(timers, 'setTimeout', async () => {});
  for (const name of names) {
    const original = fs[name] as (...given: unknown[]) => number;
    t.mock.method(fs, name, (...given: unknown[]) => {
      const isImage = typeof given[0] === 'number' || /\.(jpg|tar)$/.test(String(given[0]));
      const found = isImage ? code() : undefined;
      if (found !== undefined) throw errorWithCode(found, `${found}: it was asked for, open '${given[0]}'`);
      return original(...given);
    });
  }
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  const restoreWaiting = () => {
    wait.mock.restore();
    syncBuiltinESMExports();
  };
  return Object.assign(() => wait.mock.callCount(), { restoreWaiting });
}

function optionsOf(folder: string): FeedOptions {
  const data = { ...PLAIN, resize: 8, mean: [0, 0, 0], onBadImage: 'skip', workers: 0 } as const;
  return { dataset: openDataset(folder, 2), batchSize: 4, inputSize: 8, inputChannels: 3, seed: 1, data };
}

test('retryRead() retries after system faults, then says what to do; it throws faults of a file at once', async () => {
  let tries = 0;
  const failing = (code: string, times: number) => () => {
    if (tries++ < times) throw errorWithCode(code, `${code}: so it is, open '/x'`);
    return 'read';
  };
  const waitsMs = [0, 0, 0];
  assert.equal(await retryRead('/x', failing('EMFILE', 3), { waitsMs }), 'read');
  for (const [code, advice] of [
    ['EMFILE', /ulimit -n/],
    ['ENFILE', /fs\.file-max/],
    ['ENOMEM', /free some memory/],
    ['EIO', /check the disk/],
    ['ESTALE', /mount the folder again/],
    ['ETIMEDOUT', /check the file server/],
    ['EAGAIN', /check the disk/],
  ] as const) {
    tries = 0;
    const lasting = retryRead('/x', failing(code, 9), { waitsMs });
    await assert.rejects(lasting, lastingOf(new RegExp(`Cannot read /x: .* 4 times \\(${code}: so it is\\)`), advice));
  }
  for (const code of ['ENOENT', 'EACCES', 'ENAMETOOLONG', 'ELOOP']) {
    tries = 0;
    await assert.rejects(retryRead('/x', failing(code, 9), { waitsMs }), { code });
    assert.equal(tries, 1);
  }
  const stop = new AbortController();
  const waiting = retryRead('/x', failing('EIO', 99), { waitsMs: [60_000], signal: stop.signal });
  stop.abort();
  await assert.rejects(waiting, { name: 'AbortError' });
});

test('no image counts as unreadable because of a system fault, whichever function reads it', async (t) => {
  const folder = imageFolderOf(t, SET);
  const out = join(folderOf(t, {}), 'packed');
  await packImages(openImages(folder), { out, shardBytes: 2 ** 20 });
  const options = { resize: 8, channels: 3, onBadImage: 'skip', concurrency: 2, cache: folderOf(t, {}) } as const;
  const [dataset, packed] = [optionsOf(folder), optionsOf(out)];
  const layout = floatLayout(1, 4, 3);
  const slot = slotViews(createSlot(layout), layout);
  const paint = await openFileTransform(
    { height: 8, width: 8, channels: 3 },
    { ...PLAIN, resize: 8, mean: [0, 0, 0] },
    layout,
  );
  let code: string | undefined;
  const waits = replace(t, ['openSync', 'readSync'], () => code);
  const readers: [string, () => Promise<unknown>][] = [
    ['a training batch', () => withFeeder(dataset, (feeder) => feeder.train(1))],
    ['a test batch', () => withFeeder(dataset, (feeder) => feeder.test(0))],
    ['a packed batch', () => withFeeder(packed, (feeder) => feeder.train(1))],
    ['data check', () => checkImages(openImages(folder), { resize: 8, concurrency: 2 })],
    ['the mean image', () => statisticsOf(openImages(folder), options)],
    ['predict', () => paint(slot, 0, join(folder, 'val/a/1.jpg'))],
  ];
  for (const [who, read] of readers) {
    for (const found of ['EMFILE', 'EIO']) {
      code = found;
      const before = waits();
      await assert.rejects(read(), (error: Error) => isSentence(error.message) && error.message.includes(found), who);
      assert.ok(waits() - before >= 9, `${who} waits`);
    }
    code = undefined;
    await read();
  }
  let left = 5;
  code = 'EIO';
  t.mock.restoreAll();
  replace(t, ['openSync'], () => (left-- > 0 ? 'ESTALE' : undefined));
  assert.equal((await checkImages(openImages(folder), { resize: 8, concurrency: 2 })).train.unreadable.length, 0);
});

/** Takes one thing of a feeder that is closed then. @throws AssertionError when an image is skipped. */
async function withFeeder(options: FeedOptions, take: (feeder: ReturnType<typeof openFeeder>) => Promise<unknown>) {
  const feeder = openFeeder(options);
  try {
    await take(feeder);
  } finally {
    await feeder.close();
    assert.deepEqual(feeder.unreadable, []);
  }
}

test('close() of a feeder ends retries at once', { timeout: 20_000 }, async (t) => {
  const feeder = openFeeder(optionsOf(imageFolderOf(t, SET)));
  replace(t, ['openSync'], () => 'EIO').restoreWaiting();
  const batch = feeder.train(1);
  await feeder.close();
  await assert.rejects(batch);
  assert.deepEqual(feeder.unreadable, []);
});

test('a missing folder or shard ends the work, but a missing file does not', async (t) => {
  const folder = imageFolderOf(t, SET);
  const out = join(folderOf(t, {}), 'packed');
  await packImages(openImages(folder), { out, shardBytes: 1 });
  const [plain, packed] = [optionsOf(folder), optionsOf(out)];
  replace(t, [], () => undefined);
  rmSync(join(folder, 'train/a/1.jpg'));
  const feeder = openFeeder(plain);
  t.after(() => feeder.close());
  for (let step = 1; step <= feeder.batchesPerEpoch; step++) feeder.release(await feeder.train(step));
  assert.deepEqual(feeder.unreadable, [{ path: 'train/a/1.jpg', reason: 'it is not there' }]);
  rmSync(join(folder, 'train'), { recursive: true });
  // One that has no image in memory yet.
  const later = openFeeder(plain);
  t.after(() => later.close());
  await assert.rejects(later.train(3), /its folder cannot be opened any more: ENOENT.*mount its disk again/);
  truncateSync(join(out, 'val-000000.tar'), 600);
  rmSync(join(out, 'train-000003.tar'));
  const shards = openFeeder(packed);
  t.after(() => shards.close());
  const all = async () => {
    for (let step = 1; step <= shards.batchesPerEpoch; step++) shards.release(await shards.train(step));
  };
  await assert.rejects(all, /train-000003\.tar: .*the shard cannot be opened: ENOENT/);
  await assert.rejects(
    async () => [shards.release(await shards.test(0)), shards.release(await shards.test(1))],
    /val-000000\.tar: .*the shard has become shorter: it ends after/,
  );
});

test('an image does not count as unreadable if memory runs out', async (t) => {
  const options = optionsOf(imageFolderOf(t, SET));
  replace(t, [], () => undefined);
  let left = 3;
  const decode = sharp.prototype.toBuffer;
  t.mock.method(sharp.prototype, 'toBuffer', function (this: Sharp) {
    if (left-- > 0) return Promise.reject(new Error('vips_malloc: out of memory --- size == 5MB'));
    return decode.call(this);
  });
  const allocate = Buffer.allocUnsafeSlow;
  t.mock.method(Buffer, 'allocUnsafeSlow', (bytes: number) => {
    if (left > 0 && bytes >= 2 ** 26) throw new RangeError('Array buffer allocation failed');
    return allocate(bytes);
  });
  await withFeeder(options, (feeder) => feeder.train(1));
  left = 1000;
  await assert.rejects(
    withFeeder(options, (feeder) => feeder.train(1)),
    /no memory to decode it: .*out of memory.*free some memory/,
  );
});

const hasPrlimit = process.platform === 'linux' && isThere('prlimit');

test('a process with a limit of 100 open files reads 120 shards', {
  skip: hasPrlimit ? false : 'there is no prlimit here',
}, async (t) => {
  const images = Array.from({ length: 118 }, (_, i) => [`train/${'ab'[i % 2]}/${i}.jpg`, 'rgb.jpg']);
  const folder = imageFolderOf(t, { ...SET, ...Object.fromEntries(images) });
  const out = join(folderOf(t, {}), 'packed');
  const { shards } = await packImages(openImages(folder), { out, shardBytes: 1 });
  assert.ok(shards >= 120);
  const program = `
    import { readdirSync } from 'node:fs';
    import { openDataset, openFeeder } from ${JSON.stringify(new URL('../../../src/data/index.js', import.meta.url).href)};
    const options = ${JSON.stringify({ ...optionsOf(out), dataset: undefined })};
    options.data.workers = 3;
    const feeder = openFeeder({ ...options, dataset: openDataset(${JSON.stringify(out)}, 2) });
    let most = 0;
    for (let step = 1; step <= feeder.batchesPerEpoch; step++) {
      feeder.release(await feeder.train(step));
      most = Math.max(most, readdirSync('/proc/self/fd').length);
    }
    for (let i = 0; i < feeder.testBatches; i++) feeder.release(await feeder.test(i));
    process.stdout.write(JSON.stringify({ unreadable: feeder.unreadable, most }));
    await feeder.close();`;
  const command = ['--nofile=100', process.execPath, '--input-type=module', '--eval', program];
  const { unreadable, most } = JSON.parse(execFileSync('prlimit', command, { encoding: 'utf8' }));
  assert.deepEqual(unreadable, []);
  assert.ok(most < 90, `${most} files are open, and others want some too`);
});

function isThere(command: string): boolean {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
