/** The thread that writes checkpoints. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { checkpointFolder, readCheckpoint } from '../../src/checkpoint/store.js';
import { openWriter, type WriteTask } from '../../src/checkpoint/writer.js';
import { CheckpointError } from '../../src/errors.js';
import { runState } from './put-checkpoint.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-writer-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

function taskOf(step: number, checkpoints = folder): WriteTask {
  const entries = [{ name: 'fc/kernel', shape: [2] }];
  const values = new Uint8Array(new SharedArrayBuffer(8)).fill(step);
  const draft = { state: runState(step, { placement: 'single' }), towers: [{ entries, metadata: {}, values }] };
  return { checkpoints, draft, keep: 9, best: undefined };
}

test('openWriter() writes checkpoints, and throws a CheckpointError for one that it cannot write', async () => {
  const writer = openWriter();
  const { folder: written, writeMs, removed } = await writer.write(taskOf(1));
  assert.deepEqual([written, removed], [checkpointFolder(folder, 1), []]);
  assert.ok(writeMs > 0);
  assert.equal(readCheckpoint(written).state.step, 1);
  const missing = join(folder, 'missing');
  await assert.rejects(
    writer.write(taskOf(2, missing)),
    (error) =>
      error instanceof CheckpointError &&
      error.path === checkpointFolder(missing, 2) &&
      /^Cannot write the checkpoint .*: ENOENT/.test(error.message),
  );
  assert.equal((await writer.write(taskOf(3))).folder, checkpointFolder(folder, 3));
  const lost = writer.write(taskOf(4)).catch((error: unknown) => error);
  await writer.close();
  assert.ok(!((await lost) instanceof Error) || (await lost) instanceof CheckpointError);
});

test('an idle writer does not keep the process alive', () => {
  const program = `
    import { openWriter } from ${JSON.stringify(new URL('../../src/checkpoint/writer.js', import.meta.url).href)};
    const task = ${JSON.stringify({ ...taskOf(5), draft: { ...taskOf(5).draft, towers: [] } })};
    await openWriter().write(task).catch(({ name }) => console.log(name));`;
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.deepEqual([status, stdout], [0, 'CheckpointError\n']); // a checkpoint without towers is refused
});
