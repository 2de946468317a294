/** Sentences about what takes long. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import type { TrainModule } from '../../src/cli/services.js';
import { breakSilence } from '../../src/cli/silence.js';
import { RUN_END, RUN_START, trainStep } from '../events.js';
import { run, Screen, trainModule } from './stand-ins.js';
import { lenetRun } from './weights-runs.js';

test('breakSilence() prints after two seconds, progress again every ten seconds, and nothing after the end', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const lines: string[] = [];
  const { busy, end } = breakSilence((line) => lines.push(line));
  busy('opening');
  t.mock.timers.tick(1_999);
  busy('reading');
  t.mock.timers.tick(1_999);
  assert.deepEqual(lines, []);
  t.mock.timers.tick(1);
  t.mock.timers.tick(60_000);
  assert.deepEqual(lines, ['reading']);
  let done = 0;
  busy(() => `${++done} of 9`);
  t.mock.timers.tick(2_000);
  t.mock.timers.tick(10_000);
  assert.deepEqual(lines, ['reading', '1 of 9', '2 of 9']);
  end();
  t.mock.timers.tick(60_000);
  assert.equal(lines.length, 3);
});

/** A training whose towers take three seconds to open, and its first step too. */
async function slowTraining(t: TestContext, flags: readonly string[], [isTTY, isErrTTY] = [false, true]) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-silence-'));
  t.after(() => fs.rmSync(out, { recursive: true }));
  const train: TrainModule['train'] = async (_, { report, busy }) => {
    busy?.('opening CPU:0 and CPU:1');
    t.mock.timers.tick(3_000);
    report(RUN_START);
    busy?.('the first step');
    t.mock.timers.tick(3_000);
    report(trainStep(1));
    busy?.('soon done');
    t.mock.timers.tick(1_000);
    report(trainStep(2));
    t.mock.timers.tick(3_000);
    report(RUN_END);
    return { exitCode: 0, top1: 0, steps: 1 };
  };
  const stdout = new Screen(isTTY);
  const argv = ['train', '--out', out, '--run', 'r', ...flags];
  const stderr = new Screen(isErrTTY);
  const outcome = await run(argv, { loadTrain: trainModule({ train }), stdout, stderr });
  return { ...outcome, stdout, stderr };
}

test('train says what takes long on stderr if that is a terminal, or above the view; not with --quiet or --json', async (t) => {
  const said = 'opening CPU:0 and CPU:1\nthe first step\n';
  const plain = await slowTraining(t, []);
  assert.equal(plain.stderr.text.replace(/^loading .*\n/m, ''), said, plain.stdout.text);
  t.mock.timers.reset();
  assert.equal((await slowTraining(t, [], [false, false])).stderr.text, '', 'stderr in a file');
  t.mock.timers.reset();
  const terminal = await slowTraining(t, [], [true, true]);
  assert.doesNotMatch(terminal.stderr.text, /opening|first step/);
  assert.match(terminal.stdout.text, /^opening CPU:0 and CPU:1\n[\s\S]*the first step\n[\s\S]*loss/m);
  for (const flag of ['--quiet', '--json']) {
    t.mock.timers.reset();
    assert.doesNotMatch((await slowTraining(t, [flag])).stderr.text, /opening|first step/);
  }
});

test('on a terminal, stderr says before TensorFlow is loaded, or large files are read or written, that this begins', async (t) => {
  const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-announce-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const out = join(folder, 'net.safetensors');
  const home = await lenetRun(folder, 'big');
  const library = {
    ...{ framework: '', tensorflow: '', source: 'cache' as const },
    ...{ flavour: 'cpu' as const, nvidiaFolders: [] },
  };
  const commands: [argv: string[], sentence: string][] = [
    [['devices'], 'loading TensorFlow\n'],
    [['doctor'], 'loading TensorFlow\n'],
    [['eval', '--run', home], 'loading TensorFlow\n'],
    [['train', '--print-config', '--preset', 'mini'], ''],
    [['export', '--run', home, '--out', out], `writing ${out}\n`],
    [['import', out, '--run', 'in', '--out', folder], `loading TensorFlow\nreading ${out}\n`],
    [['kernels', '--run', home], `reading the weights of ${home}\n`],
  ];
  for (const [argv, sentence] of commands) {
    for (const isTTY of [true, false]) {
      const stderr = new Screen(isTTY);
      if (argv[0] === 'import') fs.rmSync(join(folder, 'in'), { recursive: true, force: true });
      if (argv[0] === 'export') fs.rmSync(out, { force: true });
      await run(argv, {
        stderr,
        examineLibrary: async () => ({ library, nvidia: false, hidden: false, cuda: [] }),
      });
      const announced = stderr.text.split('\n').filter((line) => /^(loading TensorFlow|reading|writing) ?/.test(line));
      assert.equal(announced.map((line) => `${line}\n`).join(''), isTTY ? sentence : '', argv.join(' '));
    }
  }
});
