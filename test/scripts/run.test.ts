/** Runs scripts/run.mjs in small clones. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { wholeLines } from '../../scripts/trainer.js';
import {
  clone,
  FILES,
  finished,
  isRunning,
  npmCalls,
  ROOT,
  readyClone,
  run,
  start,
  startForever,
  write,
} from './clones.js';

test('run.mjs installs and compiles in a fresh clone, and does neither a second time', async () => {
  const folder = clone();
  const first = await run(folder, ['summary', '--net', 'original'], { NODE_ENV: 'production' });
  assert.equal(first.stderr, 'installing packages (npm ci)\ncompiling (tsc)\n');
  assert.equal(first.stdout, 'cli summary --net original\n');
  assert.equal(first.code, 0);
  assert.match(npmCalls(folder).join(), /^ci --include=dev/);
  fs.rmSync(join(folder, 'node_modules', 'typescript')); // now tsc could not start
  assert.deepEqual(await run(folder, ['summary']), { code: 0, stdout: 'cli summary\n', stderr: '' });
  assert.equal(npmCalls(folder).length, 1);
});

test("run.mjs ends with the command's exit code", async () => {
  assert.equal((await run(await readyClone(), ['summary', 'seven'])).code, 7);
});

test('run.mjs fetches the library only for commands that load it', async () => {
  const folder = await readyClone();
  for (const args of [['train', '--steps', '2'], ['verify'], ['eval'], ['devices']]) {
    assert.equal((await run(folder, args)).stdout, `library\ncli ${args.join(' ')}\n`);
  }
  for (const args of [['summary'], ['setup'], ['train', '--help'], ['--version'], []]) {
    assert.equal((await run(folder, args)).stdout, `${['cli', ...args].join(' ')}\n`);
  }
});

test('run.mjs says in one line why there is no library', async () => {
  const { code, stdout, stderr } = await run(await readyClone(), ['train'], { NO_LIBRARY: '1' });
  assert.deepEqual([code, stdout, stderr.split('\n').at(-2)], [1, '', 'error: Cannot fetch']);
});

test('run.mjs prints the errors of npm and stops, and tries again next time', async () => {
  const folder = clone({ 'npm-fails': '' });
  const { code, stdout, stderr } = await run(folder, ['summary']);
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /E404 no such package\nerror: Cannot continue: npm ci failed/);
  fs.rmSync(join(folder, 'npm-fails'));
  assert.equal((await run(folder, ['summary'])).code, 0);
});

test('run.mjs installs again when the lock file has changed', async () => {
  const folder = await readyClone();
  fs.rmSync(join(folder, 'node_modules'), { recursive: true });
  assert.match((await run(folder, ['summary'])).stderr, /^installing/);
  write(folder, 'package-lock.json', '{ "packages": { "node_modules/other": { "version": "1.0.0" } } }');
  fs.rmSync(join(folder, 'node_modules'), { recursive: true });
  assert.match((await run(folder, ['summary'])).stderr, /^installing/);
});

test("run.mjs accepts packages that were installed by hand, by npm's own list", async () => {
  const folder = clone();
  fs.mkdirSync(join(folder, 'node_modules'));
  fs.symlinkSync(join(ROOT, 'node_modules', 'typescript'), join(folder, 'node_modules', 'typescript'));
  write(folder, 'node_modules/.package-lock.json', FILES['package-lock.json']);
  assert.equal((await run(folder, ['summary'])).stderr, 'compiling (tsc)\n');
});

test('run.mjs stops at a compile error, and compiles again after an edit or when outputs are missing', async () => {
  const folder = await readyClone({ 'src/more.ts': 'export const wrong: number = "text";' });
  const { code, stdout, stderr } = await run(folder, ['summary']);
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /src\/more\.ts.*error TS2322/);
  write(folder, 'src/more.ts', 'export const right = 1;');
  assert.equal((await run(folder, ['summary'])).stderr, 'compiling (tsc)\n');
  fs.rmSync(join(folder, 'dist/src'), { recursive: true });
  assert.deepEqual(await run(folder, ['summary']), { code: 0, stdout: 'cli summary\n', stderr: 'compiling (tsc)\n' });
});

test('run.mjs --test runs all tests or the named ones, and fails if a test fails', async () => {
  const bad = `import test from 'node:test'; test('bad() fails', () => { throw new Error('no'); }); export {};`;
  const folder = await readyClone({ 'test/deep/bad.test.ts': bad });
  const all = await run(folder, ['--test']);
  assert.equal(all.code, 1);
  assert.match(all.stdout, /pass 1\n.*fail 1\n/s);
  const named = await run(folder, ['--test', 'test/good.test.ts']);
  assert.equal(named.code, 0);
  assert.match(named.stdout, /^library\n.*good\(\) passes.*tests 1\n/s);
  const none = await run(folder, ['--test', 'nothing']);
  assert.deepEqual([none.code, none.stderr], [1, 'error: Cannot test: no file of test/ has nothing in its path\n']);
});

test('run.mjs --test does not run a test whose source was deleted', async () => {
  const folder = await readyClone({ 'test/old.test.ts': FILES['test/good.test.ts'] });
  assert.match((await run(folder, ['--test'])).stdout, /tests 2\n/);
  fs.rmSync(join(folder, 'test/old.test.ts'));
  assert.match((await run(folder, ['--test'])).stdout, /tests 1\n/);
  assert.equal(fs.existsSync(join(folder, 'dist/test/old.test.js')), false);
});

test('run.mjs --test forwards SIGTERM to the tests, and nothing is compiled while they run', {
  timeout: 60_000,
}, async () => {
  const hang = `import test from 'node:test';
    declare const process: any, setInterval: any;
    // @ts-ignore
    import fs from 'node:fs';
    // @ts-ignore
    import { spawn } from 'node:child_process';
    test('hangs', async () => { fs.writeFileSync('pid', spawn('sleep', ['1000'], { stdio: 'ignore' }).pid + '\\n'); await new Promise(() => setInterval(() => {}, 1000)); });`;
  const folder = await readyClone({ 'test/good.test.ts': hang });
  const child = start(folder, ['--test']);
  const end = finished(child);
  const pidOf = () => wholeLines(join(folder, 'pid'))[0];
  while (pidOf() === undefined) await sleep(50);
  write(folder, 'src/more.ts', 'export const more = 1;');
  assert.match((await run(folder, ['summary'])).stderr, /Cannot compile the changed sources: process \d+ /);
  // Twice, as a terminal and npm do it.
  child.kill('SIGTERM');
  await sleep(5);
  child.kill('SIGTERM');
  await end;
  assert.equal(child.signalCode, 'SIGTERM');
  const pid = Number(pidOf());
  while (isRunning(pid)) await sleep(50); // the test's time limit ends this
});

test('run.mjs --test ignores SIGHUP under nohup, and uses as many cores as it may', async () => {
  const hangup = `import test from 'node:test';
    declare const process: any, setTimeout: any;
    // @ts-ignore
    import fs from 'node:fs';
    test('is there', async () => {
      if (fs.existsSync('/proc/self')) fs.writeFileSync('command', fs.readFileSync('/proc/' + process.ppid + '/cmdline', 'utf8'));
      process.kill(Number(process.env.RUNNER), 'SIGHUP');
      await new Promise((resolve) => setTimeout(resolve, 200));
    });
    export {};`;
  const folder = await readyClone({ 'test/good.test.ts': hangup });
  const by = ['sh', '-c', 'RUNNER=$$ exec "$@"', 'sh'];
  const child = start(folder, ['--test'], { NOHUP: 'yes', CORES: '0' }, [], by);
  const { code, stdout } = await finished(child);
  assert.deepEqual([code, child.signalCode], [0, null], stdout);
  const command = join(folder, 'command');
  if (fs.existsSync('/proc/self')) assert.match(fs.readFileSync(command, 'utf8'), /--test-concurrency=1/);
});

test('run.mjs starts the command even if a package cannot be prepared for packing', async () => {
  const folder = await readyClone({ 'node_modules/@tensorflow/tfjs-node-gpu/package.json': '{ "half' });
  const { code, stdout } = await run(folder, ['summary']);
  assert.deepEqual([code, stdout], [0, 'cli summary\n']);
  const { stderr } = await run(folder, ['--build']);
  assert.match(stderr, /^cannot be packed: @tensorflow\/tfjs-node-gpu in \S+: .*JSON.*\n$/);
});

test('run.mjs changes neither dist nor the packages while a long command runs from the clone', async () => {
  const folder = await readyClone();
  const { child, ended } = await startForever(folder);
  assert.equal((await run(folder, ['summary'])).stderr, '', 'nothing has to be changed');
  write(folder, 'src/more.ts', 'export const more = 1;');
  const refusal = (action: string) =>
    `error: Cannot ${action}: process ${child.pid} on ${hostname()} runs from this clone; wait for its end, stop it, or work in a second clone (git worktree add ../second)\n`;
  for (const args of [['summary'], ['train'], ['--build']]) {
    assert.deepEqual(await run(folder, args), { code: 1, stdout: '', stderr: refusal('compile the changed sources') });
  }
  assert.ok(!fs.existsSync(join(folder, 'dist/src/more.js')));
  const calls = npmCalls(folder).length;
  fs.rmSync(join(folder, 'node_modules/.package-lock.json'));
  assert.equal((await run(folder, ['summary'])).stderr, refusal('install packages'));
  assert.equal(npmCalls(folder).length, calls);
  child.kill('SIGINT');
  const printed = { stdout: 'library\ncli train forever\nended\n', stderr: '' };
  assert.deepEqual(await ended, { code: 0, signal: null, ...printed });
  assert.equal((await run(folder, ['summary'])).stderr, 'installing packages (npm ci)\ncompiling (tsc)\n');
});

test('run.mjs compiles when a long command was killed', async () => {
  const folder = await readyClone();
  const { child, ended } = await startForever(folder);
  child.kill('SIGKILL');
  await ended;
  write(folder, 'src/more.ts', 'export const more = 1;');
  assert.equal((await run(folder, ['summary'])).stderr, 'compiling (tsc)\n');
  assert.deepEqual(fs.readdirSync(join(folder, 'dist/.alexnet-split-running')), []);
});

/** A clone whose lockFile() is this function's body; `lock` is the real one, `calls` counts from 1. */
async function cloneWithLock(body: string): Promise<string> {
  const real = new URL('../../src/native/install/file-lock.js', import.meta.url).href;
  const text = `// @ts-ignore
    import fs from 'node:fs';
    const real: string = ${JSON.stringify(real)};
    const { lockFile: lock } = await import(real);
    let calls = 0;
    export function lockFile(file: string) { calls++; ${body} }`;
  const folder = await readyClone({ 'src/native/install/file-lock.ts': text });
  assert.equal((await run(folder, ['--build'])).code, 0);
  return folder;
}

test('run.mjs starts a long command while another process tests its lock, and begins to compile', async () => {
  const folder = await cloneWithLock(`if (calls === 1) return undefined;
    if (calls === 2) fs.writeFileSync('src/more.ts', 'export const more = 1;');
    return lock(file);`);
  const expected = { code: 0, stdout: 'library\ncli train\n', stderr: 'compiling (tsc)\n' };
  assert.deepEqual(await run(folder, ['train']), expected);
});

test('run.mjs starts a long command even if its lock cannot be made', async () => {
  const folder = await cloneWithLock("throw new Error('koffi does not load');");
  assert.deepEqual(await run(folder, ['data', 'check']), { code: 0, stdout: 'cli data check\n', stderr: '' });
});

test('run.cjs refuses an old Node.js, also one that lacks a function for the number of cores', async () => {
  const threads = fs.readFileSync(join(ROOT, 'bin', 'threads.cjs'), 'utf8');
  const old = `Object.defineProperty(process.versions, 'node', { value: '18.12.0' });
    delete require('node:os').availableParallelism;`;
  const folder = await readyClone({ 'bin/threads.cjs': threads, 'old.cjs': old });
  const child = spawn(process.execPath, ['--require', './old.cjs', 'scripts/run.cjs', 'summary'], { cwd: folder });
  const { code, stderr } = await finished(child);
  assert.deepEqual([code, stderr.includes('18.12.0: expected 20.11 or newer')], [1, true], stderr);
});
