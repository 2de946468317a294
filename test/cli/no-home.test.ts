/** A user without a home: containers are often run with a number that the list of users does not have. */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import os from 'node:os';
import test, { type TestContext } from 'node:test';
import { SERVICES } from '../../src/cli/services.js';
import '../../src/data/index.js';
import { imageFolderOf } from '../data/sets.js';
import { run } from './stand-ins.js';

/** A number that no list of users has. */
const NOBODY = 54_321;
const NAMES = ['HOME', 'XDG_CACHE_HOME', 'ALEXNET_SPLIT_CACHE', 'TENSORFLOW_DIR'];
const SENTENCE = `Cannot tell where the cache folder is: HOME is not set, and the system knows no home of user \\d+, expected a home folder; set ALEXNET_SPLIT_CACHE, XDG_CACHE_HOME or HOME to a folder that this user may write to`;

/** Without a home meanwhile: by being another user where that is allowed, else by a stand-in. */
async function withoutHome(t: TestContext, action: () => Promise<void>): Promise<void> {
  const before = { ...process.env };
  for (const name of NAMES) delete process.env[name];
  const isRoot = process.geteuid!() === 0;
  if (isRoot) process.seteuid!(NOBODY);
  for (const name of isRoot ? [] : (['homedir', 'userInfo'] as const)) {
    t.mock.method(os, name, () => {
      throw new Error('A system error occurred');
    });
  }
  try {
    await action();
  } finally {
    if (isRoot) process.seteuid!(0);
    Object.assign(process.env, before);
  }
}

test('doctor tells a user without a home what to set, and prints the rest', async (t) => {
  const { examineLibrary } = SERVICES;
  await examineLibrary().catch(() => {}); // loads what this user may read and the other one may not
  await withoutHome(t, async () => {
    const { exitCode, stdout, stderr } = await run(['doctor'], { examineLibrary });
    assert.deepEqual([exitCode, stderr.text], [1, '']);
    assert.match(stdout.text, new RegExp(`^problem: ${SENTENCE}$`, 'm'));
    assert.match(stdout.text, /^memory /m);
  });
});

test('only commands that use the cache need a home, and they say so before they begin', async (t) => {
  const part = (at: string) => ({ [`${at}/a/1.jpg`]: 'rgb.jpg', [`${at}/b/1.jpg`]: 'gray.jpg' });
  const folder = imageFolderOf(t, { ...part('train'), ...part('val') });
  chmodSync(folder, 0o755);
  await withoutHome(t, async () => {
    const { exitCode, stderr } = await run(['data', 'prepare', folder]);
    assert.equal(exitCode, 1);
    assert.match(stderr.text, new RegExp(`^error: ${SENTENCE}\n$`));
    for (const command of [['--version'], ['summary'], ['devices'], ['doctor', '--help']])
      assert.deepEqual([(await run(command)).exitCode, command], [0, command]);
  });
});
