import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { openTensors, writeTensors } from '../../src/checkpoint/safetensors.js';
import { orRemove } from '../../src/cli/import.js';
import type { TrainModule } from '../../src/cli/services.js';
import { IMAGENET_COLOURS } from '../../src/data/images/colours.js';
import { CheckpointError } from '../../src/errors.js';
import { buildNet } from '../../src/model/net.js';
import { keepRunData } from '../../src/train/run-data.js';
import { writeRun } from '../../src/weights/import.js';
import { sparseFile, torchvisionTensors } from '../weights/sparse-file.js';
import { run, trainModule } from './stand-ins.js';
import { lenetRun } from './weights-runs.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-import-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));
const folder = await lenetRun(out, 'r', '--batch-size', '6');
const file = join(out, 'net.safetensors');
await run(['export', '--run', folder, '--out', file]);
const bytes = (run: string, tower: number) => {
  const opened = openTensors(join(out, run, `tower-${tower}-of-2.safetensors`));
  const values = opened.entries.map(({ name, shape }) => [name, opened.read(name, shape)]);
  opened.close();
  return values;
};
const configOf = (name: string) => JSON.parse(fs.readFileSync(join(out, name, 'config.json'), 'utf8'));

test('import makes a run of an exported file without flags for the net', async () => {
  const { exitCode, stdout, stderr } = await run(['import', file, '--out', out, '--run', 'back']);
  const line = `${join(out, 'back')}: 10 tensors, 61,706 values of ${file}\n`;
  assert.deepEqual([exitCode, stdout.text, stderr.text], [0, line, '']);
  const [ours, theirs] = [configOf('back'), configOf('r')];
  assert.deepEqual([ours.net, ours.data, ours.preset], [theirs.net, theirs.data, 'lenet']);
  for (const tower of [0, 1]) assert.deepEqual(bytes('back', tower), bytes('r', tower));
});

test('import takes the net from flags, and --json prints the name of each tensor in the file', async () => {
  const argv = ['import', file, '--out', out, '--run', 'flags', '--preset', 'lenet', '--json'];
  const { exitCode, stdout } = await run([...argv, '--placement', 'single']);
  assert.equal(exitCode, 0);
  const { folder: made, values, tensors } = JSON.parse(stdout.text);
  assert.deepEqual([made, values, tensors.length], [join(out, 'flags'), 61_706, 10]);
  assert.deepEqual(tensors[2], { name: 'conv2.weight', as: 'conv2.weight', shape: [16, 6, 5, 5] });
  assert.deepEqual(fs.readdirSync(made).sort(), ['config.json', 'tower-0-of-1.safetensors']);
});

/** The exported file as somebody else would have it: other names, and half floats. */
function halved(path: string, prefix: string): string {
  const source = openTensors(file);
  let end = 0;
  const tensors = source.entries.map(({ name, shape }) => {
    // What a half float cannot have is cut off: BF16 is the upper half of a float32.
    const halves = Uint16Array.from(new Uint32Array(source.read(name, shape).buffer), (word) => word >>> 16);
    const begin = end;
    end += halves.byteLength;
    return { header: [`${prefix}${name}`, { dtype: 'BF16', shape, data_offsets: [begin, end] }], halves };
  });
  source.close();
  const header = Buffer.from(JSON.stringify(Object.fromEntries(tensors.map((each) => each.header))));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const values = tensors.map(({ halves }) => Buffer.from(halves.buffer));
  fs.writeFileSync(path, Buffer.concat([length, header, ...values]));
  return path;
}

test('import refuses a file with two nets, and names both', async () => {
  const twice = join(out, 'twice.safetensors');
  const source = openTensors(file);
  const own = source.entries.map(({ name, shape }) => ({ name, shape }));
  source.close();
  const entries = ['model.', 'ema.'].flatMap((prefix) => own.map((each) => ({ ...each, name: prefix + each.name })));
  writeTensors(twice, entries, {}, () => {});
  const { exitCode, stderr } = await run(['import', twice, '--out', out, '--run', 'twice', '--preset', 'lenet']);
  const said = 'it holds 2 nets (ema.conv1.weight and model.conv1.weight are the same tensor of each), expected one';
  assert.deepEqual([exitCode, stderr.text.includes(`Cannot import ${twice}: ${said}; `)], [1, true], stderr.text);
});

test('import removes a prefix of all names and says so, and reads half floats', async () => {
  const compiled = halved(join(out, 'compiled.safetensors'), 'model._orig_mod.');
  const argv = ['import', compiled, '--out', out, '--preset', 'lenet', '--run'];
  const { exitCode, stdout, stderr } = await run([...argv, 'compiled']);
  const line = `${join(out, 'compiled')}: 10 tensors, 61,706 values of ${compiled}; left out of its names: model._orig_mod.\n`;
  assert.deepEqual([exitCode, stdout.text, stderr.text], [0, line, '']);
  const cut = (values: Float32Array) => {
    const words = Uint32Array.from(new Uint32Array(values.buffer), (word) => word & 0xffff0000);
    return new Float32Array(words.buffer);
  };
  for (const tower of [0, 1]) {
    const whole = bytes('r', tower).map(([name, values]) => [name, cut(values as Float32Array)]);
    assert.deepEqual(bytes('compiled', tower), whole);
  }
  const json = await run([...argv, 'json', '--json']);
  const { leftOut, tensors } = JSON.parse(json.stdout.text);
  assert.deepEqual([leftOut, tensors[0].name], ['model._orig_mod.', 'model._orig_mod.conv1.weight']);
});

/** A run that takes a mean image off, with what a training keeps of its data. */
async function runWithMean(name: string): Promise<string> {
  const settings = join(out, 'mean.json');
  fs.writeFileSync(settings, JSON.stringify({ data: { meanImage: true } }));
  const made = await lenetRun(out, name, '--config', settings);
  const mean = Float32Array.from({ length: 28 * 28 }, (_, i) => i / 8);
  keepRunData({ out, run: name }, [...'abcdefghij'], {
    images: 3,
    resize: 28,
    channels: 1,
    mean,
    colours: IMAGENET_COLOURS,
  });
  return made;
}

test('import reads the mean image and the class names of an exported run', async () => {
  const made = await runWithMean('mean');
  const exported = join(out, 'mean.safetensors');
  await run(['export', '--run', made, '--out', exported]);
  const { exitCode, stderr } = await run(['import', exported, '--out', out, '--run', 'mean-back']);
  assert.deepEqual([exitCode, stderr.text], [0, '']);
  for (const name of ['statistics.json', 'classes.json']) {
    const [ours, theirs] = ['mean-back', 'mean'].map((each) => fs.readFileSync(join(out, each, name), 'utf8'));
    assert.deepEqual(JSON.parse(ours!), JSON.parse(theirs!), name);
  }
  assert.equal(configOf('mean-back').data.meanImage, true);
});

test('import, export and predict do not need --data for a preset without data; eval does', async () => {
  const settings = join(out, 'imagenet.json');
  const net = { width: 0.0625, classes: 3 };
  fs.writeFileSync(settings, JSON.stringify({ preset: 'imagenet', net, data: { meanImage: false } }));
  const exported = join(out, 'imagenet.safetensors');
  const made = join(out, 'imagenet');
  await run(['train', '--config', settings, '--data', 'embedded', '--out', out, '--run', 'imagenet']);
  const read = (_: unknown, values: Float32Array) => void values.fill(0.5);
  writeRun({ read }, buildNet(configOf('imagenet').net), made, 2, {});
  assert.equal((await run(['export', '--run', made, '--out', exported])).exitCode, 0);
  const { exitCode, stderr } = await run(['import', exported, '--out', out, '--run', 'imagenet-back']);
  assert.deepEqual([exitCode, stderr.text], [0, '']);
  const { data } = configOf('imagenet-back');
  assert.deepEqual([data.source, data.resize, data.meanImage], ['', 256, false]);
  const asked: string[] = [];
  const predictFiles: TrainModule['predictFiles'] = async (config, folder) => {
    asked.push(config.data.source, folder);
    return [];
  };
  const place = ['--out', out, '--run', 'imagenet-back'];
  const answer = await run(['predict', 'a.jpg', ...place], { loadTrain: trainModule({ predictFiles }) });
  assert.deepEqual([answer.exitCode, asked], [0, ['', join(out, 'imagenet-back')]]);
  const again = ['export', '--run', join(out, 'imagenet-back'), '--out', join(out, 'again.safetensors')];
  assert.equal((await run(again)).exitCode, 0);
  const evaluated = await run(['eval', ...place]);
  assert.equal(evaluated.exitCode, 2);
  assert.match(evaluated.stderr.text, /^error: Cannot find the images of the preset imagenet: .*--data\n$/);
});

test('import uses data.mean, and says so, if the file has no mean image of that size', async () => {
  const plain = join(out, 'plain.safetensors');
  const source = openTensors(join(out, 'mean.safetensors'));
  const entries = source.entries.filter(({ name }) => name !== 'mean_image');
  writeTensors(plain, entries, {}, ({ name, shape }, bytes) => {
    bytes.set(new Uint8Array(source.read(name, shape).buffer));
  });
  source.close();
  const flags = ['--preset', 'lenet', '--config', join(out, 'mean.json'), '--out', out];
  for (const [name, argv] of [
    ['lacking', [plain, ...flags]],
    ['resized', [join(out, 'mean.safetensors'), '--resize', '30', '--out', out]],
  ] as const) {
    const { exitCode, stderr } = await run(['import', ...argv, '--run', name]);
    assert.equal(exitCode, 0);
    assert.match(
      stderr.text,
      /^\S+ has no mean image of (28|30) pixels: 0 is subtracted from each pixel instead \(data\.mean\)\n$/,
    );
    assert.equal(configOf(name).data.meanImage, false);
    assert.equal(fs.existsSync(join(out, name, 'statistics.json')), false);
  }
});

test('import names the classes by --class-names, a JSON list or lines', async () => {
  const names = [...'abcdefgh', 'tench, Tinca tinca', '10'];
  const texts = { json: JSON.stringify(names), lines: names.join('\n'), crlf: `${names.join('\r\n')}\r\n` };
  for (const [name, text] of Object.entries(texts)) {
    const list = join(out, `names.${name}`);
    fs.writeFileSync(list, text);
    const { exitCode, stderr } = await run([
      'import',
      file,
      '--out',
      out,
      '--run',
      `named-${name}`,
      '--class-names',
      list,
    ]);
    assert.deepEqual([exitCode, stderr.text], [0, '']);
    assert.deepEqual(JSON.parse(fs.readFileSync(join(out, `named-${name}`, 'classes.json'), 'utf8')), names);
  }
  const wrong: [string, RegExp][] = [
    ['a\nb\n', /Cannot use the class names in \S+: it has 2, expected 10 names, one for each class of the net, as a/],
    [`${names.slice(1).join('\n')}\n\n`, /name 9 is ""/],
    ['[1]', /name 0 is 1, expected/],
    ['{"a": 1}', /it holds something else/],
  ];
  for (const [text, message] of wrong) {
    fs.writeFileSync(join(out, 'wrong.txt'), text);
    const argv = ['import', file, '--out', out, '--run', 'unnamed', '--class-names', join(out, 'wrong.txt')];
    const { exitCode, stderr } = await run(argv);
    assert.equal(exitCode, 2);
    assert.match(stderr.text, message);
  }
  assert.equal(fs.existsSync(join(out, 'unnamed')), false);
});

test("import recognizes torchvision's AlexNet, and leaves it to the flags that name another net", async () => {
  const theirs = sparseFile(join(out, 'torchvision.safetensors'), torchvisionTensors(10));
  const argv = ['import', theirs, '--out', out, '--run', 'theirs', '--class-names', join(out, 'names.json')];
  fs.writeFileSync(join(out, 'names.json'), '["a"]');
  const recognized = await run(argv); // and refuses the names, before it reads 228 MB
  assert.match(
    recognized.stderr.text,
    /^\S+ has the tensors of torchvision's AlexNet: --preset torchvision --classes 10, with .*\nerror: .*it has 1, exp/,
  );
  const flags: [string[], RegExp][] = [
    [
      ['--classes', '7'],
      /AlexNet.*\nerror: Cannot import \S+ into the net torchvision: of another shape: classifier\.6/,
    ],
    [['--preset', 'fashion'], /^error: Cannot import \S+ into the net original: of another shape: features\.0\.weight/],
    [['--net', 'paper', '--preset', 'fashion'], /^error: Cannot import \S+ into the net paper: of another shape/],
    [['--net', 'paper'], /^error: Cannot import \S+ into the net paper: of another shape/],
  ];
  for (const [more, message] of flags) {
    const { exitCode, stderr } = await run([...argv.slice(0, 6), ...more]);
    assert.equal(exitCode, 1);
    assert.match(stderr.text, message);
  }
});

test('import --force replaces an earlier import, and that comes back if the new one fails', async (t) => {
  const argv = ['import', file, '--run', 'twice', '--out', out];
  assert.equal((await run(argv)).exitCode, 0);
  const refused = await run(argv);
  assert.deepEqual([refused.exitCode, /or replace that import with --force$/m.test(refused.stderr.text)], [2, true]);
  assert.equal((await run([...argv, '--force', '--seed', '5'])).exitCode, 0);
  assert.equal(configOf('twice').seed, 5);
  const rename = fs.renameSync;
  t.mock.method(fs, 'renameSync', (from: string, to: string) => {
    if (to.endsWith('.safetensors'))
      throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO', syscall: 'rename' });
    rename(from, to);
  });
  syncBuiltinESMExports();
  const failed = await run([...argv, '--force', '--seed', '6']);
  t.mock.restoreAll();
  syncBuiltinESMExports();
  assert.equal(failed.exitCode, 1, failed.stderr.text);
  assert.equal(configOf('twice').seed, 5);
  assert.deepEqual(
    fs.readdirSync(out).filter((name) => name.endsWith('.replaced')),
    [],
  );
});

test('import refuses what it cannot use in one sentence, and leaves nothing behind', async () => {
  const foreign = join(out, 'foreign.safetensors');
  writeTensors(foreign, [{ name: 'conv1.weight', shape: [96, 3, 11, 11] }], {}, () => {});
  const wrong: [string[], number, RegExp][] = [
    [[file, '--run', 'no', '--preset', 'mini'], 1, /Cannot import .* into the net original: the file lacks conv3/],
    [[foreign, '--run', 'no'], 1, /of another shape: conv1\.weight is \[96,3,11,11\] and \[24,3,11,11\] in the net;/],
    [[file, '--run', 'no', '--classes', '7'], 1, /fc5\.weight is \[10,84\] and \[7,84\] in the net/],
    [[join(out, 'gone'), '--run', 'no'], 1, /Cannot read the weights .*gone: it is not there; choose a safetensors/],
    [[file, '--run', 'r'], 2, /Cannot use .* for a new run: it exists already; choose another --run$/m],
    [[file, '--run', 'r', '--force'], 2, /Cannot use .* for a new run: it exists already; choose another --run$/m],
    [[file], 2, /without a name for the run; give one with --run/],
    [['--run', 'no'], 2, /missing required argument 'file'/],
    [[file, '--run', 'no', '--channel-order', 'gbr'], 2, /Allowed choices are rgb, bgr/],
  ];
  for (const [argv, code, message] of wrong) {
    const { exitCode, stdout, stderr } = await run(['import', ...argv, '--out', out]);
    assert.deepEqual([exitCode, stdout.text, stderr.lines.length], [code, '', 1], stderr.text);
    assert.match(stderr.text, message);
  }
  assert.equal(fs.existsSync(join(out, 'no')), false);
});

test('orRemove() removes the folder if writing the weights fails', () => {
  const full = join(out, 'full');
  fs.mkdirSync(full);
  fs.writeFileSync(join(full, 'config.json'), '{}');
  const write = () => {
    fs.writeFileSync(join(full, 'tower-0-of-2.safetensors'), '');
    throw new CheckpointError('the disk is full', full);
  };
  assert.throws(() => orRemove(full, write), /the disk is full/);
  assert.equal(fs.existsSync(full), false);
});
