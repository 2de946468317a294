/** Whole processes: threads with their own devices, exit codes, the public import. */
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { type Ended, runNode, runProgram } from '../child.js';

/** The process ended by itself, with 0, and wrote nothing to stderr. */
const ok = ({ code, signal, stderr }: Ended) => assert.deepEqual([code, signal, stderr], [0, null, '']);

test('useDevice() gives two threads their own devices in one context', async () => {
  const ended = await runProgram('pinned-workers');
  ok(ended);
  const [first, second] = JSON.parse(ended.stdout);
  assert.match(first.device, /CPU:0$/);
  assert.match(second.device, /CPU:1$/);
  assert.deepEqual([first.value, second.value], [1, 1]);
  assert.match(first.context, /^[1-9]\d+$/);
  assert.equal(second.context, first.context);
});

/** Each way three times; with `FAULTS=all` often enough to find what goes wrong in one of ten. */
const ENDS = process.env.FAULTS === 'all' ? 30 : 9;

test(`a process that used TensorFlow ends with exit code 0, in ${ENDS} of ${ENDS} runs`, async () => {
  const left = Array.from({ length: ENDS }, (_, i) => ['end', 'exit', 'terminate'][i % 3]!);
  const runner = async () => {
    for (let how = left.pop(); how; how = left.pop()) {
      const ended = await runProgram('ends', [how]);
      assert.deepEqual([ended.code, ended.signal, ended.stdout], [0, null, '2 2\n'], `${how}: ${ended.stderr}`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, runner));
});

test('openContext() makes the logical CPUs and the threads that it is asked for, or those of TF_NUM_INTRAOP_THREADS', async (t) => {
  if (process.platform !== 'linux') return t.skip('threads are counted in /proc, which only Linux has');
  const { href } = new URL('../../../src/native/c/context.js', import.meta.url);
  const threadsWith = async (intraOpThreads: number, env: NodeJS.ProcessEnv): Promise<number> => {
    const program = `import { readdirSync } from 'node:fs';
      import { openContext } from ${JSON.stringify(href)};
      const { devices } = openContext({ cpus: 3, intraOpThreads: ${intraOpThreads} });
      const names = devices.map((each) => each.name).join();
      process.stdout.write(JSON.stringify([names, readdirSync('/proc/self/task').length]));`;
    const ended = await runNode(['--input-type=module', '--eval', program], {
      ...{ TF_NUM_INTRAOP_THREADS: undefined, ...env },
    });
    ok(ended);
    const [names, threads] = JSON.parse(ended.stdout);
    assert.match(names, /^CPU:0,CPU:1,CPU:2(,GPU:\d+)*$/);
    return threads;
  };
  const [one, nine, nineByVariable, oneByVariable] = (await Promise.all([
    threadsWith(1, {}),
    threadsWith(9, {}),
    threadsWith(1, { TF_NUM_INTRAOP_THREADS: '9' }),
    threadsWith(9, { TF_NUM_INTRAOP_THREADS: '1' }),
  ])) as [number, number, number, number];
  // A single thread is the caller's: then there is no pool.
  assert.ok(nine - one >= 8);
  assert.ok(nineByVariable - one >= 8);
  assert.ok(oneByVariable - one <= 1);
});

test("openContext() in a child process does not use the parent's context", async () => {
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
