/** Whole processes: threads with a device each, exit codes, the public import, the example of the docs. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Ended, ROOT, runNode, runProgram } from '../child.js';

/** By itself, well, and without a word on stderr. */
const ok = ({ code, signal, stderr }: Ended) => assert.deepEqual([code, signal, stderr], [0, null, '']);

test('useDevice() in two threads at once gives each its device, in one context', async () => {
  const ended = await runProgram('pinned-workers');
  ok(ended);
  const [first, second] = JSON.parse(ended.stdout);
  assert.match(first.device, /CPU:0$/);
  assert.match(second.device, /CPU:1$/);
  assert.deepEqual([first.value, second.value], [1, 1]);
  assert.match(first.context, /^[1-9]\d+$/);
  assert.equal(second.context, first.context);
});

test('a process that used TensorFlow ends with exit code 0, 20 times of 20', async () => {
  const left = Array.from({ length: 20 }, (_, i) => ['end', 'exit', 'terminate'][i % 3]!);
  const runner = async () => {
    for (let how = left.pop(); how; how = left.pop()) {
      const ended = await runProgram('ends', [how]);
      assert.deepEqual([ended.code, ended.signal, ended.stdout], [0, null, '2 2\n'], `${how}: ${ended.stderr}`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, runner));
});

test('openContext() gives as many logical CPUs as it is asked for', async () => {
  const ended = await runNode([
    '--input-type=module',
    '--eval',
    `import { listDevices } from ${JSON.stringify(new URL('../../../src/native/index.js', import.meta.url).href)};
     process.stdout.write(listDevices({ cpus: 3 }).map((each) => each.name).join());`,
  ]);
  ok(ended);
  assert.match(ended.stdout, /^CPU:0,CPU:1,CPU:2(,GPU:\d+)*$/);
});

test('openContext() has as many threads for an op as it is asked for, or as TF_NUM_INTRAOP_THREADS says', async (t) => {
  if (process.platform !== 'linux') return t.skip('threads are counted in /proc, which only Linux has');
  const { href } = new URL('../../../src/native/c/context.js', import.meta.url);
  const threadsWith = async (intraOpThreads: number, env: NodeJS.ProcessEnv): Promise<number> => {
    const ended = await runNode(
      [
        '--input-type=module',
        '--eval',
        `import { readdirSync } from 'node:fs';
         import { openContext } from ${JSON.stringify(href)};
         openContext({ intraOpThreads: ${intraOpThreads} });
         process.stdout.write(String(readdirSync('/proc/self/task').length));`,
      ],
      { TF_NUM_INTRAOP_THREADS: undefined, ...env },
    );
    ok(ended);
    return Number(ended.stdout);
  };
  const one = await threadsWith(1, {});
  // One alone is the caller's: there is no pool then.
  assert.ok((await threadsWith(9, {})) - one >= 8);
  assert.ok((await threadsWith(1, { TF_NUM_INTRAOP_THREADS: '9' })) - one >= 8);
  assert.ok((await threadsWith(9, { TF_NUM_INTRAOP_THREADS: '1' })) - one <= 1);
});

test("a child process does not take its parent's context for its own", async () => {
  const { href } = new URL('../../../src/native/c/context.js', import.meta.url);
  const child = `import { openContext } from ${JSON.stringify(href)}; process.stdout.write(openContext().devices[0].name);`;
  const parent = `import { openContext } from ${JSON.stringify(href)};
    import { spawnSync } from 'node:child_process';
    openContext();
    const { status } = spawnSync(process.execPath, ['--input-type=module', '--eval', ${JSON.stringify(child)}], { stdio: 'inherit' });
    process.exitCode = status ?? 9;`;
  const ended = await runNode(['--input-type=module', '--eval', parent]);
  ok(ended);
  assert.equal(ended.stdout, 'CPU:0');
});

test('alexnet-split/native is the public import', async () => {
  const native = await import('alexnet-split/native');
  assert.deepEqual(Object.keys(native).sort(), [
    'AttrType',
    'DataType',
    'NativeError',
    'SetupError',
    'backingDevice',
    'compile',
    'listDevices',
    'openContext',
    'runOp',
    'statelessNormal',
    'statelessUniform',
    'useDevice',
  ]);
  assert.equal(native.listDevices()[0]?.name, 'CPU:0');
});

test('the program in docs/native.md prints what the page says', async () => {
  const page = fs.readFileSync(join(ROOT, 'docs', 'native.md'), 'utf8');
  const program = /```js\n(\/\/ two-devices\.mjs\n.*?)```/s.exec(page)?.[1];
  const output = /It prints.*?```\n(.*?)```/s.exec(page)?.[1];
  assert.ok(program && output, 'the page has the program and its output');
  const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-doc-'));
  try {
    // A program of somebody else, who installed the package.
    fs.mkdirSync(join(folder, 'node_modules'));
    fs.symlinkSync(ROOT, join(folder, 'node_modules', 'alexnet-split'));
    fs.symlinkSync(join(ROOT, 'node_modules', '@tensorflow'), join(folder, 'node_modules', '@tensorflow'));
    fs.writeFileSync(join(folder, 'two-devices.mjs'), program);
    const ended = await runNode([join(folder, 'two-devices.mjs')]);
    ok(ended);
    assert.deepEqual(ended.stdout.split('\n').sort(), output.split('\n').sort());
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});
