/** `train --dry-run`: everything up to the first step, and no file. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { TrainModule } from '../../src/cli/services.js';
import { DataError } from '../../src/errors.js';
import { fewImages } from '../data/sets.js';
import { CHECK, RUN_START } from '../events.js';
import { inProcess } from './in-process.js';
import { run, trainModule } from './stand-ins.js';

const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url));
const work = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-dry-run-'));
after(() => fs.rmSync(work, { recursive: true, force: true }));
const SMALL = ['--width', '0.1', '--batch-size', '4', '--steps', '2'];
const READY = {
  first: 1,
  last: 942,
  batchSize: 64,
  stepsPerEpoch: 157,
  checkpointBytes: 2 ** 20,
  logBytes: 2 ** 21,
  peakBytes: 2 ** 30,
};

process.chdir(work);

/** A stand-in for the training that is ready, or fails. */
function ready(failure?: Error): { train: TrainModule['train'] } {
  return {
    async train(config, { report, begin, dryRun, command }) {
      assert.deepEqual([begin, dryRun], [undefined, true], 'nobody makes a folder');
      assert.equal(command, 'alexnet-split train', 'for messages');
      if (failure) throw failure;
      report({ ...RUN_START, run: config.run, config });
      report(CHECK);
      return { exitCode: 0, top1: Number.NaN, steps: 0, dryRun: READY };
    },
  };
}

test('train --dry-run opens everything and checks it, says what would be trained, and writes nothing', () => {
  const env = { ...process.env, CUDA_VISIBLE_DEVICES: '-1', FAKE_GPU: '' };
  const argv = [CLI, 'train', '--dry-run', ...SMALL];
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8', env });
  assert.deepEqual([status, stderr], [0, '']);
  const lines = stdout.trimEnd().split('\n').slice(-8);
  const expected = [
    /^tower 0 on CPU:0, tower 1 on CPU:1$/,
    /^data fashion-mnist-sample: 10,000 training /,
    /^net original: .* parameters \(/,
    /^checking the split against the reference: both compute a batch, .* many times as long as a step \(--no-check/,
    /^check over 1 step: split and reference agree/,
    /^host memory: at most \d+ MiB so far; a checkpoint takes \d+ MiB on the disk$/,
    /^log: about 1 MiB, with one step in a line \(--log-steps\)$/,
    /^dry run: ready for 2 steps of 4 images, 2,500 per epoch, in runs\/split-mini-\d+-\d+; nothing was written$/,
  ];
  for (const [i, line] of lines.entries()) assert.match(line, expected[i]!);
  assert.deepEqual(fs.readdirSync(work), []);
});

test('train --dry-run finds that the disk is too small for the checkpoints', async () => {
  const flags = ['--no-check', '--out', 'full', ...SMALL, '--keep', '1000000', '--width', '0.5'];
  const { code, stderr } = await inProcess(['train', '--dry-run', ...flags]);
  assert.equal(code, 1);
  assert.match(stderr, /^error: Cannot keep 1,000,000 checkpoints in full\/split-mini-.*; free some space/m);
  assert.ok(!fs.existsSync(join(work, 'full')));
});

test('train --dry-run --resume restores the checkpoint, and leaves the run as it was', async () => {
  const few = ['--data', fewImages(work)];
  assert.equal((await inProcess(['train', '--run', 'r', '--quiet', '--no-check', ...SMALL, ...few])).code, 0);
  const files = () =>
    fs
      .readdirSync(join(work, 'runs', 'r'), { recursive: true, encoding: 'utf8' })
      .filter((name) => fs.statSync(join(work, 'runs', 'r', name)).isFile())
      .sort()
      .map((name) => [name, fs.readFileSync(join(work, 'runs', 'r', name), 'base64')]);
  const before = files();
  const resume = ['train', '--dry-run', '--resume', 'runs/r', '--steps', '9'];
  const more = await inProcess([...resume, '--quiet', '--trace-steps', '1-2']);
  assert.deepEqual(
    [more.code, more.stdout],
    [0, 'dry run: ready for steps 3 to 9 of 4 images, 100 per epoch, in runs/r; nothing was written\n'],
  );
  assert.equal(more.stderr, 'warning: --trace-steps 1-2 traces nothing: the run trains steps 3 to 9\n');
  assert.deepEqual(files(), before);
  assert.match(before.map(([name]) => name).join(), /checkpoints\/.*config\.json/);
  const [weights] = before.find(([name]) => /checkpoints.*safetensors/.test(name!))!;
  fs.truncateSync(join(work, 'runs', 'r', weights!), 100);
  const damaged = await inProcess(resume);
  assert.equal(damaged.code, 1);
  assert.match(damaged.stderr, /^error: Cannot resume runs\/r: none of its checkpoints is complete/m);
});

test('train --dry-run prints the events with --json, its last line with --quiet', async () => {
  const json = await run(['train', '--dry-run', '--json'], { loadTrain: trainModule(ready()) });
  assert.deepEqual(
    json.stdout.lines.map((line) => JSON.parse(line).event),
    ['run_start', 'check'],
  );
  assert.match(
    json.stderr.text,
    /^host memory: at most 1,024 MiB .* takes 1 MiB on the disk\nlog: about 2 MiB, .*\ndry run: ready for 942 steps /m,
  );
  const quiet = await run(['train', '--dry-run', '--quiet'], { loadTrain: trainModule(ready()) });
  assert.match(quiet.stdout.text, /^dry run: ready for 942 steps of 64 images, .*\n$/);
});

test('train --dry-run fails as the training would, and refuses what it refuses', async () => {
  const failure = new DataError('Cannot read the images: there are none');
  const failed = await run(['train', '--dry-run'], { loadTrain: trainModule(ready(failure)) });
  assert.deepEqual([failed.exitCode, failed.stderr.lines.at(-1)], [1, `error: ${failure.message}`]);
  fs.mkdirSync(join(work, 'taken', 'r'), { recursive: true });
  fs.writeFileSync(join(work, 'taken', 'r', 'x'), '');
  const argv = ['train', '--out', join(work, 'taken'), '--run', 'r'];
  const [dry, real] = [await run([...argv, '--dry-run']), await run(argv)];
  assert.deepEqual([dry.exitCode, dry.stderr.text], [2, real.stderr.text]);
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const taken = ['train', '--metrics-port', String((server.address() as AddressInfo).port)];
  const [dryPort, realPort] = [
    await run([...taken, '--dry-run'], { loadTrain: trainModule(ready()) }),
    await run(taken),
  ];
  server.close();
  assert.match(dryPort.stderr.text, /^error: /m);
  assert.deepEqual([dryPort.exitCode, dryPort.stderr.text], [realPort.exitCode, realPort.stderr.text]);
  const both = await run(['train', '--dry-run', '--print-config']);
  assert.match(both.stderr.text, /'--dry-run' cannot be used with option '--print-config'/);
});
