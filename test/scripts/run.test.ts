/** Runs scripts/run.mjs in made-up clones. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { clone, FILES, finished, isRunning, npmCalls, ROOT, run, start, write } from './clones.js';

test('run.mjs installs and compiles on a fresh clone, and does nothing of it again', async () => {
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
  assert.equal((await run(clone(), ['summary', 'seven'])).code, 7);
});

test('run.mjs asks for the library only when the command loads it', async () => {
  const folder = clone();
  for (const args of [['train', '--steps', '2'], ['verify'], ['eval'], ['devices']]) {
    assert.equal((await run(folder, args)).stdout, `library\ncli ${args.join(' ')}\n`);
  }
  for (const args of [['summary'], ['setup'], ['train', '--help'], ['--version'], []]) {
    assert.equal((await run(folder, args)).stdout, `${['cli', ...args].join(' ')}\n`);
  }
});

test('run.mjs tells in one line why there is no library', async () => {
  const { code, stdout, stderr } = await run(clone(), ['train'], { NO_LIBRARY: '1' });
  assert.deepEqual([code, stdout, stderr.split('\n').at(-2)], [1, '', 'error: Cannot fetch']);
});

test('run.mjs shows what npm says and stops, and tries again next time', async () => {
  const folder = clone({ 'npm-fails': '' });
  const { code, stdout, stderr } = await run(folder, ['summary']);
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /E404 no such package\nerror: Cannot go on: npm ci failed/);
  fs.rmSync(join(folder, 'npm-fails'));
  assert.equal((await run(folder, ['summary'])).code, 0);
});

test('run.mjs installs again when the lock file asks for something else', async () => {
  const folder = clone();
  await run(folder, ['summary']);
  fs.rmSync(join(folder, 'node_modules'), { recursive: true });
  assert.match((await run(folder, ['summary'])).stderr, /^installing/);
  write(folder, 'package-lock.json', '{ "packages": { "node_modules/other": { "version": "1.0.0" } } }');
  fs.rmSync(join(folder, 'node_modules'), { recursive: true });
  assert.match((await run(folder, ['summary'])).stderr, /^installing/);
});

test("run.mjs takes packages that were installed by hand, as npm's own list shows them", async () => {
  const folder = clone();
  fs.mkdirSync(join(folder, 'node_modules'));
  fs.symlinkSync(join(ROOT, 'node_modules', 'typescript'), join(folder, 'node_modules', 'typescript'));
  write(folder, 'node_modules/.package-lock.json', FILES['package-lock.json']);
  assert.equal((await run(folder, ['summary'])).stderr, 'compiling (tsc)\n');
});

test('run.mjs stops at a compile error, and compiles what was edited or is gone from dist', async () => {
  const folder = clone({ 'src/more.ts': 'export const wrong: number = "text";' });
  const { code, stdout, stderr } = await run(folder, ['summary']);
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /src\/more\.ts.*error TS2322/);
  write(folder, 'src/more.ts', 'export const right = 1;');
  assert.equal((await run(folder, ['summary'])).stderr, 'compiling (tsc)\n');
  fs.rmSync(join(folder, 'dist/src'), { recursive: true });
  assert.deepEqual(await run(folder, ['summary']), { code: 0, stdout: 'cli summary\n', stderr: 'compiling (tsc)\n' });
});

test('run.mjs --test runs all tests, or those that are named, and fails when one does', async () => {
  const bad = `import test from 'node:test'; test('bad() fails', () => { throw new Error('no'); }); export {};`;
  const folder = clone({ 'test/deep/bad.test.ts': bad });
  const all = await run(folder, ['--test']);
  assert.equal(all.code, 1);
  assert.match(all.stdout, /pass 1\n.*fail 1\n/s);
  const named = await run(folder, ['--test', 'test/good.test.ts']);
  assert.equal(named.code, 0);
  assert.match(named.stdout, /^library\n.*good\(\) passes.*tests 1\n/s);
  const none = await run(folder, ['--test', 'nothing']);
  assert.deepEqual([none.code, none.stderr], [1, 'error: Cannot test: no file of test/ has nothing in its path\n']);
});

test('run.mjs --test forgets a test whose source was deleted', async () => {
  const folder = clone({ 'test/old.test.ts': FILES['test/good.test.ts'] });
  assert.match((await run(folder, ['--test'])).stdout, /tests 2\n/);
  fs.rmSync(join(folder, 'test/old.test.ts'));
  assert.match((await run(folder, ['--test'])).stdout, /tests 1\n/);
  assert.equal(fs.existsSync(join(folder, 'dist/test/old.test.js')), false);
});

test('run.mjs --test passes SIGTERM on to the tests', { timeout: 60_000 }, async () => {
  const hang = `import test from 'node:test';
    declare const process: any, setInterval: any;
    // @ts-ignore
    import fs from 'node:fs';
    // @ts-ignore
    import { spawn } from 'node:child_process';
    test('hangs', async () => { fs.writeFileSync('pid', String(spawn('sleep', ['1000'], { stdio: 'ignore' }).pid)); await new Promise(() => setInterval(() => {}, 1000)); });`;
  const folder = clone({ 'test/good.test.ts': hang });
  const child = start(folder, ['--test']);
  const end = finished(child);
  const pidFile = join(folder, 'pid');
  while (!fs.existsSync(pidFile) || fs.readFileSync(pidFile, 'utf8') === '') await sleep(50);
  // Twice, as a terminal and npm do it.
  child.kill('SIGTERM');
  await sleep(5);
  child.kill('SIGTERM');
  await end;
  assert.equal(child.signalCode, 'SIGTERM');
  const pid = Number(fs.readFileSync(pidFile, 'utf8'));
  while (isRunning(pid)) await sleep(50); // the test's time limit ends this
});

test('run.mjs --test leaves SIGHUP alone under nohup, and counts the cores that it may use', async () => {
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
  const folder = clone({ 'test/good.test.ts': hangup });
  const by = ['sh', '-c', 'RUNNER=$$ exec "$@"', 'sh'];
  const child = start(folder, ['--test'], { NOHUP: 'yes', CORES: '0' }, [], by);
  const { code, stdout } = await finished(child);
  assert.deepEqual([code, child.signalCode], [0, null], stdout);
  const command = join(folder, 'command');
  if (fs.existsSync('/proc/self')) assert.match(fs.readFileSync(command, 'utf8'), /--test-concurrency=1/);
});

test('run.mjs starts the command although a package cannot be changed for packing', async () => {
  const folder = clone({ 'node_modules/@tensorflow/tfjs-node-gpu/package.json': '{ "half' });
  const { code, stdout } = await run(folder, ['summary']);
  assert.deepEqual([code, stdout], [0, 'cli summary\n']);
  const { stderr } = await run(folder, ['--build']);
  assert.match(stderr, /^not to be packed: @tensorflow\/tfjs-node-gpu in \S+: .*JSON.*\n$/);
});

test('run.mjs refuses an old Node.js', async () => {
  const folder = clone();
  const old = 'data:text/javascript,Object.defineProperty(process.versions,"node",{value:"20.10.0"})';
  const child = spawn(process.execPath, ['--import', old, 'scripts/run.mjs', 'summary'], { cwd: folder });
  const { code, stderr } = await finished(child);
  assert.deepEqual([code, stderr.includes('20.10.0: expected 20.11 or newer')], [1, true]);
});
