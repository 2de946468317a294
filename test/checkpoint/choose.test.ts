/** Which weights of a run are used, and the errors and warnings if that is not clear. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { chooseWeights } from '../../src/checkpoint/choose.js';
import { writeTensors } from '../../src/checkpoint/safetensors.js';
import { checkpointFolder, checkpointsFolder } from '../../src/checkpoint/store.js';
import { weightsName } from '../../src/checkpoint/weights-files.js';
import { putCheckpoint } from './put-checkpoint.js';

const base = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-choose-'));
after(() => fs.rmSync(base, { recursive: true, force: true }));

/** A run's folder with checkpoints of those steps. */
function runWith(steps: readonly number[], best?: { step: number; top1: number }): string {
  const folder = fs.mkdtempSync(join(base, 'run-'));
  for (const step of steps) putCheckpoint(folder, step, { ...(best && best.step <= step && { best }) });
  return folder;
}

/** A weights file with a step in its metadata, or without. */
function save(folder: string, tower: number, towers: number, step?: number): void {
  const entries = [{ name: `tower${tower}/fc/kernel`, shape: [1] }];
  const metadata = step === undefined ? {} : { step: String(step) };
  writeTensors(join(folder, weightsName(tower, towers)), entries, metadata, () => {});
}

test('chooseWeights() finds the newest, the best, a step or a folder', () => {
  const folder = runWith([10, 20, 30], { step: 20, top1: 0.8 });
  const at = (step: number) => checkpointFolder(checkpointsFolder(folder), step);
  const found = (which?: string) => {
    const { step, checkpoint, files } = chooseWeights(folder, which);
    assert.deepEqual(
      files,
      [0, 1].map((tower) => join(checkpoint!, weightsName(tower, 2))),
    );
    return [step, checkpoint];
  };
  assert.deepEqual(found(), [30, at(30)]);
  assert.deepEqual(found('last'), [30, at(30)]);
  assert.deepEqual(found('best'), [20, at(20)]);
  assert.deepEqual(found('10'), [10, at(10)]);
  assert.deepEqual(found('0000000010'), [10, at(10)]);
  const other = runWith([7]);
  const path = checkpointFolder(checkpointsFolder(other), 7);
  assert.deepEqual(found(path), [7, path]);
  assert.equal(chooseWeights(path).step, 7, 'a checkpoint instead of a run');
});

test('chooseWeights() lists the checkpoints if the one that was requested does not exist', () => {
  const gone = runWith([10, 30], { step: 20, top1: 0.8 });
  const none = runWith([10]);
  const empty = runWith([]);
  save(empty, 0, 1, 5);
  const cases: [folder: string, which: string, message: RegExp][] = [
    [
      gone,
      'best',
      /best checkpoint of \S+: the checkpoint of its best evaluation, step 20 with top-1 0\.8000, is not kept; there are checkpoints of steps 10, 30; choose one with --checkpoint, or last$/,
    ],
    [none, 'best', /: it had no evaluation up to step 10; there are checkpoints of steps 10;/],
    [
      empty,
      'best',
      /: it has no complete checkpoint, .*; there are no checkpoints, and only the weights in its folder, which are last; leave --checkpoint out$/,
    ],
    [gone, '15', /the checkpoint of step 15 of \S+: it is not there; there are checkpoints of steps 10, 30;/],
    [gone, 'bset', /--checkpoint is "bset", expected best, last, a step, or the folder of a checkpoint$/],
  ];
  for (const [folder, which, message] of cases) {
    assert.throws(() => chooseWeights(folder, which), { name: 'ConfigError', exitCode: 2, message });
  }
  assert.throws(() => chooseWeights(gone, './none'), {
    message: /\.\/none: manifest\.json is not there; .* --checkpoint$/,
  });
  fs.truncateSync(join(checkpointFolder(checkpointsFolder(gone), 10), weightsName(0, 2)), 5);
  assert.throws(() => chooseWeights(gone, '10'), {
    name: 'CheckpointError',
    message: /0000000010: tower-0-of-2.* has 5 bytes/,
  });
});

test('chooseWeights() takes the later of two placements, and says which one it ignores', () => {
  for (const [single, split, files] of [
    [24, 30, [weightsName(0, 2), weightsName(1, 2)]],
    [30, 24, [weightsName(0, 1)]],
  ] as const) {
    const folder = runWith([]);
    save(folder, 0, 1, single);
    for (const tower of [0, 1]) save(folder, tower, 2, split);
    const warnings: string[] = [];
    const chosen = chooseWeights(folder, 'last', (text) => warnings.push(text));
    assert.deepEqual([chosen.files, chosen.step], [files.map((name) => join(folder, name)), 30]);
    assert.match(warnings.join(), /^ignored tower-0-of-\S.* of step 24: tower-0-of-\S.* are of step 30$/);
  }
});

test('chooseWeights() takes the placement of config.json if files do not say their step', () => {
  for (const [placement, files, left] of [
    [
      'single',
      [weightsName(0, 1)],
      /^ignored tower-0-of-2\S+ and tower-1-of-2\S+: the last placement in config.json is single, and tower-0-of-1/,
    ],
    [
      'split',
      [weightsName(0, 2), weightsName(1, 2)],
      /^ignored tower-0-of-1\S+: the last placement in config.json is split, and tower-0-of-2/,
    ],
  ] as const) {
    const folder = runWith([]);
    save(folder, 0, 1);
    for (const tower of [0, 1]) save(folder, tower, 2);
    fs.writeFileSync(join(folder, 'config.json'), JSON.stringify({ placement }));
    const warnings: string[] = [];
    const chosen = chooseWeights(folder, 'last', (text) => warnings.push(text));
    assert.deepEqual([chosen.files, chosen.step], [files.map((name) => join(folder, name)), undefined]);
    assert.match(warnings.join(), left);
  }
  const damaged = runWith([]);
  save(damaged, 0, 1);
  for (const tower of [0, 1]) save(damaged, tower, 2, 30);
  for (const text of ['{', 'null', '{"placement":"toString"}', '[]']) {
    fs.writeFileSync(join(damaged, 'config.json'), text);
    assert.throws(() => chooseWeights(damaged), /its config\.json does not say the last placement/);
  }
});

test('chooseWeights() refuses weights if it cannot tell which are the last', () => {
  const unsaid = runWith([]);
  save(unsaid, 0, 1);
  assert.deepEqual(
    [chooseWeights(unsaid).step, chooseWeights(unsaid).files.length],
    [undefined, 1],
    'one file alone is clear',
  );
  for (const tower of [0, 1]) save(unsaid, tower, 2, 30);
  assert.throws(() => chooseWeights(unsaid), {
    message:
      /it has tower-0-of-1\.safetensors, and tower-0-of-2\S+ and tower-1-of-2\S+, some do not say their step, and its config.json does not say the last placement; remove the files of the earlier training$/,
  });
  const mixed = runWith([]);
  save(mixed, 0, 2, 30);
  save(mixed, 1, 2, 24);
  assert.throws(() => chooseWeights(mixed), {
    message: /tower-0-of-2\S+ and tower-1-of-2\S+ are of the steps 30 and 24, expected one step;/,
  });
  const half = runWith([]);
  save(half, 0, 2, 30);
  save(half, 0, 1, 24);
  assert.deepEqual(chooseWeights(half).files, [join(half, weightsName(0, 1))], 'one of two files does not count');
});
