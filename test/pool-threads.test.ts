/** The threads of libuv's pool: what the module says, and what a started program has. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { poolThreads } from '../src/pool-threads.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-pool-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

test('poolThreads() says what libuv does with the variable', () => {
  const later = { node: 24, threads: ['node', 'V8Worker'] };
  const cases: [string, number][] = [
    ['12', 12],
    ['0', 1],
    ['many', 1],
    ['-3', 1],
    ['5000', 1024],
  ];
  for (const [value, expected] of cases) assert.equal(poolThreads({ ...later, asked: value }), expected, value);
  const initial = `HOME=/\0UV_THREADPOOL_SIZE=7\0`;
  const early = { node: 20, threads: ['node'], asked: '12' };
  assert.equal(
    poolThreads({ ...early, isModule: true, initial }),
    7,
    'Node.js 20 reads a module before the program sets it',
  );
  assert.equal(poolThreads({ ...early, isModule: true, initial: 'MY_UV_THREADPOOL_SIZE=7\0' }), 4);
  assert.equal(poolThreads({ ...early, isModule: false, initial }), 12);
  assert.equal(poolThreads({ ...early, node: 22, isModule: true, initial }), 12);
  assert.equal(poolThreads({ ...later, asked: '12', threads: ['node', ...Array(5).fill('libuv-worker')] }), 5);
});

/** Pretends a number of cores, and writes the number of threads once the pool has started. */
const PRELOAD = `
const os = require('node:os');
if (process.env.TEST_CORES) os.availableParallelism = () => Number(process.env.TEST_CORES);
const fs = require('node:fs');
process.once('beforeExit', () => fs.stat('.', () => {
  fs.writeFileSync(process.env.TEST_OUT, String(fs.readdirSync('/proc/self/task').length));
}));`;

const COUNTED = { skip: process.platform === 'linux' ? false : 'threads are counted in /proc' };

/** Runs a program. @returns how many threads it has, and what it prints. */
function threadsOf(file: string, env: NodeJS.ProcessEnv) {
  const preload = join(folder, 'preload.cjs');
  const out = join(folder, 'threads');
  fs.writeFileSync(preload, PRELOAD);
  const { UV_THREADPOOL_SIZE: _, NODE_OPTIONS: __, ...rest } = process.env;
  const args = ['--require', preload, file, '--help'];
  const options = { cwd: folder, env: { ...rest, TEST_OUT: out, ...env }, encoding: 'utf8' } as const;
  const printed = execFileSync(process.execPath, args, options);
  return { threads: Number(fs.readFileSync(out, 'utf8')), printed };
}

test(
  'the command and the scripts of a clone start the pool with a thread for each core, or as the user says',
  COUNTED,
  () => {
    for (const file of ['bin/threads.cjs', 'scripts/run.cjs']) {
      fs.mkdirSync(join(folder, dirname(file)), { recursive: true });
      fs.copyFileSync(join(ROOT, file), join(folder, file));
    }
    fs.writeFileSync(join(folder, 'scripts', 'run.mjs'), '');
    for (const file of [join(ROOT, 'bin', 'alexnet-split.cjs'), join(folder, 'scripts', 'run.cjs')]) {
      const poolOf = (env: NodeJS.ProcessEnv) => {
        return threadsOf(file, env).threads - threadsOf(file, { UV_THREADPOOL_SIZE: '1' }).threads + 1;
      };
      assert.equal(poolOf({ TEST_CORES: '11' }), 11, file);
      assert.equal(poolOf({ TEST_CORES: '1' }), 4, `${file}: never fewer than libuv's four`);
      assert.equal(poolOf({ TEST_CORES: '11', UV_THREADPOOL_SIZE: '6' }), 6, file);
    }
  },
);

test(
  'widenPool() widens the pool of a program where Node.js lets it, and says how many threads there are',
  COUNTED,
  () => {
    const module = JSON.stringify(new URL('../src/pool-threads.js', import.meta.url).href);
    for (const before of ['', `await import('node:fs/promises').then(({ stat }) => stat('.'));`]) {
      const file = join(folder, 'program.mjs');
      fs.writeFileSync(file, `${before} console.log((await import(${module})).widenPool(9));`);
      const { threads, printed } = threadsOf(file, {});
      const one = threadsOf(file, { UV_THREADPOOL_SIZE: '1' });
      assert.equal(Number(one.printed), 1);
      assert.equal(Number(printed), threads - one.threads + 1);
    }
  },
);
