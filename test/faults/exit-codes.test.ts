/** How the program ends, and its message when it cannot begin. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { main } from '../../src/cli.js';
import { DATA_FILES } from '../../src/data/index.js';
import { Screen } from '../cli/stand-ins.js';
import { fewImages } from '../data/sets.js';

const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url));
const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-exit-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

function alexnetSplit(...args: string[]) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], {
    encoding: 'utf8',
    cwd: folder,
  });
  return { status, signal, stdout, stderr };
}

const SMALL = ['--net', 'lenet', '--input-size', '28', '--batch-size', '16', '--steps', '2'];
const LENET = ['--preset', 'lenet', '--data', fewImages(folder), '--batch-size', '16', '--steps', '2'];

test('train of split ends with exit code 0, on the requested devices, as TensorFlow reports them', () => {
  const { status, signal, stderr } = alexnetSplit('train', ...LENET, '--devices', 'CPU:1,CPU:0', '--run', 'crossed');
  assert.deepEqual([status, signal, stderr], [0, null, '']);
  const log = fs.readFileSync(join(folder, 'runs', 'crossed', 'log.ndjson'), 'utf8').split('\n');
  const start = JSON.parse(log[0]!);
  assert.deepEqual(
    start.towers.map(({ tower, backing_device }: { tower: number; backing_device: string }) => [
      tower,
      backing_device.replace(/.*device:/, ''),
    ]),
    [
      [0, 'CPU:1'],
      [1, 'CPU:0'],
    ],
  );
});

test('train of single ends with exit code 0, with another data folder', () => {
  const data = dataFolder('good', () => {});
  const { status, signal, stderr } = alexnetSplit(
    'train',
    '--placement',
    'single',
    ...LENET,
    '--data',
    data,
    '--run',
    'own',
  );
  assert.deepEqual([status, signal, stderr], [0, null, '']);
});

/** A data folder made of small IDX files. */
function dataFolder(name: string, change: (files: Record<string, Buffer>) => void): string {
  // No two alike: a run warns of images that are.
  const pixels = (count: number) => Uint8Array.from({ length: count * 784 }, (_, i) => (i * 73 + (i >> 7) * 31) & 255);
  const images = (count: number) => Buffer.concat([header(0x803, count, 28, 28), pixels(count)]);
  const labels = (count: number) => Buffer.concat([header(0x801, count), Buffer.alloc(count, 3)]);
  const [trainImages, trainLabels, testImages, testLabels] = DATA_FILES;
  const files = {
    [trainImages]: images(32),
    [trainLabels]: labels(32),
    [testImages]: images(16),
    [testLabels]: labels(16),
  };
  change(files);
  const path = join(folder, name);
  fs.mkdirSync(path);
  for (const [file, bytes] of Object.entries(files)) fs.writeFileSync(join(path, file), bytes);
  return path;
}

function header(...words: number[]): Buffer {
  const bytes = Buffer.alloc(4 * words.length);
  for (const [i, word] of words.entries()) bytes.writeUInt32BE(word, 4 * i);
  return bytes;
}

test('train refuses invalid arguments with one sentence, before it starts', async () => {
  const empty = join(folder, 'empty');
  fs.mkdirSync(empty);
  const truncated = dataFolder('truncated', (files) => {
    files[DATA_FILES[0]] = files[DATA_FILES[0]]!.subarray(0, 1000);
  });
  const labels = dataFolder('labels', (files) => {
    files[DATA_FILES[3]]!.writeUInt8(200, 12);
  });
  const cases: [args: string[], status: number, message: RegExp][] = [
    [['--devices', 'CPU:0,GPU:9'], 2, /GPU:9: TensorFlow has CPU:0, CPU:1 here/],
    [['--no-such-flag'], 2, /unknown option '--no-such-flag'/],
    [['--batch-size', '0'], 2, /--batch-size is 0, expected a whole number from 1/],
    [['--data', empty], 1, /the folder has no such file/],
    [['--data', truncated], 1, /train-images-idx3-ubyte/],
    [['--data', labels], 1, /200/],
    [['--input-size', '2'], 2, /Cannot build the net/],
  ];
  for (const [args, expected, message] of cases) {
    const [stdout, stderr] = [new Screen(), new Screen()];
    const argv = ['train', ...SMALL, '--out', join(folder, 'runs'), ...args, '--run', 'refused'];
    assert.equal(await main(argv, { stdout, stderr }), expected, `${args}: ${stderr.text}`);
    assert.match(stderr.text, message);
    assert.match(stderr.text, /^error: [^\n]+\n$/, 'one line');
    assert.doesNotMatch(stderr.text, /this is a bug/);
    assert.doesNotMatch(stdout.text, /step/);
    assert.equal(fs.existsSync(join(folder, 'runs', 'refused')), false);
  }
});
