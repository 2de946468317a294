/** Whole runs on a folder of image files, good and bad ones. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import type { Config } from '../../src/config/config.js';
import type { LogEvent } from '../../src/log.js';
import { cacheFolder } from '../../src/native/install/library.js';
import { evaluateRun, train } from '../../src/train/index.js';
import { BAD_IMAGES, IMAGES } from '../data/sets.js';
import { newest } from './resumed-runs.js';
import { SINGLE, smallConfig, smallNet } from './teams.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-files-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Three classes; `train/mixed` has every file, the others good ones only. */
const DATA = join(folder, 'images');
for (const part of ['train', 'val']) {
  for (const name of ['grey', 'colour', 'mixed']) fs.mkdirSync(join(DATA, part, name), { recursive: true });
  fs.copyFileSync(join(IMAGES, 'gray.jpg'), join(DATA, part, 'grey', 'gray.jpg'));
  for (const name of ['rgb.jpg', 'rgba.png', 'one.jpg'])
    fs.copyFileSync(join(IMAGES, name), join(DATA, part, 'colour', name));
}
fs.cpSync(IMAGES, join(DATA, 'train', 'mixed'), { recursive: true });
fs.writeFileSync(join(DATA, 'train', 'grey', 'other.bmp'), 'a picture of another kind');
fs.copyFileSync(join(IMAGES, 'cmyk.jpg'), join(DATA, 'val', 'mixed', 'cmyk.jpg'));
fs.copyFileSync(join(IMAGES, 'trunc.jpg'), join(DATA, 'val', 'mixed', 'trunc.jpg'));

async function run(name: string, onBadImage: 'fail' | 'skip', values: Record<string, unknown> = {}) {
  const small = smallNet('original');
  const config = smallConfig({
    ...{ net: { ...(small.net as object), classes: 3 }, out: folder, run: name, epochs: 2 },
    data: { ...(small.data as object), source: DATA, onBadImage, workers: 1 },
    ...values,
  });
  const events: LogEvent[] = [];
  const result = await train(config, { report: (event) => events.push(event), signal: new AbortController().signal });
  const end = events.at(-1)!;
  assert.ok(end.event === 'run_end');
  return { config, events, result, end };
}

/** ImageNet's recipe. */
const MEAN = {
  ...(smallNet('original').data as object),
  ...{ meanImage: true, colourNoise: { strength: 0.1 }, onBadImage: 'skip' },
};

/** A cache with TensorFlow, like the usual one, which stays unchanged. */
function ownCache(): string {
  const [usual, own] = [cacheFolder(), join(folder, 'cache')];
  fs.mkdirSync(own);
  for (const name of fs.existsSync(usual) ? fs.readdirSync(usual) : []) {
    if (name !== 'data') fs.symlinkSync(join(usual, name), join(own, name));
  }
  return own;
}

const UNREADABLE = [...Object.keys(BAD_IMAGES).map((name) => `train/mixed/${name}`), 'val/mixed/trunc.jpg'];

test('train() with skip ends and names exactly the unreadable files with reasons, the same split and single', async () => {
  const split = await run('skip', 'skip');
  const single = await run('skip-single', 'skip', SINGLE);
  for (const { result, end, events } of [split, single]) {
    assert.deepEqual([result.exitCode, end.status, end.unreadable_images], [0, 'done', UNREADABLE.length]);
    const told = events.slice(
      0,
      events.findIndex(({ event }) => event === 'train_step'),
    );
    const passed = told.filter((event) => event.event === 'warning' && event.message.includes('1 .bmp file ignored'));
    assert.equal(passed.length, 1, 'before the first step');
    const isSkipped = (message: string) => message.startsWith('the image ');
    const warnings = events
      .flatMap((event) => (event.event === 'warning' ? [event.message] : []))
      .filter(isSkipped)
      .sort();
    assert.equal(warnings.length, UNREADABLE.length);
    for (const [i, path] of [...UNREADABLE].sort().entries()) {
      assert.ok(warnings[i]!.startsWith(`the image ${path} is skipped: `), warnings[i]);
      assert.match(warnings[i]!, BAD_IMAGES[path.slice(path.lastIndexOf('/') + 1)]!);
    }
    const [evaluated] = events.filter((event) => event.event === 'eval');
    assert.ok(evaluated?.event === 'eval');
    assert.equal(evaluated.images, 5, 'of 6 test images one cannot be read');
  }
  const losses = [split, single].map(({ events }) =>
    events.flatMap((event) => (event.event === 'train_step' ? [event.loss] : [])),
  );
  assert.equal(losses[0]!.length, 6, '20 images in batches of 8, 8 and 4, twice');
  for (const [i, loss] of losses[0]!.entries()) assert.ok(Math.abs(loss - losses[1]![i]!) <= 1e-4 * loss, `${losses}`);
});

test('train() saves the classes, and evaluateRun() refuses data with others', async () => {
  const { config } = await run('classes', 'skip', { steps: 1, ...SINGLE });
  const saved = JSON.parse(fs.readFileSync(join(folder, 'classes', 'classes.json'), 'utf8'));
  assert.deepEqual(saved, ['colour', 'grey', 'mixed']);
  const other = join(folder, 'other');
  fs.cpSync(DATA, other, { recursive: true });
  for (const part of ['train', 'val']) fs.renameSync(join(other, part, 'grey'), join(other, part, 'purple'));
  const moved = { ...config, data: { ...config.data, source: other } };
  await assert.rejects(evaluateRun(moved, join(folder, 'classes')), /class 1 is mixed there, expected grey/);
  const notes: string[] = [];
  assert.equal((await evaluateRun(config, join(folder, 'classes'), { note: (text) => notes.push(text) })).images, 5);
  assert.match(notes.shift()!, /1 \.bmp file ignored/);
  assert.deepEqual(notes, ['the image val/mixed/trunc.jpg is skipped: it is a JPEG image cut short']);
});

test('train() refuses a folder that cannot be made before it reads an image', async () => {
  const file = join(folder, 'file');
  fs.writeFileSync(file, 'mine');
  const config = smallConfig({ net: smallNet('original').net, out: file, run: 'x', data: { ...MEAN, source: DATA } });
  const told: unknown[] = [];
  const ui = { report: (event: unknown) => told.push(event), note: (text: string) => told.push(text) };
  const started = train(config, { ...ui, signal: new AbortController().signal });
  await assert.rejects(
    started,
    /^CheckpointError: Cannot make the run's folder .*file\/x: part of the path is a file; cho/,
  );
  assert.deepEqual([told, fs.readFileSync(file, 'utf8')], [[], 'mine']);
});

test('train() with skip does not start if no test image can be read', async () => {
  const bad = join(folder, 'bad');
  fs.cpSync(join(DATA, 'train'), join(bad, 'train'), { recursive: true });
  for (const name of ['grey', 'colour', 'mixed']) {
    fs.mkdirSync(join(bad, 'val', name), { recursive: true });
    fs.writeFileSync(join(bad, 'val', name, '1.jpg'), 'no image');
  }
  const data = { ...(smallNet('original').data as object), onBadImage: 'skip', source: bad };
  const started = run('blind', 'skip', { data });
  await assert.rejects(
    started,
    /^DataError: Cannot evaluate on the images of .*: none of the 3 test images can be read \(the first, val\/colour\/1\.jpg: it is not a JPEG/,
  );
  assert.equal(fs.existsSync(join(folder, 'blind')), false);
});

test('train() with fail ends at the first unreadable file, and names it', async () => {
  const { result, end } = await run('fail', 'fail');
  assert.deepEqual([result.exitCode, end.status, end.exit_code], [1, 'failed', 1]);
  assert.match(
    end.error!,
    /^Cannot read the image (train|val)\/mixed\/\S+\.jpg of .*: .*, expected an image; remove it/,
  );
});

test("evaluateRun() subtracts the mean of the run's training images, and fails without it", async () => {
  const before = process.env.ALEXNET_SPLIT_CACHE;
  process.env.ALEXNET_SPLIT_CACHE = ownCache();
  try {
    const { config, end } = await run('mean', 'skip', { ...SINGLE, steps: 2, data: { ...MEAN, source: DATA } });
    const own = await evaluateRun(config, join(folder, 'mean'));
    assert.equal(own.top1, end.top1);
    // The same test images beside other training images.
    const other = join(folder, 'brighter');
    fs.cpSync(DATA, other, { recursive: true });
    fs.rmSync(join(other, 'train', 'mixed'), { recursive: true });
    fs.mkdirSync(join(other, 'train', 'mixed'));
    fs.copyFileSync(join(IMAGES, 'one.jpg'), join(other, 'train', 'mixed', 'one.jpg'));
    const moved = { ...config, data: { ...config.data, source: other } };
    assert.deepEqual(await evaluateRun(moved, join(folder, 'mean')), own);
    fs.rmSync(join(folder, 'mean', 'statistics.json'));
    await assert.rejects(evaluateRun(config, join(folder, 'mean')), /statistics\.json is missing or damaged/);
  } finally {
    if (before === undefined) delete process.env.ALEXNET_SPLIT_CACHE;
    else process.env.ALEXNET_SPLIT_CACHE = before;
  }
});

test('train() with the levels of the data trains and saves the numbers, with which the run is resumed and evaluated', async () => {
  const data = {
    ...(smallNet('original').data as object),
    mean: 'data',
    scale: 'data',
    onBadImage: 'skip',
    source: DATA,
  };
  const values = { run: 'levels', steps: 2, data, ...SINGLE };
  const { config, events, end } = await run('levels', 'skip', values);
  const [start] = events.filter((event) => event.event === 'run_start');
  const trained = start!.config as Config;
  assert.deepEqual([trained.data.mean.length, typeof trained.data.scale], [3, 'number']);
  await assert.rejects(
    evaluateRun(config, join(folder, 'levels')),
    /data\.mean or data\.scale in its config\.json is "data"/,
  );
  assert.equal((await evaluateRun(trained, join(folder, 'levels'))).top1, end.top1);
  const { checkpoint } = newest(join(folder, 'levels'));
  const losses: unknown[] = [];
  for (const asked of [config, trained]) {
    const seen: LogEvent[] = [];
    const ui = { report: (event: LogEvent) => seen.push(event), signal: new AbortController().signal };
    await train({ ...asked, run: `on-${losses.length}`, steps: 3 }, { ...ui, resume: { checkpoint, skipped: [] } });
    losses.push(seen.find((event) => event.event === 'train_step')?.loss);
  }
  assert.ok(losses[0] !== undefined && losses[0] === losses[1], `${losses}`);
});
