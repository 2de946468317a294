import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import type { TrainModule } from '../../src/cli/services.js';
import { run, trainModule } from './stand-ins.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-predict-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));
await run(['train', '--out', out, '--run', 'r', '--preset', 'lenet', '--batch-size', '6']);
const folder = join(out, 'r');

const BOOT = { name: 'ankle boot', label: 9, probability: 0.75 };
const BAG = { name: 'bag', label: 8, probability: 0.2 };

/** Every file is a boot, or a bag; of those with `bad` in their names there is no image. */
function predicting(calls: unknown[][] = []) {
  const predictFiles: TrainModule['predictFiles'] = async (config, where, files, top, tenView) => {
    calls.push([config.preset, config.devices, where, files, top, tenView]);
    return files.map((file) =>
      file.includes('bad') ? { file, reason: 'the file is empty' } : { file, classes: [BOOT, BAG].slice(0, top) },
    );
  };
  return { loadTrain: trainModule({ predictFiles }) };
}

test('predict prints a line for each file', async () => {
  const calls: unknown[][] = [];
  const { exitCode, stdout, stderr } = await run(
    ['predict', 'a.png', 'b.jpg', '--out', out, '--run', 'r'],
    predicting(calls),
  );
  const classes = 'ankle boot 0.7500, bag 0.2000';
  assert.deepEqual([exitCode, stderr.text, stdout.text], [0, '', `a.png: ${classes}\nb.jpg: ${classes}\n`]);
  assert.deepEqual(calls, [['lenet', ['CPU:0', 'CPU:1'], folder, ['a.png', 'b.jpg'], 5, false]]);
});

test('predict names the run that somebody may have meant', async () => {
  await run(['train', '--out', out, '--run', 'pets', '--preset', 'lenet']);
  for (const [argv, meant] of [
    [['--run', 'petz', '--out', out], 'pets'],
    [['--run', join(out, 'pet')], join(out, 'pets')],
  ] as const) {
    const { exitCode, stderr } = await run(['predict', 'a.png', ...argv], predicting());
    assert.equal(exitCode, 2);
    assert.ok(stderr.text.includes(`config.json (did you mean ${meant}?); choose another --run, by its`), stderr.text);
  }
  const other = await run(['predict', 'a.png', '--run', 'something', '--out', out], predicting());
  assert.doesNotMatch(other.stderr.text, /did you mean/);
});

test('predict --top, --json, --ten-view and --placement', async () => {
  const calls: unknown[][] = [];
  const argv = ['predict', '--run', folder, 'a.png', '--top', '1', '--json', '--ten-view', '--placement', 'single'];
  const { exitCode, stdout } = await run(argv, predicting(calls));
  assert.equal(exitCode, 0);
  assert.deepEqual(JSON.parse(stdout.text), [{ file: 'a.png', classes: [BOOT] }]);
  assert.deepEqual(calls, [['lenet', ['CPU:0'], folder, ['a.png'], 1, true]]);
});

test('predict needs the devices of one net only, however many replicas trained it', async () => {
  const where = ['--devices', 'CPU:0,CPU:1,CPU:0,CPU:1', '--linear-scaling'];
  await run(['train', '--out', out, '--run', 'pairs', '--preset', 'lenet', '--replicas', '2', ...where]);
  for (const flags of [[], ['--devices', 'CPU:0,CPU:1']]) {
    const calls: unknown[][] = [];
    const { exitCode, stderr } = await run(
      ['predict', 'a.png', '--out', out, '--run', 'pairs', ...flags],
      predicting(calls),
    );
    assert.deepEqual([exitCode, stderr.text, calls[0]?.[1]], [0, '', ['CPU:0', 'CPU:1']]);
  }
});

test('predict explains in one sentence each file that is not an image, and exits with 1', async () => {
  const { exitCode, stdout, stderr } = await run(
    ['predict', 'bad.jpg', 'a.png', '--run', folder, '--top', '1'],
    predicting(),
  );
  assert.deepEqual([exitCode, stdout.text], [1, 'a.png: ankle boot 0.7500\n']);
  assert.equal(stderr.text, 'error: Cannot use bad.jpg: the file is empty, expected a JPEG, PNG, GIF or WebP image\n');
  const json = await run(['predict', 'bad.jpg', '--run', folder, '--json'], predicting());
  assert.deepEqual(JSON.parse(json.stdout.text), [{ file: 'bad.jpg', reason: 'the file is empty' }]);
  assert.equal(json.exitCode, 1);
});

test('predict refuses wrong flags', async () => {
  const wrong: [string[], RegExp][] = [
    [['a.png', '--run', folder, '--top', '0'], /^error: --top is 0, expected a whole number from 1 up\n$/],
    [['a.png', '--run', folder, '--top', 'x'], /--top is "x", expected/],
    [['--run', folder], /missing required argument 'files'/],
    [['a.png'], /required option '--run <run>'/],
    [['a.png', '--run', 'none'], /Cannot ask the run none: there is no /],
  ];
  for (const [argv, message] of wrong) {
    const { exitCode, stderr } = await run(['predict', ...argv], predicting());
    assert.equal(exitCode, 2);
    assert.match(stderr.text, message);
  }
});
