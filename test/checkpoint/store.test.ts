/** Checkpoints are complete or not used, whatever happened to their files. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import test, { after } from 'node:test';
import type { RunState } from '../../src/checkpoint/contents.js';
import { openTensors, valuesBytes } from '../../src/checkpoint/safetensors.js';
import {
  checkpointFolder,
  checkpointsFolder,
  type Draft,
  newestCheckpoint,
  readCheckpoint,
  stepsIn,
  writeCheckpoint,
} from '../../src/checkpoint/store.js';
import { CheckpointError } from '../../src/errors.js';
import { runState } from './put-checkpoint.js';

const base = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-store-'));
after(() => fs.rmSync(base, { recursive: true, force: true }));

function newFolder(): string {
  const folder = checkpointsFolder(fs.mkdtempSync(join(base, 'run-')));
  fs.mkdirSync(folder);
  return folder;
}

function stateOf(step: number): RunState {
  const config = { net: { width: 0.25 } };
  return runState(step, { trainMs: 12.5, config, classes: ['a', 'b\u009b31m\u200f'], versions: { node: '20.0.0' } });
}

function draftOf(step: number): Draft {
  const towers = [0, 1].map((tower) => {
    const entries = [
      { name: `tower${tower}/fc/kernel`, shape: [2, 3] },
      { name: `velocity/tower${tower}/fc/kernel`, shape: [2, 3] },
    ];
    const values = new Uint8Array(valuesBytes(entries)).map((_, i) => (i * 7 + step + tower) % 50);
    return { entries, metadata: { part: String(tower) }, values };
  });
  return { state: stateOf(step), towers };
}

function write(checkpoints: string, step: number, keep = 10, best?: number) {
  return writeCheckpoint(checkpoints, draftOf(step), { keep, best });
}

test('readCheckpoint() reads what writeCheckpoint() wrote', () => {
  const checkpoints = newFolder();
  const { folder, bytes } = write(checkpoints, 1000);
  assert.equal(basename(folder), '0000001000');
  const names = ['manifest.json', 'state.json', 'tower-0-of-2.safetensors', 'tower-1-of-2.safetensors'];
  assert.deepEqual(fs.readdirSync(folder).sort(), names);
  const checkpoint = readCheckpoint(folder);
  assert.deepEqual(checkpoint.state, stateOf(1000));
  assert.doesNotMatch(fs.readFileSync(join(folder, 'state.json'), 'utf8'), /[\u009b\u200f]/); // a terminal would obey them
  assert.deepEqual([checkpoint.files, checkpoint.bytes], [names.slice(2).map((name) => join(folder, name)), bytes]);
  const file = openTensors(checkpoint.files[1]!);
  const { values } = draftOf(1000).towers[1]!;
  const read = file.read('velocity/tower1/fc/kernel', [2, 3]);
  file.close();
  assert.deepEqual(new Uint8Array(read.buffer), values.slice(24));
  assert.deepEqual(fs.readdirSync(checkpoints), ['0000001000']);
});

test('writeCheckpoint() keeps the newest and the best, and removes what a killed process left', () => {
  const checkpoints = newFolder();
  fs.mkdirSync(join(checkpoints, '0000000001.partial'));
  fs.mkdirSync(join(checkpoints, '0000000001.removing'));
  fs.mkdirSync(join(checkpoints, 'mine'));
  for (const step of [1, 2, 3, 4]) write(checkpoints, step, 2, 2);
  const { removed } = write(checkpoints, 5, 2, 2);
  assert.deepEqual(removed, [checkpointFolder(checkpoints, 3)]);
  assert.deepEqual(fs.readdirSync(checkpoints).sort(), ['0000000002', '0000000004', '0000000005', 'mine']);
});

test('writeCheckpoint() keeps the checkpoint that it wrote, even if there are later ones', () => {
  const checkpoints = newFolder();
  for (const step of [8, 9, 5]) write(checkpoints, step, 1);
  assert.deepEqual(stepsIn(checkpoints), [5, 9]);
});

test('writeCheckpoint() replaces a damaged checkpoint of the same step', () => {
  const checkpoints = newFolder();
  const { folder } = write(checkpoints, 3);
  fs.writeFileSync(join(folder, 'state.json'), '{');
  assert.throws(() => readCheckpoint(folder), CheckpointError);
  write(checkpoints, 3);
  assert.equal(readCheckpoint(folder).state.step, 3);
  assert.deepEqual(fs.readdirSync(checkpoints), ['0000000003']);
});

test('writeCheckpoint() says in one sentence that the folder is missing', () => {
  const checkpoints = newFolder();
  assert.throws(() => write(join(checkpoints, 'gone'), 1), {
    name: 'CheckpointError',
    message: /^Cannot write the checkpoint .*0000000001: ENOENT.*; free some space, or .*--resume continues from it$/,
  });
});

/** A run with a good checkpoint of step 1 and one of step 2 for the test to damage. */
function damaged(damage: (folder: string, checkpoints: string) => void) {
  const checkpoints = newFolder();
  write(checkpoints, 1);
  const { folder } = write(checkpoints, 2);
  damage(folder, checkpoints);
  return { folder, ...newestCheckpoint(checkpoints) };
}

function assertSkipped({ folder, found, skipped }: ReturnType<typeof damaged>, why: RegExp): void {
  assert.equal(found?.state.step, 1);
  assert.deepEqual(
    skipped.map((each) => each.folder),
    [folder],
  );
  assert.match(skipped[0]!.why, why);
  assert.throws(() => readCheckpoint(folder), {
    name: 'CheckpointError',
    message: /^Cannot use the checkpoint .*; choose another one with --resume$/,
  });
}

test('newestCheckpoint() skips a checkpoint with any byte changed, and finds the one before', () => {
  const checkpoints = newFolder();
  write(checkpoints, 1);
  const { folder } = write(checkpoints, 2);
  let flipped = 0;
  for (const name of fs.readdirSync(folder)) {
    const file = join(folder, name);
    const bytes = fs.readFileSync(file);
    for (let i = 0; i < bytes.length; i++) {
      const changed = Buffer.from(bytes);
      changed[i]! ^= 1 << (i % 8);
      fs.writeFileSync(file, changed);
      const { found, skipped } = newestCheckpoint(checkpoints);
      assert.deepEqual([found?.state.step, skipped.length], [1, 1], `byte ${i} of ${name}`);
      flipped++;
    }
    fs.writeFileSync(file, bytes);
  }
  assert.equal(newestCheckpoint(checkpoints).found?.state.step, 2);
  assert.ok(flipped > 1400, `${flipped}`);
});

test('newestCheckpoint() skips a checkpoint with a file truncated, emptied or longer', () => {
  for (const name of fs.readdirSync(damaged(() => {}).folder)) {
    const size = (change: (bytes: Buffer) => Buffer) =>
      damaged((folder) => fs.writeFileSync(join(folder, name), change(fs.readFileSync(join(folder, name)))));
    const why =
      name === 'manifest.json'
        ? /^manifest.json: it (is not JSON|was changed)$/
        : /has \d+ bytes, and its manifest says \d+$/;
    assertSkipped(
      size((bytes) => bytes.subarray(0, bytes.length - 1)),
      why,
    );
    assertSkipped(
      size(() => Buffer.alloc(0)),
      why,
    );
    assertSkipped(
      size((bytes) => Buffer.concat([bytes, Buffer.from(' ')])),
      why,
    );
  }
});

test('newestCheckpoint() skips a checkpoint with a file removed, or replaced by a folder or a link', () => {
  for (const name of fs.readdirSync(damaged(() => {}).folder)) {
    const file = (folder: string) => join(folder, name);
    const replaced = (make: (path: string) => void) =>
      damaged((folder) => {
        fs.renameSync(file(folder), `${file(folder)}.away`);
        make(file(folder));
      });
    assertSkipped(
      replaced(() => {}),
      new RegExp(`^${name} is not there$`),
    );
    assertSkipped(
      replaced((path) => fs.mkdirSync(path)),
      new RegExp(`^${name} is not a file$`),
    );
    assertSkipped(
      replaced((path) => fs.symlinkSync(`${path}.away`, path)),
      new RegExp(`^${name} is a link$`),
    );
  }
});

test('newestCheckpoint() skips a checkpoint whose files were swapped between towers, or with another checkpoint', () => {
  const [zero, one] = [0, 1].map((tower) => `tower-${tower}-of-2.safetensors`) as [string, string];
  const between = damaged((folder) => {
    fs.renameSync(join(folder, zero), join(folder, 'x'));
    fs.renameSync(join(folder, one), join(folder, zero));
    fs.renameSync(join(folder, 'x'), join(folder, one));
  });
  assertSkipped(between, /^tower-0-of-2.safetensors was changed \(SHA-256\)$/);
  for (const name of [zero, 'state.json']) {
    const other = damaged((folder, checkpoints) =>
      fs.copyFileSync(join(checkpointFolder(checkpoints, 1), name), join(folder, name)),
    );
    assertSkipped(other, new RegExp(`^${name} (was changed|has \\d+ bytes)`));
  }
  const whole = damaged((folder, checkpoints) =>
    fs.cpSync(checkpointFolder(checkpoints, 1), folder, { recursive: true }),
  );
  assertSkipped(whole, /^it is of step 1, not of the step in its name$/);
});

test('newestCheckpoint() follows no name out of the folder, and reads no file that is too large', () => {
  const rewrite = (change: (text: string) => string) =>
    damaged((folder) => {
      const manifest = join(folder, 'manifest.json');
      fs.writeFileSync(manifest, change(fs.readFileSync(manifest, 'utf8')));
    });
  assertSkipped(
    rewrite((text) => text.replace('state.json', '../state.json')),
    /it lists "\.\.\/state\.json,/,
  );
  assertSkipped(
    rewrite((text) => text.replace('"state.json"', '"/etc/passwd"')),
    /it lists/,
  );
  assertSkipped(
    rewrite((text) => text.replace(/"bytes": \d+/, '"bytes": 1e15')),
    /was changed|bytes is wrong|manifest says/,
  );
  assertSkipped(
    rewrite((text) => text + ' '.repeat(20_000)),
    /has \d+ bytes, expected at most 16384/,
  );
});

test('newestCheckpoint() finds nothing if there are no checkpoints', () => {
  assert.deepEqual(newestCheckpoint(join(base, 'nowhere')), { skipped: [] });
  assert.deepEqual(newestCheckpoint(newFolder()), { skipped: [] });
});

test('writeCheckpoint() refuses a state that could not be read again, and says that it is a bug', () => {
  const checkpoints = newFolder();
  for (const change of [{ errors: [Number.NaN] }, { top1: Number.NaN }, { learningRate: Number.POSITIVE_INFINITY }]) {
    const draft = { ...draftOf(3), state: { ...stateOf(3), ...change } };
    assert.throws(
      () => writeCheckpoint(checkpoints, draft, { keep: 1 }),
      (error: Error) =>
        error instanceof CheckpointError &&
        /its state (errors\.0|top1|learningRate) is wrong \(.*report it;/.test(error.message),
    );
  }
  assert.deepEqual(fs.readdirSync(checkpoints), []);
});
