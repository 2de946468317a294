/** The lock of a clone's set-up, between processes that may run in different containers. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { hostname } from 'node:os';
import { delimiter, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { folderOf } from '../data/sets.js';
import { inNamespaces } from '../namespaces.js';
import { clone, finished, npmCalls, ROOT, run, start } from './clones.js';

type Hooks = { onWaiting?: (owner: string) => void; onUnlockable?: (reason: string) => void };
const MODULE = new URL(`file://${join(ROOT, 'scripts/clone-lock.mjs')}`).href;
const { holdingLock: holding } = (await import(MODULE)) as {
  holdingLock<T>(file: string, hooks: Hooks, action: () => T | Promise<T>): Promise<T>;
};
const unexpectedWait = () => assert.fail('it waited');
const unexpectedReason = (reason: string) => assert.fail(reason);
const holdingLock = <T>(file: string, hooks: Hooks, action: () => T | Promise<T>) =>
  holding(file, { onWaiting: unexpectedWait, onUnlockable: unexpectedReason, ...hooks }, action);

/** A process that holds the lock until it is killed. @param command what it is run by. */
async function holder(t: TestContext, file: string, command: readonly string[] = []): Promise<ChildProcess> {
  const program = `import { holdingLock } from ${JSON.stringify(MODULE)};
    await holdingLock(${JSON.stringify(file)}, {}, () => { console.log(process.pid); return new Promise(() => setInterval(() => {}, 1000)); });`;
  const [first, ...rest] = [...command, process.execPath, '--input-type=module', '--eval', program];
  const child = spawn(first!, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout!, 'data');
  return child;
}

test('holdingLock() waits for the owner, names it, and gets the lock when the owner is killed', async (t) => {
  const file = join(folderOf(t, {}), 'dist', 'lock');
  const child = await holder(t, file);
  const waited: string[] = [];
  const onWaiting = (owner: string) => {
    waited.push(owner);
    child.kill('SIGKILL');
  };
  assert.equal(await holdingLock(file, { onWaiting }, () => 7), 7);
  assert.deepEqual(waited, [`process ${child.pid} on ${hostname()}`]);
});

test('holdingLock() names an owner that has the lock already, and writes its name a moment later', async (t) => {
  const file = join(folderOf(t, { lock: Buffer.from('') }), 'lock');
  const other = spawn('flock', [
    file,
    'sh',
    '-c',
    'echo locked; sleep 0.1; echo \'{"pid":7,"host":"h"}\' > "$0"; read -r _',
    file,
  ]);
  other.on('error', () => {}); // no flock: the assertion below fails
  await once(other.stdout, 'data');
  const waited: string[] = [];
  const onWaiting = (owner: string) => {
    waited.push(owner);
    other.stdin.end('\n');
  };
  await holdingLock(file, { onWaiting }, () => 1);
  assert.deepEqual(waited, ['process 7 on h']);
});

const separate = inNamespaces('--pid', '--fork', '--kill-child', '--mount-proc');
test('holdingLock() waits for an owner in another container, whose process number means nothing here', {
  skip: 'skip' in separate && separate.skip,
  timeout: 60_000,
}, async (t) => {
  const file = join(folderOf(t, {}), 'lock');
  const child = await holder(t, file, separate as string[]);
  const waited: string[] = [];
  let isKilled = false;
  const onWaiting = (owner: string) => {
    waited.push(owner);
    setTimeout(() => {
      isKilled = child.kill('SIGKILL');
    }, 500);
  };
  await holdingLock(file, { onWaiting }, () => assert.ok(isKilled));
  assert.match(waited.join(), /^process [1-9] on [^,]+$/);
});

test('holdingLock() ignores what the file says if nobody has the lock', async (t) => {
  // As earlier versions left it: the bare number of a process that lives, or lived.
  const folder = folderOf(t, { lock: Buffer.from(String(process.pid)) });
  assert.equal(await holdingLock(join(folder, 'lock'), {}, () => 1), 1);
});

test('holdingLock() locks with each of the programs that a system may have', async (t) => {
  const path = process.env.PATH;
  t.after(() => {
    process.env.PATH = path;
  });
  let tried = 0;
  for (const program of ['flock', 'perl', 'python3']) {
    const which = spawnSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8', env: { PATH: path } });
    if (which.status !== 0) continue;
    tried++;
    const folder = folderOf(t, {});
    // A script, for python3 may be a wrapper that finds itself by its name.
    const script = `#!/bin/sh\nPATH=${JSON.stringify(path)} exec ${which.stdout.trim()} "$@"\n`;
    fs.writeFileSync(join(folder, program), script, { mode: 0o755 });
    process.env.PATH = folder;
    const file = join(folder, 'lock');
    let second: Promise<number> | undefined;
    const waited: string[] = [];
    await holdingLock(file, {}, async () => {
      await new Promise<void>((resolve) => {
        const onWaiting = (owner: string) => resolve(void waited.push(owner));
        second = holdingLock(file, { onWaiting }, () => waited.length);
      });
    });
    assert.deepEqual([await second, waited], [1, [`process ${process.pid} on ${hostname()}`]], program);
  }
  assert.ok(tried > 0);
});

test('holdingLock() continues without a lock if the system has none, and says why', async (t) => {
  const path = process.env.PATH;
  t.after(() => {
    process.env.PATH = path;
  });
  const cases: [says: string | undefined, reason: RegExp][] = [
    ['echo "flock: 3: No locks available" >&2; exit 71', /^flock says "flock: 3: No locks available"$/], // util-linux
    ['echo "flock: No locks available" >&2; exit 1', /^flock says "flock: No locks available"$/], // busybox
    ['echo "flock: 3: Operation not supported" >&2; exit 65', /^flock says ".*Operation not supported"$/],
    ['#', /^flock cannot be run \(EACCES\)$/],
    [undefined, /^there is none of flock, perl, python3 on the PATH$/],
  ];
  for (const [says, reason] of cases) {
    const folder = folderOf(t, {});
    if (says) fs.writeFileSync(join(folder, 'flock'), `#!/bin/sh\n${says}\n`, { mode: says === '#' ? 0o644 : 0o755 });
    process.env.PATH = folder;
    const reasons: string[] = [];
    const onUnlockable = (each: string) => void reasons.push(each);
    assert.equal(await holdingLock(join(folder, 'lock'), { onUnlockable }, () => 3), 3);
    assert.equal(reasons.length, 1);
    assert.match(reasons[0]!, reason);
  }
});

test('holdingLock() releases the lock while a program that it started still runs', async (t) => {
  const file = join(folderOf(t, {}), 'lock');
  const child = await holdingLock(file, {}, async () => {
    const started = spawn('sleep', ['1000'], { stdio: 'ignore', detached: true });
    t.after(() => started.kill('SIGKILL'));
    await once(started, 'spawn');
    return started;
  });
  assert.equal(await holdingLock(file, {}, () => child.exitCode), null);
});

test('run.mjs sets up once when it is started twice at the same time', async () => {
  const folder = clone();
  const both = await Promise.all([run(folder, ['summary']), run(folder, ['summary'])]);
  assert.deepEqual(
    both.map(({ code, stdout }) => [code, stdout]),
    [
      [0, 'cli summary\n'],
      [0, 'cli summary\n'],
    ],
  );
  assert.equal(npmCalls(folder).length, 1);
  assert.match(both.map(({ stderr }) => stderr).join(''), /waiting for process \d+ on \S+, which sets up this clone\n/);
});

test('run.mjs waits for the npm of a killed process', { timeout: 60_000 }, async (t) => {
  const folder = clone({ 'npm-waits': '' });
  t.after(() => fs.rmSync(join(folder, 'npm-waits'), { force: true }));
  const first = start(folder, ['summary']);
  while (npmCalls(folder).length === 0) await sleep(20);
  first.kill('SIGKILL');
  await once(first, 'exit');
  const second = start(folder, ['summary']);
  const ended = finished(second);
  await once(second.stderr!, 'data'); // it says that it waits, or that it installs
  assert.equal(npmCalls(folder).length, 1);
  fs.rmSync(join(folder, 'npm-waits'));
  const { code, stderr } = await ended;
  assert.equal(code, 0);
  assert.match(stderr, /^waiting for process \d+ on \S+, which sets up this clone\ncompiling/);
  assert.equal(npmCalls(folder).length, 1);
});

test('run.mjs sets up without a lock, and says in one line that there is none', async () => {
  const folder = clone();
  const says = '#!/bin/sh\necho "flock: 3: No locks available" >&2; exit 71\n';
  fs.writeFileSync(join(folder, 'bin/flock'), says, { mode: 0o755 });
  const { code, stderr } = await run(folder, ['summary'], {
    PATH: [join(folder, 'bin'), process.env.PATH].join(delimiter),
  });
  assert.deepEqual(
    [code, stderr.split('\n')],
    [
      0,
      [
        'this clone cannot be locked: flock says "flock: 3: No locks available"; make sure that no other process sets it up at the same time',
        'installing packages (npm ci)',
        'compiling (tsc)',
        '',
      ],
    ],
  );
});

test('run.mjs says in one sentence that the clone is not writable', async () => {
  const folder = clone({ dist: 'a file in its place' });
  const { code, stderr } = await run(folder, ['summary']);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^error: Cannot set up this clone: E\w+: .*; free some disk space, or make \S+ writable for you\n$/,
  );
});
