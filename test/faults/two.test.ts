/** Two processes, one run: the second is refused, and takes over at once when the first is killed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { collect } from '../../scripts/trainer.js';
import { inProcess } from '../cli/in-process.js';
import { lenetFlags } from '../data/sets.js';

const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url));
const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-two-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const LENET = [...lenetFlags(folder), '--placement', 'single', '--devices', 'CPU:0', '--no-check', '--json'];
const TRAIN = ['train', ...LENET, '--run', 'r'];
process.chdir(folder); // for trainings in this process

/** A training of the run `r`. `stepDone()` resolves when it tells of one, and rejects if it ends before. */
function start(...args: string[]) {
  const child = spawn(process.execPath, [CLI, ...TRAIN, ...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { hasPrinted, ended } = collect(child);
  return { child, stepDone: () => hasPrinted('"train_step"'), ended };
}

const LOCK = join(folder, 'runs', 'r', 'lock.json');
const EVERY = ['--checkpoint-every', '1', '--steps', '100000'];

test('train refuses a run in which another process trains, and takes it over after that process was killed', async (t) => {
  const first = start(...EVERY);
  t.after(() => first.child.kill('SIGKILL'));
  await first.stepDone();
  for (const args of [['--resume', 'auto'], ['--resume', 'runs/r'], []]) {
    const { code, stderr } = await inProcess([...TRAIN, ...args, ...EVERY]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /^error: Cannot [^\n]+ choose another --run\n$/);
    assert.match(stderr, new RegExp(`runs/r.*process ${first.child.pid} on \\S+ trains `));
  }
  assert.equal(first.child.exitCode, null, 'the first goes on');
  first.child.kill('SIGKILL');
  const next = start('--resume', 'auto', ...EVERY);
  t.after(() => next.child.kill('SIGKILL'));
  await next.stepDone();
  next.child.kill('SIGKILL');
  assert.equal((await next.ended).signal, 'SIGKILL');
  assert.ok(fs.existsSync(LOCK), 'it is left over for the next test');
});

test('train --resume auto twice at once after a killed run: one trains, the other is refused', async (t) => {
  assert.ok(fs.existsSync(LOCK), 'the killed one left its file');
  const both = [start('--resume', 'auto', ...EVERY), start('--resume', 'auto', ...EVERY)];
  for (const { child } of both) t.after(() => child.kill('SIGKILL'));
  const refused = await Promise.race(both.map(async (each) => ({ each, ...(await each.ended) })));
  assert.equal(refused.code, 2, refused.stderr);
  const other = both.find((each) => each !== refused.each)!;
  assert.match(refused.stderr, new RegExp(`process ${other.child.pid} on `));
  await other.stepDone();
  other.child.kill('SIGINT');
  assert.equal((await other.ended).code, 130);
  assert.ok(!fs.existsSync(LOCK));
});
