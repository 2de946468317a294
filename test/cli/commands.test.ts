/** `eval`, `devices` and `summary`. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import type { Services, TrainModule } from '../../src/cli/services.js';
import type { Config } from '../../src/config/config.js';
import { SplitError } from '../../src/errors.js';
import { usableMemory } from '../../src/limits.js';
import type { Row, Totals } from '../../src/model/summary.js';
import { DEVICES, run, trainModule } from './stand-ins.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-commands-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));
await run(['train', '--out', out, '--run', 'r', '--preset', 'lenet', '--batch-size', '6']);

function evaluating(calls: [Config, string][] = [], loss = 0.5) {
  const evaluateRun: TrainModule['evaluateRun'] = async (config, folder) => {
    calls.push([config, folder]);
    return { images: 1000, loss, top1: 0.8, top5: 0.99 };
  };
  return { loadTrain: trainModule({ evaluateRun }) };
}

test('eval prints loss and accuracy, with the settings of the training', async () => {
  const calls: [Config, string][] = [];
  const { exitCode, stdout, stderr } = await run(['eval', '--out', out, '--run', 'r'], evaluating(calls));
  const folder = join(out, 'r');
  const line = `${folder}: loss 0.5000  top-1 0.8000  top-5 0.9900  (1,000 test images)\n`;
  assert.deepEqual([exitCode, stdout.text, stderr.text], [0, line, '']);
  const [config, where] = calls[0]!;
  assert.deepEqual([where, config.preset, config.batchSize], [folder, 'lenet', 6]);
});

test('eval changes where a run is evaluated', async () => {
  const calls: [Config, string][] = [];
  const flags = [
    ['--placement', 'single'],
    ['--devices', 'CPU:1,CPU:0'],
    ['--data', '/images', '--workers', '2', '--on-bad-image', 'skip'],
  ];
  for (const each of flags) await run(['eval', '--out', out, '--run', 'r', ...each], evaluating(calls));
  assert.deepEqual(
    calls.map(([{ devices }]) => devices),
    [['CPU:0'], ['CPU:1', 'CPU:0'], ['CPU:0', 'CPU:1']],
  );
  const { source, workers, onBadImage } = calls[2]![0].data;
  assert.deepEqual([source, workers, onBadImage], ['/images', 2, 'skip']);
});

test('eval --json prints the numbers, with NaN as a string', async () => {
  const { stdout } = await run(['eval', '--out', out, '--run', 'r', '--json'], evaluating([], Number.NaN));
  assert.deepEqual(JSON.parse(stdout.text), { on: 'test', images: 1000, loss: 'NaN', top1: 0.8, top5: 0.99 });
});

test('eval refuses a missing run and an invalid name', async () => {
  const missing = await run(['eval', '--out', out, '--run', 'other'], evaluating());
  const file = join(out, 'other', 'config.json');
  const advice = 'choose another --run, by its name or its path';
  assert.equal(missing.exitCode, 2);
  assert.equal(missing.stderr.text, `error: Cannot evaluate the run other: there is no ${file}; ${advice}\n`);
  fs.mkdirSync(join(out, 'ablated'));
  fs.writeFileSync(join(out, 'ablated', 'ablation.json'), '{}');
  const ablation = await run(['eval', '--out', out, '--run', 'ablated'], evaluating());
  assert.match(
    ablation.stderr.text,
    /^error: Cannot evaluate the run ablated: it is the folder of an ablation, expected/,
  );
  assert.match((await run(['eval', '--run', '..r'], evaluating())).stderr.text, /^error: Cannot name the run "\.\.r"/);
  assert.match(
    (await run(['eval', '--run', '../no/r'], evaluating())).stderr.text,
    /there is no \.\.\/no\/r\/config\.json;/,
  );
});

test('eval --ten-view evaluates ten views, and says so', async () => {
  const asked: unknown[] = [];
  const evaluateRun: TrainModule['evaluateRun'] = async (_config, _folder, options) => {
    asked.push(options?.tenView);
    return { images: 1000, loss: 0.5, top1: 0.8, top5: 0.99 };
  };
  const services = { loadTrain: trainModule({ evaluateRun }) };
  const { stdout } = await run(['eval', '--out', out, '--run', 'r', '--ten-view'], services);
  assert.match(stdout.text, /top-1 0\.8000 {2}top-5 0\.9900 {2}\(1,000 test images, ten views each\)\n$/);
  await run(['eval', '--out', out, '--run', 'r'], services);
  assert.deepEqual(asked, [true, false]);
});

test('eval finds a run by its path after it was moved', async () => {
  const calls: [Config, string][] = [];
  const moved = join(out, 'moved here');
  fs.cpSync(join(out, 'r'), moved, { recursive: true });
  const { exitCode } = await run(['eval', '--run', `${moved}/`], evaluating(calls));
  assert.deepEqual([exitCode, calls[0]![1], calls[0]![0].preset], [0, moved, 'lenet']);
});

test('devices lists the devices of TensorFlow, as a table and as JSON', async () => {
  const { stdout } = await run(['devices']);
  // Of a CPU the memory of the process, not the 256 MiB that TensorFlow says.
  const { total } = usableMemory();
  const mebibytes = Math.round(total / 2 ** 20)
    .toLocaleString('en-US')
    .padStart('memory, MiB'.length);
  assert.deepEqual(stdout.lines, [
    'device  type  memory, MiB  full name',
    `CPU:0   CPU   ${mebibytes}  /job:localhost/replica:0/task:0/device:CPU:0`,
    `CPU:1   CPU   ${mebibytes}  /job:localhost/replica:0/task:0/device:CPU:1`,
  ]);
  const json = JSON.parse((await run(['devices', '--json'])).stdout.text);
  assert.deepEqual(
    json,
    DEVICES.map((device) => ({ ...device, memoryBytes: total })),
  );
  const remote = [{ ...DEVICES[0]!, name: 'a:1/CPU:0', memory: 'remote' as const }];
  const both = await run(['devices', '--servers', 'a:1'], { serverDevices: async () => remote });
  assert.match(both.stdout.text, /^a:1\/CPU:0 +CPU +\/job/m);
});

interface Summary {
  net: { table: string; width: number; classes: number; inputSize: number };
  batchSize: number;
  devices: string[];
  layers: Row[];
  totals: Totals;
}

async function summaryOf(...argv: string[]): Promise<Summary> {
  const { exitCode, stdout, stderr } = await run(['summary', '--json', ...argv]);
  assert.deepEqual([exitCode, stderr.text], [0, '']);
  return JSON.parse(stdout.text) as Summary;
}

test('summary prints layers, exchanged bytes, towers and the picture', async () => {
  const { exitCode, stdout } = await run(['summary']);
  assert.equal(exitCode, 0);
  const { text, lines } = stdout;
  assert.match(lines[0]!, /^net original: width 1, 1000 classes;/);
  assert.match(text, /^conv3 +0\+1 +13x13x256\* +13x13x192 +885,120 +149,520,384$/m);
  assert.match(text, /^fc8 +0 +4096\* +1000 +4,097,000 +4,096,000$/m);
  assert.match(text, /^conv3( +11,075,584){4}$/m);
  assert.match(text, /^fc8 +0 +1,048,576 +1,048,576 +0$/m);
  assert.match(text, /^0 +CPU:0 +32,531,112 +364,251,408 +30,015,488$/m);
  assert.match(text, /^1 +CPU:1 +28,434,112 /m);
  assert.match(text, /^both +60,965,224 +724,406,816 +60,030,976$/m);
  assert.match(text, /^\+-+ tower 0 -+\+ {3}\+-+ tower 1 -+\+$/m);
  assert.equal(lines.at(-1), `+${'-'.repeat(35)}+`);
});

test('summary --json prints the same as numbers', async () => {
  const { net, batchSize, devices, layers, totals } = await summaryOf();
  assert.deepEqual([net.table, batchSize, devices], ['original', 128, ['CPU:0', 'CPU:1']]);
  assert.deepEqual(totals.parameters, [32_531_112, 28_434_112]);
  assert.deepEqual(layers.find(({ layer }) => layer === 'conv3')!.exchange!.forward, [11_075_584, 11_075_584]);
});

test('summary shows a table at full size, or a preset with the changes of the flags', async () => {
  const lenet = await summaryOf('--net', 'lenet');
  assert.equal(lenet.totals.parameters[0] + lenet.totals.parameters[1], 61_706);
  const mini = await summaryOf('--preset', 'mini');
  assert.deepEqual([mini.net.width, mini.net.inputSize, mini.batchSize], [0.25, 67, 64]);
  const flags = ['--classes', '10', '--width', '0.5', '--input-size', '96', '--batch-size', '2'];
  const changed = await summaryOf('--net', 'paper', ...flags);
  assert.deepEqual([changed.net.table, changed.net.classes, changed.net.width], ['paper', 10, 0.5]);
  assert.deepEqual([changed.net.inputSize, changed.batchSize], [96, 2]);
});

test('summary shows one column, and no exchange, for the one-GPU net', async () => {
  const { exitCode, stdout } = await run(['summary', '--net', 'one-gpu']);
  assert.equal(exitCode, 0);
  assert.match(stdout.text, /^0 +CPU:0 +59,798,312 +391,514,384 +0$/m);
  assert.match(stdout.text, /^\+-+ tower 0 -+\+$/m);
  assert.doesNotMatch(stdout.text, /exchanged|^both|tower 1/m);
});

test('summary applies --no-norm and --no-overlap', async () => {
  const { layers } = await summaryOf('--no-norm', '--no-overlap');
  assert.deepEqual(
    layers.map(({ kind }) => kind).filter((kind) => /norm/i.test(kind)),
    [],
  );
  const { layers: whole } = await summaryOf();
  const outputs = (rows: Row[]) => rows.filter(({ kind }) => kind === 'pool').map(({ output }) => output);
  assert.deepEqual(outputs(layers), outputs(whole));
});

test('summary does not load TensorFlow, and accepts devices that this machine lacks', async () => {
  const listDevices = () => Promise.reject(new Error('summary is to load no library'));
  const { exitCode, stdout } = await run(['summary', '--devices', '/device:gpu:3,cpu:0'], { listDevices });
  assert.equal(exitCode, 0);
  assert.match(stdout.text, /^0 +GPU:3 /m);
});

test('train chooses the number of threads per op by the net, in both placements', async () => {
  const threadsOf = async (...argv: string[]) => {
    const asked: unknown[] = [];
    const listDevices: Services['listDevices'] = async (options) => {
      asked.push(options?.intraOpThreads);
      throw new SplitError('seen');
    };
    await run(argv, { listDevices });
    return asked;
  };
  const share = Math.max(1, Math.floor(availableParallelism() / 2));
  assert.deepEqual(await threadsOf('train'), [share]);
  assert.deepEqual(await threadsOf('train', '--placement', 'single'), [share]);
  assert.deepEqual(await threadsOf('train', '--preset', 'imagenet-one-gpu'), [0]);
});

test('summary refuses a geometry that does not fit', async () => {
  const { exitCode, stdout, stderr } = await run(['summary', '--input-size', '20']);
  assert.deepEqual([exitCode, stdout.text], [2, '']);
  assert.match(stderr.text, /^error: Cannot build the net "original" at 20×20 pixels: \w+ has a .* window on .*\n$/);
});
