/** A disk that fails under a data thread: the run says so and ends, and its last checkpoint stays. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkpointsFolder, newestCheckpoint } from '../../src/checkpoint/store.js';
import { folderOf, imageFolderOf } from '../data/sets.js';

const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url));

/** Loaded before the program, in each of its threads: images cannot be opened once `marker` is there, and no time passes. */
const preload = (marker: string) => `
  const fs = require('node:fs');
  const timers = require('node:timers/promises');
  const { openSync } = fs;
  fs.openSync = (path, ...rest) => {
    if (/\\.jpg$/.test(String(path)) && fs.existsSync(${JSON.stringify(marker)}))
      throw Object.assign(new Error("EIO: i/o error, open '" + path + "'"), { code: 'EIO' });
    return openSync(path, ...rest);
  };
  timers.setTimeout = async () => {};
  require('node:module').syncBuiltinESMExports();
`;

test('train ends with 1 when its disk fails under a data thread, also with skip, and its last checkpoint stays', (t) => {
  // An epoch of 100 steps: images that were read once stay in memory.
  const pathsIn = (at: string, count: number) => Array.from({ length: count }, (_, i) => `${at}/${i}.jpg`);
  const images = [
    ...['train/a', 'train/b'].flatMap((at) => pathsIn(at, 200)),
    ...pathsIn('val/a', 4),
    ...pathsIn('val/b', 4),
  ];
  const data = imageFolderOf(t, Object.fromEntries(images.map((path) => [path, 'rgb.jpg'])));
  const folder = folderOf(t, {});
  const marker = join(checkpointsFolder(join(folder, 'r')), '0000000002');
  fs.writeFileSync(join(folder, 'preload.cjs'), preload(marker));
  const flags = '--preset lenet --classes 2 --placement single --no-check --batch-size 4 --lr 0.01 --steps 500';
  const { status, stderr } = spawnSync(
    process.execPath,
    [
      ...['--require', join(folder, 'preload.cjs'), CLI, 'train', ...flags.split(' '), '--data', data, '--out', '.'],
      ...['--run', 'r', '--workers', '1', '--on-bad-image', 'skip', '--checkpoint-every', '2', '--keep', '999'],
    ],
    { cwd: folder, encoding: 'utf8' },
  );
  assert.equal(status, 1, stderr);
  assert.match(stderr, /^error: Cannot read .*\.jpg: .* 10 times \(EIO: i\/o error\).*; check the disk .*--resume\n$/);
  const { found, skipped } = newestCheckpoint(checkpointsFolder(join(folder, 'r')));
  assert.deepEqual(skipped, []);
  assert.ok(found!.state.step >= 2);
  const log = fs.readFileSync(join(folder, 'r', 'log.ndjson'), 'utf8');
  assert.match(log.trimEnd().split('\n').at(-1)!, /"event":"run_end".*"exit_code":1/);
  assert.doesNotMatch(log, /unreadable/);
});
