import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { openTensors } from '../../src/checkpoint/safetensors.js';
import { run } from './stand-ins.js';
import { lenetRun } from './weights-runs.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-export-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));
const folder = await lenetRun(out, 'r', '--batch-size', '6');
const LENET = 61_706;

test('export writes one file with the net and its settings, from a run given by path', async () => {
  const file = join(out, 'net.safetensors');
  const { exitCode, stdout, stderr } = await run(['export', '--run', `${folder}/`, '--out', file]);
  assert.deepEqual([exitCode, stdout.text, stderr.text], [0, `${file}: 10 tensors, 61,706 values\n`, '']);
  const opened = openTensors(file);
  opened.close();
  assert.equal(opened.metadata.format, 'pt');
  const { version, settings, input, layers } = JSON.parse(opened.metadata.alexnet_split!);
  assert.deepEqual([version, input, layers.length], [1, [28, 1], 11]);
  assert.deepEqual(layers[0], { kind: 'conv', name: 'conv1', stride: 1, padding: [2, 2], groups: 1 });
  assert.deepEqual([settings.preset, settings.net.table, settings.data.resize], ['lenet', 'lenet', 28]);
  assert.deepEqual([settings.data.source, settings.data.workers], [undefined, undefined]);
});

test('export --format tfjs writes a folder, and --json prints what was written', async () => {
  const model = join(out, 'model');
  const argv = ['export', '--run', folder, '--out', model, '--format', 'tfjs', '--json'];
  const { exitCode, stdout } = await run(argv);
  assert.equal(exitCode, 0);
  assert.deepEqual(JSON.parse(stdout.text), { file: model, tensors: 18, values: LENET });
  assert.deepEqual(fs.readdirSync(model).sort(), ['model.json', 'weights.bin']);
});

test('export makes missing folders, and replaces an earlier export with --force alone', async () => {
  for (const [format, replaceable] of [
    ['pytorch', 'net.safetensors'],
    ['tfjs', 'model'],
  ] as const) {
    const to = join(out, 'made', 'below', replaceable);
    const argv = ['export', '--run', folder, '--format', format, '--out', to];
    assert.equal((await run(argv)).exitCode, 0, format);
    const refused = await run(argv);
    assert.match(
      refused.stderr.text,
      /it exists already; choose another --out, or replace an earlier export with --force$/m,
    );
    assert.equal((await run([...argv, '--force'])).exitCode, 0, format);
  }
  // Neither format replaces what the other wrote, nor a folder with other files.
  const model = join(out, 'made', 'below', 'model');
  const file = join(out, 'made', 'below', 'net.safetensors');
  fs.writeFileSync(join(model, 'mine'), '');
  const onlyFolder = 'a folder with model.json and weights.bin alone';
  for (const [to, format, only] of [
    [model, 'tfjs', onlyFolder],
    [model, 'pytorch', 'a file'],
    [file, 'tfjs', onlyFolder],
  ] as const) {
    const { exitCode, stderr } = await run(['export', '--run', folder, '--force', '--out', to, '--format', format]);
    const message = `error: Cannot write ${to}: it exists already, and --force replaces only ${only}; choose another --out\n`;
    assert.deepEqual([exitCode, stderr.text], [1, message]);
  }
  assert.deepEqual(fs.readdirSync(model).sort(), ['mine', 'model.json', 'weights.bin']);
});

test('export explains in one sentence what it cannot read or write', async () => {
  const nothing = join(out, 'nothing');
  await run(['train', '--out', out, '--run', 'empty', '--preset', 'lenet']);
  const wrong: [string[], number, RegExp][] = [
    [['--run', 'no-such', '--out', nothing], 2, /^error: Cannot export the run no-such: there is no runs\/no-such\//],
    [
      ['--run', './no-such', '--out', nothing],
      2,
      /there is no no-such\/config\.json; choose another --run, by its name or/,
    ],
    [
      ['--run', join(out, 'empty'), '--out', nothing],
      1,
      /it has no weights, expected a complete checkpoint or tower-\*\.safetensors/,
    ],
    [['--run', folder, '--out', out], 1, /^error: Cannot write .*: it exists already; choose another --out/],
    [
      ['--run', folder, '--out', join('/dev/null', 'x')],
      1,
      /^error: Cannot write \/dev\/null\/x: .*; choose another --out/,
    ],
    [['--run', folder, '--out', nothing, '--format', 'onnx'], 2, /Allowed choices are pytorch, tfjs/],
    [['--run', folder], 2, /required option '--out <path>'/],
  ];
  for (const [flags, code, message] of wrong) {
    const { exitCode, stdout, stderr } = await run(['export', ...flags]);
    assert.deepEqual([exitCode, stdout.text, stderr.lines.length], [code, '', 1], stderr.text);
    assert.match(stderr.text, message);
  }
  assert.equal(fs.existsSync(nothing), false);
});
