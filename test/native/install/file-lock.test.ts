import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { tryLock } from '../../../src/native/install/file-lock.js';

test('tryLock() locks until the file is closed, and says why it cannot', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'alexnet-split-file-lock-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const open = () => openSync(join(folder, 'f'), 'a+');
  const [first, second] = [open(), open()];
  assert.equal(tryLock(first), true);
  assert.equal(tryLock(second), false);
  assert.equal(tryLock(first), true, 'of what is locked by itself');
  closeSync(first);
  assert.equal(tryLock(second), true);
  closeSync(second);
  assert.throws(() => tryLock(second), /^Error: the file system does not lock files \(EBADF\)$/);
});
