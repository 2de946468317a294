import assert from 'node:assert/strict';
import test from 'node:test';
import type { TrainModule } from '../../src/cli/services.js';
import type { Config } from '../../src/config/config.js';
import type { GoldenResult, VerifyResult } from '../../src/train/index.js';
import { TOLERANCES } from '../../src/train/verify.js';
import { run, trainModule } from './stand-ins.js';

const AGREE: VerifyResult = {
  passed: true,
  tolerances: TOLERANCES,
  losses: [
    { step: 1, split: 2.402585, reference: 2.402586, relative: 4.3e-7 },
    { step: 2, split: 2.25, reference: 2.25, relative: 0 },
  ],
  rows: [
    { name: 'tower0/conv3/input', layer: 'conv3', kind: 'activation', absolute: 1.5e-7, relative: 2.5e-7 },
    { name: 'tower1/fc6/kernel', layer: 'fc6', kind: 'gradient', absolute: Number.NaN, relative: Infinity },
  ],
};

function verifying(result: VerifyResult, calls: [Config, { steps: number }][] = []) {
  const verify: TrainModule['verify'] = async (config, options, { print }) => {
    calls.push([config, options]);
    print('step 1 is done');
    return result;
  };
  return { loadTrain: trainModule({ verify }) };
}

test('verify prints losses and tensors with their differences, and exits with 0', async () => {
  const { exitCode, stdout, stderr } = await run(['verify', '--preset', 'mini'], verifying(AGREE));
  assert.deepEqual([exitCode, stderr.text], [0, '']);
  assert.deepEqual(stdout.lines, [
    'preset mini',
    'step 1 is done',
    'step  loss, split  loss, reference  relative',
    '   1  2.402585     2.402586         4.3e-7',
    '   2  2.250000     2.250000         0',
    '',
    'kind        tensors  worst absolute  worst relative  in',
    'activation        1  1.5e-7          2.5e-7          tower0/conv3/input',
    'gradient          1  NaN             Infinity        tower1/fc6/kernel',
    '2 tensors compared; --all prints each',
    '',
    'out of tolerance: 1 tensor',
    'layer  kind      tensor             absolute  relative',
    'fc6    gradient  tower1/fc6/kernel  NaN       Infinity',
    '',
    "allowed, relative: losses 1.0e-4, activations 1.0e-3, parameters 1.0e-3, gradients 2.0e-2 of a tensor's largest value",
    stdout.lines.at(-2), // why
    'passed: split and reference agree',
  ]);
  assert.match(stdout.lines.at(-2)!, /^why: .*docs\/numerics\.md/);
  const whole = await run(['verify', '--preset', 'mini', '--all'], verifying(AGREE));
  assert.deepEqual(whole.stdout.lines.slice(6, 10), [
    'layer  kind        tensor              absolute  relative',
    'conv3  activation  tower0/conv3/input  1.5e-7    2.5e-7',
    'fc6    gradient    tower1/fc6/kernel   NaN       Infinity',
    '',
  ]);
});

test('verify prints the worst tensor of each kind, and at most twenty out of tolerance', async () => {
  const row = (i: number) => ({ ...AGREE.rows[0]!, name: `tower0/conv3/${i}`, relative: i === 7 ? 0.9 : 0.5 });
  const rows = Array.from({ length: 25 }, (_, i) => row(i));
  const { stdout } = await run(['verify'], verifying({ ...AGREE, rows, passed: false }));
  assert.match(stdout.text, /^activation +25 +\S+ +0?\.?9\S* +tower0\/conv3\/7$/m);
  assert.match(stdout.text, /^25 tensors compared; --all prints each$/m);
  assert.match(stdout.text, /^out of tolerance: 25 tensors, of which these are the first 20$/m);
  assert.equal(stdout.lines.filter((line) => line.startsWith('conv3 ')).length, 20);
});

test('verify names the first tensor that differs, and exits with 1', async () => {
  const differ = { ...AGREE, passed: false };
  const named = await run(['verify'], verifying({ ...differ, firstDivergent: 'tower0/conv3/input' }));
  assert.deepEqual(
    [named.exitCode, named.stdout.lines.at(-1)],
    [1, 'FAILED: the first difference out of tolerance is in tower0/conv3/input'],
  );
  const loss = await run(['verify'], verifying(differ));
  assert.deepEqual(
    [loss.exitCode, loss.stdout.lines.at(-1)],
    [1, 'FAILED: the first difference out of tolerance is in the loss'],
  );
});

test('verify compares ten steps of the split, or those asked for', async () => {
  const calls: [Config, { steps: number }][] = [];
  await run(['verify'], verifying(AGREE, calls));
  await run(['verify', '--steps', '3', '--batch-size', '6'], verifying(AGREE, calls));
  assert.deepEqual(
    calls.map(([{ placement }, { steps }]) => [placement, steps]),
    [
      ['split', 10],
      ['split', 3],
    ],
  );
  assert.equal(calls[1]![0].batchSize, 6);
});

test('verify refuses an invalid number of steps', async () => {
  for (const steps of ['0', '-1', '1.5', 'x', '10001']) {
    const { exitCode, stderr } = await run(['verify', '--steps', steps], { loadTrain: trainModule({}) });
    assert.equal(exitCode, 2);
    assert.match(stderr.text, /^error: --steps is .*, expected a whole number from 1 to 10000\n$/);
  }
});

test('verify --json prints the result with NaN as a string, and the rest on stderr', async () => {
  const { stdout, stderr } = await run(['verify', '--json'], verifying(AGREE));
  assert.equal(stdout.lines.length, 1);
  const { rows, passed } = JSON.parse(stdout.text) as {
    rows: { absolute: unknown; relative: unknown }[];
    passed: boolean;
  };
  assert.deepEqual([passed, rows[1]!.absolute, rows[1]!.relative], [true, 'NaN', 'Infinity']);
  assert.match(stderr.text, /step 1 is done\n$/);
});

const GOLDEN: GoldenResult = {
  passed: true,
  rows: [
    { side: 'towers', kind: 'loss', worst: 3e-8, name: 'step 2', tolerance: 1e-5 },
    { side: 'reference', kind: 'gradient norm', worst: 2e-6, name: 'conv1/kernel', tolerance: 1e-4 },
  ],
};

test('verify --golden prints the worst difference of each side and kind, and exits with 0 or 1', async () => {
  const files: string[] = [];
  const golden = (result: GoldenResult) => {
    const verifyGolden: TrainModule['verifyGolden'] = async (file) => {
      files.push(file);
      return result;
    };
    return { loadTrain: trainModule({ verifyGolden }) };
  };
  const passed = await run(['verify', '--golden', 'paper.json'], golden(GOLDEN));
  assert.equal(passed.exitCode, 0);
  assert.deepEqual(passed.stdout.lines, [
    'side       what           worst   allowed  where',
    'towers     loss           3.0e-8  1.0e-5   step 2',
    'reference  gradient norm  2.0e-6  1.0e-4   conv1/kernel',
    'passed: towers and reference agree with the file',
  ]);
  const failed = await run(['verify', '--golden', 'paper.json'], golden({ ...GOLDEN, passed: false }));
  assert.deepEqual([failed.exitCode, failed.stdout.lines.at(-1)], [1, 'FAILED: out of tolerance']);
  const json = await run(['verify', '--golden', 'paper.json', '--json'], golden(GOLDEN));
  assert.deepEqual(JSON.parse(json.stdout.text), GOLDEN);
  assert.deepEqual(files, ['paper.json', 'paper.json', 'paper.json']);
});
