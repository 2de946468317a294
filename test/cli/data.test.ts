/** `data check` and `data prepare`, as a user sees them. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { BAD_IMAGES, folderOf, HEIC, IMAGES, imageFolderOf } from '../data/sets.js';
import { run, Screen } from './stand-ins.js';

const BAD = Object.keys(BAD_IMAGES).sort();

function folders(t: TestContext, bad: boolean) {
  const names = fs.readdirSync(IMAGES).filter((name) => bad || !BAD.includes(name));
  const data = imageFolderOf(t, {
    ...Object.fromEntries(names.map((name) => [`train/a/${name}`, name])),
    ...{ 'train/b/1.jpg': 'rgb.jpg', 'val/a/1.jpg': 'rgb.jpg', 'val/b/1.jpg': 'gray.jpg' },
  });
  const before = process.env.ALEXNET_SPLIT_CACHE;
  process.env.ALEXNET_SPLIT_CACHE = folderOf(t, {});
  t.after(() => {
    if (before === undefined) delete process.env.ALEXNET_SPLIT_CACHE;
    else process.env.ALEXNET_SPLIT_CACHE = before;
  });
  return { data, work: folderOf(t, {}) };
}

test('data check prints and writes each unreadable file with its reason, and exits with 1', async (t) => {
  const { data, work } = folders(t, true);
  const file = join(work, 'report.json');
  const { exitCode, stdout } = await run(['data', 'check', data, '--report', file, '--resize', '32']);
  assert.equal(exitCode, 1);
  const printed = stdout.lines.filter((line) => line.startsWith('  train/'));
  assert.deepEqual(
    printed.map((line) => line.trim().split(': ')[0]),
    BAD.map((name) => `train/a/${name}`),
  );
  const report = JSON.parse(fs.readFileSync(file, 'utf8'));
  assert.deepEqual(
    report.train.unreadable.map(({ path, reason }: { path: string; reason: string }) => `  ${path}: ${reason}`),
    printed,
  );
  assert.deepEqual(report.val.unreadable, []);
  assert.equal(stdout.lines.at(-1), `report in ${file}`);
  const json = await run(['data', 'check', data, '--report', file, '--json']);
  assert.deepEqual([json.exitCode, JSON.parse(json.stdout.text).train.images], [1, fs.readdirSync(IMAGES).length + 1]);
});

test('data check exits with 0 if every image can be read', async (t) => {
  const { data, work } = folders(t, false);
  const { exitCode, stdout } = await run(['data', 'check', data, '--report', join(work, 'r.json')]);
  assert.equal(exitCode, 0);
  assert.match(stdout.text, /^train: 12 images, 0 unreadable, /m);
});

test('data check explains in a sentence invalid data and an unwritable report', async (t) => {
  const { data, work } = folders(t, false);
  const empty = await run(['data', 'check', work]);
  assert.deepEqual([empty.exitCode, empty.stdout.text], [1, '']);
  assert.match(
    empty.stderr.text,
    /^error: Cannot use the images of .*: it (is empty|has no class folders with images), expected a folder of images for each class, in it or in a/,
  );
  const unwritable = await run(['data', 'check', data, '--report', join('/dev/null', 'r.json')]);
  assert.match(unwritable.stderr.text, /error: Cannot write the report .*; choose another --report\n$/);
  const wrong = await run(['data', 'check', data, '--resize', '0']);
  assert.deepEqual(
    [wrong.exitCode, wrong.stderr.text],
    [2, 'error: --resize is 0, expected a whole number from 1 to 4096\n'],
  );
});

test('data prepare packs the images, computes the mean and the colours, and prints them', async (t) => {
  const { data, work } = folders(t, false);
  const out = join(work, 'packed');
  const flags = ['data', 'prepare', data, '--resize', '16', '--original', '--pack', out, '--shard-size', '1'];
  const { exitCode, stdout, stderr } = await run(flags);
  assert.equal(exitCode, 0);
  assert.match(stderr.text, /^packing 14 images into 2 shards \(the files unchanged\): about \d\.\d MiB, and about /m);
  assert.equal(stdout.lines[0], `${out}: 14 images in 2 shards; train on it with --data ${out}`);
  assert.match(stdout.lines[1]!, /^mean image of 12 training images at 16 pixels: red \d+\.\d\d, green /);
  assert.equal(stdout.lines.filter((line) => /^colours: standard deviation .* along \(/.test(line)).length, 3);
  assert.match((await run(flags)).stdout.text, /in 2 shards, 2 of them by an earlier run;/);
  assert.ok(fs.readdirSync(out).some((name) => name.startsWith('statistics-')));
  assert.equal((await run(['data', 'check', out, '--report', join(work, 'r.json')])).exitCode, 0);
});

test('data prepare --pack with --resize stores images of that size, and says before what it takes', async (t) => {
  const { data, work } = folders(t, false);
  const [jpeg, raw] = [join(work, 'jpeg'), join(work, 'raw')];
  const sized = await run([
    ...['data', 'prepare', data, '--resize', '16', '--pack', jpeg, '--quality', '80', '--interpolation', 'bilinear'],
  ]);
  assert.equal(sized.exitCode, 0);
  const what = '16 × 16 pixels, JPEG of quality 80, scaled by bilinear';
  const estimate = new RegExp(
    `^packing 14 images into 2 shards \\(${what}\\): about 0\\.\\d MiB, and about \\d+ s at [\\d,]+ images/s$`,
  );
  assert.match(sized.stderr.lines[0]!, estimate);
  assert.match(sized.stderr.lines[1]!, /^packed: 0 of 14 images$/);
  assert.match(sized.stdout.lines[1]!, /^mean image of 12 training images at 16 pixels: /);
  const screen = new Screen(true);
  const drawn = await run(['data', 'prepare', data, '--raw', '--resize', '16', '--pack', raw], { stderr: screen });
  assert.equal(drawn.exitCode, 0);
  assert.match(screen.text, /\rpacked {2}\.{24} {2}0\/14 images\S*\rpacked {2}#{24} {2}14\/14 images.*\n/);
  const report = join(work, 'r.json');
  const checked = await run(['data', 'check', raw, '--report', report]);
  assert.equal(checked.exitCode, 0);
  assert.match(checked.stdout.text, /^ {2}raw 12; srgb 12; sides of 16 to 16 pixels$/m);
  assert.match(checked.stdout.text, /^shards: 2 compared with their hashes, 0 damaged$/m);
  const shard = join(raw, 'train-000000.tar');
  const bytes = fs.readFileSync(shard);
  bytes[700]! ^= 1;
  fs.writeFileSync(shard, bytes);
  const damaged = await run(['data', 'check', raw, '--report', report]);
  assert.equal(damaged.exitCode, 1);
  assert.match(damaged.stdout.text, /1 damaged\n {2}damaged: train-000000\.tar\n {2}remove the damaged files from/);
  assert.deepEqual(JSON.parse(fs.readFileSync(report, 'utf8')).shards.damaged, ['train-000000.tar']);
  const larger = await run(['data', 'prepare', raw, '--resize', '17']);
  assert.match(larger.stderr.text, /^error: Cannot use .* with --resize 17: its images are stored with 16 pixels/);
  assert.equal(larger.exitCode, 2);
});

test('data prepare refuses flags of the packing without it, and two ways to store', async (t) => {
  const { data, work } = folders(t, false);
  for (const flags of [['--raw'], ['--quality', '90'], ['--original']]) {
    const { exitCode, stderr } = await run(['data', 'prepare', data, ...flags]);
    assert.equal(exitCode, 2);
    assert.equal(
      stderr.text,
      `error: Cannot use ${flags[0]}: it has no effect without --pack; leave it out, or add --pack\n`,
    );
  }
  for (const flags of [
    ['--raw', '--quality', '90'],
    ['--original', '--raw'],
    ['--quality', '101'],
  ]) {
    assert.equal((await run(['data', 'prepare', data, '--pack', join(work, 'out'), ...flags])).exitCode, 2);
  }
});

test('data prepare names an unreadable file, or skips it in the mean', async (t) => {
  const { data } = folders(t, true);
  const failed = await run(['data', 'prepare', data, '--resize', '16']);
  assert.equal(failed.exitCode, 1);
  assert.match(
    failed.stderr.text,
    /error: Cannot compute the mean image of .*: the image train\/a\/\S+ is unreadable: /,
  );
  const skipped = await run(['data', 'prepare', data, '--resize', '16', '--on-bad-image', 'skip']);
  assert.deepEqual([skipped.exitCode, /^mean image of 12 training/m.test(skipped.stdout.text)], [0, true]);
});

test('an unwritable place is found before the first image is read, and nothing is left behind', async (t) => {
  const { data, work } = folders(t, false);
  const file = join(work, 'file');
  fs.writeFileSync(file, 'mine');
  const report = await run(['data', 'check', data, '--report', join(file, 'r.json')]);
  assert.deepEqual([report.exitCode, report.stdout.text], [1, '']);
  assert.match(report.stderr.text, /^error: Cannot write the report .*; choose another --report\n$/);
  const isFolder = await run(['data', 'check', data, '--report', work]);
  assert.match(isFolder.stderr.text, /^error: Cannot write the report .*EISDIR/);
  const packed = await run(['data', 'prepare', data, '--resize', '16', '--pack', join(file, 'packed')]);
  assert.deepEqual([packed.exitCode, packed.stdout.text], [1, '']);
  assert.match(
    packed.stderr.text,
    /^error: Cannot pack into .*, expected a folder that can be written to; choose another folder with --pack/,
  );
  process.env.ALEXNET_SPLIT_CACHE = join(file, 'cache');
  const kept = await run(['data', 'prepare', data, '--resize', '16']);
  assert.deepEqual([kept.exitCode, kept.stdout.text], [1, '']);
  assert.match(
    kept.stderr.text,
    /^error: Cannot save the mean image in .*file\/cache\/data: ENOTDIR.*ALEXNET_SPLIT_CACHE/,
  );
  assert.deepEqual([fs.readdirSync(work), fs.readFileSync(file, 'utf8')], [['file'], 'mine']);
  // For shards it is in the same folder.
  const out = join(work, 'packed');
  const beside = await run(['data', 'prepare', data, '--resize', '16', '--pack', out]);
  assert.equal(beside.exitCode, 0);
  assert.match(
    beside.stderr.text,
    /^the mean image is not cached in .*\/cache\/data \(ENOTDIR: not a directory\): the next/m,
  );
  assert.ok(fs.readdirSync(out).some((name) => name.startsWith('statistics-')));
});

test('class folders are checked as they are, and data split divides them as --val-share does', async (t) => {
  const data = imageFolderOf(t, {
    ...Object.fromEntries(
      [...Array(6)].flatMap((_, i) => [
        [`cat/${i}.jpg`, 'rgb.jpg'],
        [`dog/${i}.jpg`, 'exif6.jpg'],
      ]),
    ),
    'dog/phone.HEIC': HEIC,
    'dog/7.jpg': HEIC,
  });
  const work = folderOf(t, {});
  const report = ['--report', join(work, 'r.json')];
  const checked = await run(['data', 'check', data, ...report]);
  assert.equal(checked.exitCode, 1);
  const text = checked.stdout.text;
  assert.match(text, /^ {2}cat: 6\n {2}dog: 7\n/m);
  assert.match(text, /^val: there is none: use .* --val-share 0\.2, or .*data split \S+ --out OUT$/m);
  assert.match(text, /^ {2}dog\/7\.jpg: it is a HEIC image, which is not decoded: convert it to JPEG with sips/m);
  assert.match(text, /^ {2}not read: dog\/phone\.HEIC$/m);
  assert.match(text, /; 6 to be turned by EXIF, which --upright does;/);
  const shared = await run(['data', 'check', data, '--val-share', '0.4', ...report]);
  const { perClass, train, val, otherImages } = JSON.parse(fs.readFileSync(join(work, 'r.json'), 'utf8'));
  assert.match(shared.stdout.text, new RegExp(`cat: ${perClass.cat.train} train, ${perClass.cat.val} val`));
  assert.deepEqual([train.images + val.images, otherImages], [13, ['dog/phone.HEIC']]);
  const out = join(work, 'out');
  const split = ['data', 'split', data, '--val-share', '0.4', '--out', out];
  const divided = await run(split);
  const counts = `${train.images} training and ${val.images} test images of 2 classes`;
  assert.equal(
    divided.stdout.text,
    `${out}: ${counts} (13 hard links); 1 other file left out; train on it with --data ${out}\n`,
  );
  await run(['data', 'check', out, ...report]);
  assert.deepEqual(JSON.parse(fs.readFileSync(join(work, 'r.json'), 'utf8')).perClass, perClass);
  assert.match((await run(split)).stderr.text, /^error: Cannot divide .*: it exists, expected a new folder/m);
  const idle = await run(['data', 'check', out, '--val-share', '0.4', ...report]);
  assert.match(idle.stderr.text, /^error: Cannot use --val-share: it has no effect with .*; leave it out$/m);
  for (const [means, what] of [
    ['--copy', 'copies'],
    ['--link', 'hard links'],
  ] as const) {
    const { stdout } = await run(['data', 'split', data, '--out', `${out}${means}`, means]);
    assert.match(stdout.text, new RegExp(` \\(\\d+ ${what}\\);`));
  }
  const both = await run(['data', 'split', data, '--out', `${out}-both`, '--copy', '--link']);
  assert.deepEqual([both.exitCode, fs.existsSync(`${out}-both`)], [2, false]);
  const wrong = await run(['data', 'split', data, '--val-share', '1', '--out', out]);
  assert.deepEqual(
    [wrong.exitCode, wrong.stderr.text],
    [2, 'error: --val-share is 1, expected a number above 0 and below 1\n'],
  );
});
