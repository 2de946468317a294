/** `--checkpoint`: every command that reads a run takes the same weights by it, and says which. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import test, { after } from 'node:test';
import { openTensors } from '../../src/checkpoint/safetensors.js';
import { checkpointsFolder } from '../../src/checkpoint/store.js';
import { isWeightsName } from '../../src/checkpoint/weights-files.js';
import type { TrainModule } from '../../src/cli/services.js';
import { putCheckpoint } from '../checkpoint/put-checkpoint.js';
import { run, trainModule } from './stand-ins.js';
import { lenetRun } from './weights-runs.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-checkpoint-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));
const folder = await lenetRun(out, 'r');
const config = JSON.parse(fs.readFileSync(join(folder, 'config.json'), 'utf8'));
const towers = fs
  .readdirSync(folder)
  .filter(isWeightsName)
  .sort()
  .map((name) => join(folder, name));

/** As in the run's folder, but for the first kernel of tower 0, which is 0 throughout. */
const zeroed = zeroFirst(towers[0]!);
const best = { step: 4, top1: 0.9 };
putCheckpoint(folder, 4, { config, best }, [zeroed, towers[1]!]);
const newest = putCheckpoint(folder, 8, { config, best }, towers);

function zeroFirst(file: string): string {
  const copy = join(out, 'zeroed.safetensors');
  fs.copyFileSync(file, copy);
  const bytes = fs.readFileSync(copy);
  const start = 8 + Number(bytes.readBigUInt64LE());
  bytes.fill(0, start, start + 4 * 5 * 5 * 3);
  fs.writeFileSync(copy, bytes);
  return copy;
}

/** The energy of the first layer of tower 0, which tells which weights were used. */
async function energy(...flags: string[]): Promise<[number, unknown, string]> {
  const { exitCode, stdout, stderr } = await run(['kernels', '--run', folder, '--json', ...flags]);
  assert.deepEqual([exitCode, stderr.text], [0, '']);
  const { towers: found, step, checkpoint } = JSON.parse(stdout.text);
  return [found[0].grey, step, basename(checkpoint)];
}

test('kernels uses the best checkpoint, the last, a step or a folder, and writes the step to its JSON', async () => {
  const [last, step, name] = await energy();
  assert.ok(last > 0);
  assert.deepEqual([step, name], [8, '0000000008']);
  assert.deepEqual(await energy('--checkpoint', 'last'), [last, 8, '0000000008']);
  for (const which of ['best', '4', join(checkpointsFolder(folder), '0000000004')]) {
    assert.deepEqual(await energy('--checkpoint', which), [0, 4, '0000000004'], which);
  }
  const { stdout } = await run(['kernels', '--run', folder, '--checkpoint', 'best']);
  assert.match(stdout.text, /^conv1 as a picture, tower 0 above tower 1, weights of step 4: /m);
});

test('export uses the best checkpoint, and says so', async () => {
  const values = async (file: string, ...flags: string[]) => {
    const { exitCode, stdout } = await run(['export', '--run', folder, '--out', join(out, file), ...flags]);
    assert.equal(exitCode, 0);
    const opened = openTensors(join(out, file));
    const kernel = opened.read('conv1.weight', [6, 1, 5, 5]);
    opened.close();
    return [kernel[0], stdout.text] as const;
  };
  const [last] = await values('last.safetensors');
  assert.notEqual(last, 0);
  const [first, said] = await values('best.safetensors', '--checkpoint', 'best');
  assert.deepEqual(
    [first, said],
    [0, `${join(out, 'best.safetensors')}: 10 tensors, 61,706 values, weights of step 4\n`],
  );
  const [, json] = await values('json.safetensors', '--checkpoint', '8', '--json');
  assert.deepEqual([JSON.parse(json).step, JSON.parse(json).checkpoint], [8, newest]);
});

test('eval and predict pass --checkpoint on, and print its step', async () => {
  const asked: (string | undefined)[] = [];
  const used = { step: 4, checkpoint: join(folder, 'checkpoints', '0000000004') };
  const evaluateRun: TrainModule['evaluateRun'] = async (_config, _folder, options) => {
    asked.push(options?.checkpoint);
    return { images: 1000, loss: 0.5, top1: 0.8, top5: 0.99, ...used };
  };
  const predictFiles: TrainModule['predictFiles'] = async (_config, _folder, files, _top, _tenView, options) => {
    asked.push(options?.checkpoint);
    return files.map((file) => ({ file, classes: [{ name: 'bag', label: 8, probability: 1 }], ...used }));
  };
  const services = { loadTrain: trainModule({ evaluateRun, predictFiles }) };
  const best = ['--run', folder, '--checkpoint', 'best'];
  assert.match((await run(['eval', ...best], services)).stdout.text, / \(1,000 test images, weights of step 4\)\n$/);
  assert.deepEqual(JSON.parse((await run(['eval', ...best, '--json'], services)).stdout.text).step, 4);
  const { stdout, stderr } = await run(['predict', 'a.png', ...best], services);
  assert.deepEqual([stdout.text, stderr.text], ['a.png: bag 1.0000\n', 'weights of step 4\n']);
  const json = await run(['predict', 'a.png', ...best, '--json'], services);
  assert.deepEqual([JSON.parse(json.stdout.text)[0].step, json.stderr.text], [4, '']);
  assert.deepEqual(asked, ['best', 'best', 'best', 'best']);
});

test('every command refuses a missing checkpoint in one sentence', async () => {
  const nothing = join(out, 'nothing');
  for (const [command, ...flags] of [['kernels'], ['export', '--out', nothing], ['eval'], ['predict', 'a.png']]) {
    const { exitCode, stdout, stderr } = await run([command!, ...flags, '--run', folder, '--checkpoint', '5'], {
      loadTrain: () => import('../../src/train/index.js'),
    });
    assert.deepEqual([exitCode, stdout.text, stderr.lines.length], [2, '', 1], stderr.text);
    assert.match(
      stderr.text,
      /^error: Cannot use the checkpoint of step 5 of .*: .*; there are checkpoints of steps 4, 8;/,
    );
  }
});

test('a checkpoint of another run is used if its images were prepared in the same way, otherwise refused', async () => {
  const other = await lenetRun(out, 'other');
  const theirs = { ...config, data: { ...config.data, scale: 2 * config.data.scale } };
  const alike = putCheckpoint(other, 3, { config }, towers);
  const unlike = putCheckpoint(other, 5, { config: theirs }, towers);
  assert.deepEqual((await energy('--checkpoint', alike))[1], 3);
  const { exitCode, stderr } = await run(['kernels', '--run', folder, '--checkpoint', unlike]);
  assert.equal(exitCode, 1);
  assert.match(
    stderr.text,
    /its data\.scale is \S+, but \S+ in the run; name the run that it belongs to with --run\n$/,
  );
});
