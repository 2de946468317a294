/** Which weights of a run are used, and what is said where it is not clear. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { chooseWeights } from '../../src/checkpoint/choose.js';
import { weightsName, writeTensors } from '../../src/checkpoint/format.js';
import { checkpointFolder, checkpointsFolder } from '../../src/checkpoint/store.js';
import { putCheckpoint } from './put-checkpoint.js';

const base = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-choose-'));
after(() => fs.rmSync(base, { recursive: true, force: true }));

/** A run's folder with checkpoints of those steps. */
function runWith(steps: readonly number[], best?: { step: number; top1: number }): string {
  const folder = fs.mkdtempSync(join(base, 'run-'));
  for (const step of steps) putCheckpoint(folder, step, { ...(best && best.step <= step && { best }) });
  return folder;
}

/** A weights file that says of which step it is, or nothing of it. */
function save(folder: string, tower: number, towers: number, step?: number): void {
  const entries = [{ name: `tower${tower}/fc/kernel`, shape: [1] }];
  const metadata = step === undefined ? {} : { step: String(step) };
  writeTensors(join(folder, weightsName(tower, towers)), entries, metadata, () => {});
}

test('chooseWeights() takes the newest, the best, a step or a folder', () => {
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
  assert.equal(chooseWeights(path).step, 7, 'a checkpoint in the place of a run');
});

test('chooseWeights() says which checkpoints there are, where the one that was asked for is not', () => {
  const gone = runWith([10, 30], { step: 20, top1: 0.8 });
  const none = runWith([10]);
  const empty = runWith([]);
  save(empty, 0, 1, 5);
  const cases: [folder: string, which: string, message: RegExp][] = [
    [
      gone,
      'best',
      /best checkpoint of \S+: the checkpoint of its best evaluation, step 20 with top-1 0\.8000, is not kept; there are those of the steps 10, 30; choose one with --checkpoint, or last$/,
    ],
    [none, 'best', /: it had no evaluation up to step 10; there are those of the steps 10;/],
    [
      empty,
      'best',
      /: it has no whole checkpoint, .*; there are no checkpoints, and the weights in its folder, which are last; leave --checkpoint out$/,
    ],
    [gone, '15', /the checkpoint of step 15 of \S+: it is not there; there are those of the steps 10, 30;/],
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

test('chooseWeights() takes the later of two placements, and says which it leaves', () => {
  for (const [single, split, files] of [
    [24, 30, [weightsName(0, 2), weightsName(1, 2)]],
    [30, 24, [weightsName(0, 1)]],
  ] as const) {
    const folder = runWith([]);
    save(folder, 0, 1, single);
    for (const tower of [0, 1]) save(folder, tower, 2, split);
    const told: string[] = [];
    const chosen = chooseWeights(folder, 'last', (text) => told.push(text));
    assert.deepEqual([chosen.files, chosen.step], [files.map((name) => join(folder, name)), 30]);
    assert.match(told.join(), /^left tower-0-of-\S.* aside, of step 24: tower-0-of-\S.* are of step 30$/);
  }
});

test('chooseWeights() takes those of the placement in config.json, where files do not say of which step they are', () => {
  for (const [placement, files, left] of [
    [
      'single',
      [weightsName(0, 1)],
      /^left tower-0-of-2\S+ and tower-1-of-2\S+ aside, .* was last single, and tower-0-of-1/,
    ],
    [
      'split',
      [weightsName(0, 2), weightsName(1, 2)],
      /^left tower-0-of-1\S+ aside, .* was last split, and tower-0-of-2/,
    ],
  ] as const) {
    const folder = runWith([]);
    save(folder, 0, 1);
    for (const tower of [0, 1]) save(folder, tower, 2);
    fs.writeFileSync(join(folder, 'config.json'), JSON.stringify({ placement }));
    const told: string[] = [];
    const chosen = chooseWeights(folder, 'last', (text) => told.push(text));
    assert.deepEqual([chosen.files, chosen.step], [files.map((name) => join(folder, name)), undefined]);
    assert.match(told.join(), left);
  }
  const damaged = runWith([]);
  save(damaged, 0, 1);
  for (const tower of [0, 1]) save(damaged, tower, 2, 30);
  for (const text of ['{', 'null', '{"placement":"toString"}', '[]']) {
    fs.writeFileSync(join(damaged, 'config.json'), text);
    assert.throws(() => chooseWeights(damaged), /its config\.json does not say which placement was the last/);
  }
});

test('chooseWeights() refuses weights of which nobody knows what they are', () => {
  const unsaid = runWith([]);
  save(unsaid, 0, 1);
  assert.deepEqual(
    [chooseWeights(unsaid).step, chooseWeights(unsaid).files.length],
    [undefined, 1],
    'alone they are clear',
  );
  for (const tower of [0, 1]) save(unsaid, tower, 2, 30);
  assert.throws(() => chooseWeights(unsaid), {
    message:
      /it has tower-0-of-1\.safetensors, and tower-0-of-2\S+ and tower-1-of-2\S+, not all say of which step they are, and its config.json does not say which placement was the last; take those of the earlier training away$/,
  });
  const mixed = runWith([]);
  save(mixed, 0, 2, 30);
  save(mixed, 1, 2, 24);
  assert.throws(() => chooseWeights(mixed), {
    message: /tower-0-of-2\S+ and tower-1-of-2\S+ are of the steps 30 and 24, expected one;/,
  });
  const half = runWith([]);
  save(half, 0, 2, 30);
  save(half, 0, 1, 24);
  assert.deepEqual(chooseWeights(half).files, [join(half, weightsName(0, 1))], 'half a pair is none');
});
