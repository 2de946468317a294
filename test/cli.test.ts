/** Arguments to exit codes and messages. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { collect } from '../scripts/trainer.js';
import { PRESET_NAMES } from '../src/config/schema.js';
import { packageVersion } from '../src/config/version.js';
import { DataError, SplitError } from '../src/errors.js';
import { run, trainModule } from './cli/stand-ins.js';

const CLI = fileURLToPath(new URL('../src/cli.js', import.meta.url));

test('main() prints one line for a usage error, with exit code 2', async () => {
  const cases: [argv: string[], message: string][] = [
    [['tran'], "unknown command 'tran' (Did you mean train?)"],
    [['help', 'tran'], "unknown command 'tran' (Did you mean train?)"],
    [['help', 'data', 'chek'], "unknown command 'chek' (Did you mean check?)"],
    [['data', 'chek'], "unknown command 'chek' (Did you mean check?)"],
    [['train', '--learning-rate', '3'], "unknown option '--learning-rate' (Did you mean --lr <rate>?)"],
    [['train', '--learning_rate=3'], "unknown option '--learning_rate=3' (Did you mean --lr <rate>?)"],
    [['ablate', '--batch_size', '3'], "unknown option '--batch_size' (Did you mean --batch-size <images>?)"],
    [['train', '--batchSize', '3'], "unknown option '--batchSize' (Did you mean --batch-size <images>?)"],
    [['train', '--num-epochs', '3'], "unknown option '--num-epochs' (Did you mean --epochs <epochs>?)"],
    [['verify', '--wd', '0'], "unknown option '--wd' (Did you mean --weight-decay <factor>?)"],
    [['train', '--gpus', '2'], "unknown option '--gpus' (Did you mean --devices <A,B>?)"],
    [['train', '-b', '2'], "unknown option '-b' (Did you mean --batch-size <images>?)"],
    [['devices', '--wd', '0'], "unknown option '--wd'"],
    [['train', '--stepz', '3'], "unknown option '--stepz' (Did you mean --steps?)"],
    [['train', '--steps'], "option '--steps <steps>' argument missing"],
    [['train', 'fast'], "too many arguments for 'train'. Expected 0 arguments but got 1."],
    [
      ['train', '--epochs', '2', '--steps', '3'],
      "option '--epochs <epochs>' cannot be used with option '--steps <steps>'",
    ],
    [
      ['train', '--steps', '3', '--epochs', '2'],
      "option '--epochs <epochs>' cannot be used with option '--steps <steps>'",
    ],
    [['train', '--quiet', '--json'], "option '--quiet' cannot be used with option '--json'"],
    [['train', '--batch-size', '0'], '--batch-size is 0, expected a whole number from 1 to 65536'],
    [['train', '--batch-size', '-4'], '--batch-size is -4, expected a whole number from 1 to 65536'],
    [['train', '--batch-size', '0x10'], '--batch-size is "0x10", expected a whole number from 1 to 65536'],
    [['train', '--batch-size', ''], '--batch-size is "", expected a whole number from 1 to 65536'],
    [['train', '--seed', '1e999'], '--seed is Infinity, expected a whole number from 0 to 4294967295'],
    [['train', '--preset', 'huge'], `--preset is "huge", expected one of auto, ${PRESET_NAMES.join(', ')}`],
    [
      ['train', '--devices', 'CPU:0,CPU:9'],
      'Cannot use the device CPU:9: TensorFlow has CPU:0, CPU:1 here; choose from these with --devices',
    ],
    [['train', '--config', '/no/file'], 'Cannot read the config file /no/file: there is no such file, expected JSON'],
    [['eval'], "required option '--run <run>' not specified"],
    [['verify', '--steps', '0'], '--steps is 0, expected a whole number from 1 to 10000'],
    [['verify', '--steps', '1e999'], '--steps is Infinity, expected a whole number from 1 to 10000'],
    [['verify', '--placement', 'single'], "unknown option '--placement'"],
    [['devices', '--run', 'x'], "unknown option '--run'"],
  ];
  for (const [argv, message] of cases) {
    const { exitCode, stdout, stderr } = await run(argv, { loadTrain: trainModule({}) });
    assert.deepEqual([exitCode, stdout.text, stderr.text], [2, '', `error: ${message}\n`]);
  }
});

test('main() without a command shows the help on stderr, with exit code 2', async () => {
  const { exitCode, stdout, stderr } = await run([]);
  assert.deepEqual([exitCode, stdout.text], [2, '']);
  assert.match(stderr.text, /^Usage: alexnet-split/);
});

test('main() shows help and version on stdout, with exit code 0', async () => {
  for (const argv of [['--help'], ['-h'], ['help'], ['train', '--help'], ['help', 'train']]) {
    const { exitCode, stdout, stderr } = await run(argv);
    assert.deepEqual([exitCode, stderr.text], [0, '']);
    assert.match(stdout.text, /^Usage: alexnet-split/);
  }
  const [long, short] = [await run(['data', 'check', '--help']), await run(['help', 'data', 'check'])];
  assert.equal(short.stdout.text, long.stdout.text);
  assert.match((await run(['--help'])).stdout.text, /\nExit codes: 0 done; 1 failure; 2 usage error/);
  assert.equal((await run(['--version'])).stdout.text, `${packageVersion()}\n`);
  assert.match((await run(['train', '--help'])).stdout.text, /--batch-size <images>/);
});

test('main() prints one line for an expected error, with the exit code of its class', async () => {
  const failing = (error: unknown) => trainModule({ train: () => Promise.reject(error) });
  const failure = await run(['train'], { loadTrain: failing(new DataError('Cannot read x:\n  it is short\n')) });
  assert.deepEqual([failure.exitCode, failure.stderr.text], [1, 'error: Cannot read x: it is short\n']);
  const setup = await run(['devices'], { listDevices: () => Promise.reject(new SplitError('Cannot load it')) });
  assert.deepEqual([setup.exitCode, setup.stderr.text], [1, 'error: Cannot load it\n']);
});

test('main() calls any other error a bug, and shows the stack if asked', async () => {
  const loadTrain = trainModule({ train: () => Promise.reject(new TypeError('x is not\na function')) });
  const plain = await run(['train'], { loadTrain });
  assert.equal(plain.exitCode, 1);
  const line = 'error: x is not a function (this is a bug in alexnet-split; ALEXNET_SPLIT_DEBUG=1 shows where)\n';
  assert.equal(plain.stderr.text, line);
  const debug = await run(['train'], { loadTrain, env: { ALEXNET_SPLIT_DEBUG: '1' } });
  assert.ok(debug.stderr.text.startsWith(line));
  assert.match(debug.stderr.text, /\n {4}at .*cli\.test\.[jt]s/);
  const text = await run(['train'], { loadTrain: trainModule({ train: () => Promise.reject('a text') }) });
  assert.match(text.stderr.text, /^error: a text \(this is a bug/);
});

test('setup prints the library that it found', async () => {
  const { exitCode, stdout } = await run(['setup']);
  assert.deepEqual([exitCode, stdout.text], [0, 'TensorFlow library: /lib/libtensorflow.so\n']);
});

test('alexnet-split exits with the code of its command', () => {
  const status = (...args: string[]) => spawnSync(process.execPath, [CLI, ...args], { stdio: 'ignore' }).status;
  assert.deepEqual([status('summary'), status('summary', '--net', 'vgg'), status()], [0, 2, 2]);
});

test('alexnet-split says that the current folder is gone, but still prints help', () => {
  const work = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-gone-'));
  const gone = (command: string) =>
    spawnSync('sh', ['-c', `rmdir "$PWD"; exec "$0" "$1" ${command}`, process.execPath, CLI], {
      cwd: fs.mkdtempSync(join(work, 'gone-')),
      encoding: 'utf8',
    });
  const { status, stdout, stderr } = gone('summary');
  assert.deepEqual([status, stdout], [2, '']);
  assert.match(stderr, /^error: Cannot work here: the current folder has been removed; .*\n$/);
  assert.equal(gone('--help').status, 0);
  fs.rmSync(work, { recursive: true });
});

test('alexnet-split continues if its reader ends', async () => {
  const child = spawn(process.execPath, [CLI, 'summary'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const { ended } = collect(child, ['stderr']);
  child.stdout.destroy();
  const { code, stderr } = await ended;
  assert.deepEqual([code, stderr], [0, '']);
});

const noFullDisk = fs.existsSync('/dev/full') ? false : 'there is no /dev/full here to stand for a full disk';

test('alexnet-split says that it cannot print, and exits with 1', { skip: noFullDisk }, () => {
  const full = fs.openSync('/dev/full', 'w');
  const { status, stderr } = spawnSync(process.execPath, [CLI, 'summary'], {
    stdio: ['ignore', full, 'pipe'],
    encoding: 'utf8',
  });
  fs.closeSync(full);
  assert.deepEqual([status, stderr], [1, 'error: Cannot print: ENOSPC: no space left on device, write\n']);
});
