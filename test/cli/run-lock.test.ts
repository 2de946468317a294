/** Only one process uses a run. Another one gets a message that names the first. A killed process leaves no lock. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { collect } from '../../scripts/trainer.js';
import { lockNow, lockRun, trainingProcess } from '../../src/cli/run-lock.js';
import { ConfigError, SplitError } from '../../src/errors.js';
import { withoutLocks } from '../namespaces.js';

function temporary(t: TestContext): string {
  const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-lock-'));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A process that runs `program` with the functions of run-lock and the folder at hand. */
function start(folder: string, program: string, by: readonly string[] = []): ChildProcess {
  const url = JSON.stringify(new URL('../../src/cli/run-lock.js', import.meta.url).href);
  const imports = `import fs from 'node:fs'; import { lockNow, lockRun } from ${url};`;
  const args = ['--input-type=module', '--eval', `${imports} const folder = process.argv[1]; ${program}`, folder];
  const [first, ...rest] = [...by, process.execPath, ...args];
  return spawn(first!, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** One that holds the lock until it is killed. */
async function holder(t: TestContext, folder: string): Promise<ChildProcess> {
  const child = start(folder, `lockNow(folder); setInterval(() => {}, 1000); console.log('held');`);
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout!, 'data');
  return child;
}

test('lockNow() names the process that holds the lock, and says what to do', async (t) => {
  const folder = temporary(t);
  const { pid } = await holder(t, folder);
  assert.throws(
    () => lockNow(folder),
    (error: Error) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(error.exitCode, 2);
      const text = `Cannot train in ${folder}: process ${pid} on ${hostname()} trains there since 20`;
      assert.ok(error.message.startsWith(text), error.message);
      const advice = `expected one process per run; wait for its end, stop it with kill -INT ${pid}, or choose another --run`;
      assert.ok(error.message.endsWith(advice), error.message);
      return true;
    },
  );
  assert.equal(trainingProcess(folder), `process ${pid} on ${hostname()}`);
});

test('lockRun() takes the lock of a killed process, whose file is left', async (t) => {
  const folder = temporary(t);
  for (let round = 0; round < 3; round++) {
    const child = await holder(t, folder);
    child.kill('SIGKILL'); // and does not wait: it may be ending yet
    const lock = await lockRun(folder);
    assert.ok(fs.existsSync(join(folder, 'lock.json')));
    assert.equal(lock.warning, undefined);
    assert.equal(trainingProcess(folder), `process ${process.pid} on ${hostname()}`);
    lock.release();
    assert.deepEqual(fs.readdirSync(folder), []);
    assert.equal(trainingProcess(folder), undefined);
  }
});

test('lockNow() returns a warning if the file system has no locks', {
  skip: withoutLocks('ENOLCK') === undefined && 'strace does not work here',
}, async (t) => {
  const folder = temporary(t);
  const child = start(folder, 'console.log(lockNow(folder).warning);', withoutLocks('EOPNOTSUPP'));
  const { stdout } = await collect(child).ended;
  assert.match(
    stdout,
    /^\S+ cannot be locked: the file system does not lock files \(E(OP)?NOTSUPP?\); make sure that no other process trains there\n$/,
  );
});

test('lockNow() also refuses the same process until the lock is released', (t) => {
  const folder = temporary(t);
  const lock = lockNow(folder);
  assert.throws(() => lockNow(folder), /: process \d+ on .* trains there since/);
  fs.writeFileSync(join(folder, 'lock.json'), 'torn');
  assert.throws(() => lockNow(folder), /: another process trains there, expected one process per run;/);
  lock.release();
  lockNow(folder).release();
});

test('lockNow() gives the lock to one of many processes, even while others remove the file', async (t) => {
  const folder = temporary(t);
  const counter = join(folder, 'count');
  fs.writeFileSync(counter, '0');
  const program = `
    for (let done = 0; done < 100; ) {
      let lock;
      try { lock = lockNow(folder); } catch (error) { if (error.name !== 'ConfigError') throw error; continue; }
      const seen = Number(fs.readFileSync(folder + '/count', 'utf8'));
      fs.writeFileSync(folder + '/count', String(seen + 1));
      lock.release();
      done++;
    }`;
  const codes = await Promise.all(
    Array.from({ length: 4 }, () => once(start(folder, program), 'close').then(([code]) => code as number)),
  );
  assert.deepEqual(codes, [0, 0, 0, 0]);
  assert.equal(fs.readFileSync(counter, 'utf8'), '400');
});

test('lockNow() does not follow a link, and does not wait for a pipe', (t) => {
  const folder = temporary(t);
  const [file, victim] = [join(folder, 'lock.json'), join(folder, 'victim')];
  fs.writeFileSync(victim, 'dear to somebody');
  fs.symlinkSync('victim', file);
  const sentence = (what: string) => ({
    name: 'SplitError',
    message: `Cannot lock the run's folder ${folder}: lock.json is ${what}, expected a plain file, or no file; free space, or make it writable`,
  });
  assert.throws(() => lockNow(folder), sentence('a link'));
  assert.equal(trainingProcess(folder), undefined);
  assert.equal(fs.readFileSync(victim, 'utf8'), 'dear to somebody');
  fs.rmSync(file);
  execFileSync('mkfifo', [file]);
  assert.throws(() => lockNow(folder), sentence('not a file'));
  assert.equal(trainingProcess(folder), undefined);
});

test('trainingProcess() tests the lock, not whether a process is alive', (t) => {
  const folder = temporary(t);
  const file = join(folder, 'lock.json');
  // Of a killed process, whose pid is another's by now: in a container that was started again this very one's.
  for (const pid of [1, process.pid]) {
    fs.writeFileSync(file, JSON.stringify({ pid, host: hostname(), since: '2026-01-01T00:00:00.000Z' }));
    assert.equal(trainingProcess(folder), undefined);
  }
  const lock = lockNow(folder);
  fs.writeFileSync(file, JSON.stringify({ pid: 7, host: 'another', since: 'x' }));
  assert.equal(trainingProcess(folder), 'process 7 on another');
  lock.release();
});

test('lockNow() truncates what the file says', (t) => {
  const folder = temporary(t);
  const file = join(folder, 'lock.json');
  const lock = lockNow(folder);
  const holder = { pid: 7, host: 'h'.repeat(1000), since: 's'.repeat(1000) };
  fs.writeFileSync(file, JSON.stringify(holder));
  assert.throws(() => lockNow(folder), /: process 7 on h{252}\.\.\. trains there since s{57}\.\.\., expected/);
  for (const changed of [{ host: 'h'.repeat(4096) }, { pid: -1 }, { pid: '7' }, { host: 7 }]) {
    fs.writeFileSync(file, JSON.stringify({ ...holder, ...changed }));
    assert.throws(() => lockNow(folder), /: another process trains there, expected one process per run;/);
  }
  lock.release();
});

test('lockNow() explains in a sentence that the file cannot be made', (t) => {
  assert.throws(
    () => lockNow(join(temporary(t), 'gone')),
    (error: Error) => error instanceof SplitError && /^Cannot lock the run's folder .*gone: ENOENT/.test(error.message),
  );
});
