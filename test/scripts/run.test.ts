/** Runs scripts/run.mjs in made-up clones, with an `npm` that only links the compiler. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const temporary = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-run-'));
after(() => fs.rmSync(temporary, { recursive: true, force: true }));

const NPM = `#!/bin/sh
echo "$@" >> npm-calls
if [ -e npm-fails ]; then echo "npm error E404 no such package" >&2; exit 1; fi
sleep 0.2
mkdir -p node_modules
ln -s "${join(ROOT, 'node_modules', 'typescript')}" node_modules/typescript
`;

const FILES = {
  'package.json': '{ "type": "module" }',
  'package-lock.json': '{ "packages": { "": {}, "node_modules/typescript": { "version": "7.0.2" } } }',
  'tsconfig.json': JSON.stringify({
    compilerOptions: {
      ...{ module: 'nodenext', target: 'es2022', strict: true, types: [], rootDir: '.', outDir: 'dist' },
      ...{ incremental: true, tsBuildInfoFile: 'dist/.tsbuildinfo' },
    },
    include: ['src', 'test'],
  }),
  'src/cli.ts': `declare const process: any, console: any;
    console.log('cli', ...process.argv.slice(2));
    if (process.argv.includes('seven')) process.exitCode = 7;
    export {};`,
  'src/cli/npm-script.ts': 'export const userFolder = () => undefined;',
  'src/native/install/fetch.ts': `declare const process: any, console: any;
    export async function ensureLibrary() {
      if (process.env.NO_LIBRARY) throw Object.assign(new Error('Cannot fetch'), { name: 'SetupError' });
      console.log('library');
    }`,
  'test/good.test.ts': `import test from 'node:test'; test('good() passes', () => {}); export {};`,
};

let clones = 0;

/** A new clone, with nothing installed. */
function clone(files: Record<string, string> = {}): string {
  const folder = join(temporary, `clone${++clones}`);
  const types = { 'src/node.d.ts': `declare module 'node:test' { const test: any; export default test; }` };
  for (const [path, text] of Object.entries({ ...FILES, ...types, ...files })) write(folder, path, text);
  write(folder, 'bin/npm', NPM);
  fs.chmodSync(join(folder, 'bin/npm'), 0o755);
  fs.cpSync(join(ROOT, 'scripts'), join(folder, 'scripts'), {
    recursive: true,
    filter: (path) => !path.endsWith('.ts'),
  });
  return folder;
}

function write(folder: string, path: string, text: string): void {
  const file = join(folder, path);
  fs.mkdirSync(dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
}

function start(folder: string, args: string[], extraEnv: NodeJS.ProcessEnv = {}): ChildProcess {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    ...extraEnv,
    PATH: [join(folder, 'bin'), process.env.PATH].join(delimiter),
  };
  for (const name of ['npm_execpath', 'NODE_TEST_CONTEXT', 'NODE_OPTIONS']) delete env[name];
  return spawn(process.execPath, ['scripts/run.mjs', ...args], { cwd: folder, env });
}

async function finished(child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const output = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk) => {
    output.stdout += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    output.stderr += chunk;
  });
  const [code] = await once(child, 'close');
  return { code, ...output };
}

const run = (folder: string, args: string[], env?: NodeJS.ProcessEnv) => finished(start(folder, args, env));

function npmCalls(folder: string): string[] {
  return fs.readFileSync(join(folder, 'npm-calls'), 'utf8').trim().split('\n');
}

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
    test('hangs', async () => { fs.writeFileSync('pid', String(process.pid)); await new Promise(() => setInterval(() => {}, 1000)); });`;
  const folder = clone({ 'test/good.test.ts': hang });
  const child = start(folder, ['--test']);
  const end = finished(child);
  const pidFile = join(folder, 'pid');
  while (!fs.existsSync(pidFile) || fs.readFileSync(pidFile, 'utf8') === '') await sleep(50);
  child.kill('SIGTERM');
  assert.notEqual((await end).code, 0);
  const pid = Number(fs.readFileSync(pidFile, 'utf8'));
  while (isRunning(pid)) await sleep(50); // the test's time limit ends this
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('run.mjs run twice at once sets up once', async () => {
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
  assert.match(both.map(({ stderr }) => stderr).join(''), /waiting for process \d+/);
});

test('run.mjs is not kept waiting by a process that was killed', { timeout: 60_000 }, async () => {
  const folder = clone();
  const killed = spawn(process.execPath, ['-e', '0']);
  await once(killed, 'close');
  write(folder, 'dist/.alexnet-split-setup', String(killed.pid));
  assert.equal((await run(folder, ['summary'])).code, 0);
});

test('run.mjs refuses an old Node.js', async () => {
  const folder = clone();
  const old = 'data:text/javascript,Object.defineProperty(process.versions,"node",{value:"20.10.0"})';
  const child = spawn(process.execPath, ['--import', old, 'scripts/run.mjs', 'summary'], { cwd: folder });
  const { code, stderr } = await finished(child);
  assert.deepEqual([code, stderr.includes('20.10.0: expected 20.11 or newer')], [1, true]);
});
