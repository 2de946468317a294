/** What a training shows: on a terminal, in a pipe, quietly, for a program. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import type { Replaced, TrainModule } from '../../src/cli/services.js';
import type { LogEvent, Report } from '../../src/log.js';
import { CHECK, EVAL, RUN_END, RUN_START, trainStep, WARNING } from '../events.js';
import { run, Screen, trainModule } from './stand-ins.js';

const base = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-display-'));
after(() => fs.rmSync(base, { recursive: true, force: true }));

function reportAll(report: Report, ...events: LogEvent[]): void {
  for (const event of events) report(event);
}

/** Trains with these events. */
function show(events: readonly LogEvent[], argv: readonly string[] = [], replaced: Replaced = {}) {
  const train: TrainModule['train'] = async (_, { report }) => {
    reportAll(report, ...events);
    return { exitCode: 0, top1: 0, steps: 0 };
  };
  const out = fs.mkdtempSync(join(base, 'out-'));
  const args = ['train', '--out', out, '--run', 'r', '--batch-size', '4', ...argv];
  return run(args, { loadTrain: trainModule({ train }), ...replaced }).then((outcome) => ({ ...outcome, out }));
}

const STEPS = [1, 2, 3, 4, 5].map((step) => trainStep(step));
const START = { ...RUN_START, steps: 5 };
const RUN: LogEvent[] = [START, CHECK, ...STEPS, EVAL, RUN_END];

test('train prints plain lines without a terminal: the first step, each --log-every, the last', async () => {
  const { stdout, stderr, out } = await show(RUN, ['--log-every', '2']);
  assert.equal(stderr.text, '');
  assert.ok(stdout.lines[0]!.startsWith('preset mini: there is no GPU'));
  const expected = [
    'tower 0 on CPU:0, tower 1 on CPU:1',
    'data Fashion-MNIST: 5,000 training and 1,000 test images, from embedded',
    'net original: 30 parameters (20 and 10 by tower)',
    `run r: 5 steps of 4 images, 3 per epoch; log in ${out}/r/log.ndjson`,
    'check over 1 step: split and reference agree, worst relative difference 2.0e-7 (tower0/conv1/kernel), allowed 1.0e-3, 1 s',
    'step 1/5  epoch 1  loss 2.3000  top-1 0.250  200 images/s  ? left',
    'step 2/5  epoch 1  loss 2.3000  top-1 0.250  200 images/s  0 s left',
    'step 4/5  epoch 1  loss 2.3000  top-1 0.250  200 images/s  0 s left',
    'step 5/5  epoch 1  loss 2.3000  top-1 0.250  200 images/s  0 s left',
    'eval at step 3: loss 0.5000  top-1 0.8200  top-5 0.9900  (1,000 test images, 2 s)',
    `done: test accuracy 0.8200 after 3 steps, 200 images/s, 0 s; ${out}/r`,
  ];
  assert.deepEqual(stdout.lines.slice(1), expected);
});

test('train prints the rate since the line before, so that a small batch does not count alone', async () => {
  const small = trainStep(4, { images: 1, images_per_s: 50 }); // the last of an epoch, in 20 ms as the others
  const events: LogEvent[] = [START, ...STEPS.slice(0, 3), small, trainStep(5), RUN_END];
  const { stdout } = await show(events, ['--log-every', '2']);
  const rates = stdout.lines.filter((line) => line.startsWith('step ')).map((line) => /(\d+) images\/s/.exec(line)![1]);
  assert.deepEqual(rates, ['200', '200', '125', '200']);
});

test('train says at the end how many images were skipped, if any', async () => {
  const { stdout, out } = await show([START, { ...RUN_END, unreadable_images: 2 }]);
  const wanted = `done: test accuracy 0.8200 after 3 steps, 200 images/s, 0 s, 2 unreadable images skipped; ${out}/r`;
  assert.equal(stdout.lines.at(-1), wanted);
});

test('train says how many images are decoded at the same time, and why', async () => {
  const workers = { workers: 6, decoders: 6, cores: 8, reason: '8 cores, less one for each of 2 towers' };
  const { stdout } = await show([{ ...START, data_workers: workers }]);
  const line = 'data workers: 6, decoding 6 images at the same time (8 cores, less one for each of 2 towers)';
  assert.ok(stdout.lines.includes(line), stdout.text);
});

test('train prints the device that TensorFlow reports, if it is another one', async () => {
  const towers = RUN_START.towers.map((each) => ({ ...each, backing_device: '/device:CPU:0' }));
  const { stdout } = await show([{ ...START, towers }]);
  assert.ok(stdout.lines.includes('tower 0 on CPU:0, tower 1 on CPU:1 (TensorFlow reports /device:CPU:0)'));
});

test('train prints NaN, and a check that failed', async () => {
  const step = trainStep(1, { loss: Number.NaN });
  const { stdout } = await show([START, { ...CHECK, passed: false, worst_relative: Number.NaN }, step]);
  assert.match(stdout.text, /split and reference DIFFER, worst relative difference NaN \(tower0/);
  assert.match(stdout.text, /loss NaN/);
});

test('train prints warnings on stderr, and on a terminal above the view', async () => {
  const plain = await show([START, WARNING]);
  assert.equal(plain.stderr.text, 'warning: mind the gap\n');
  assert.doesNotMatch(plain.stdout.text, /mind the gap/);
  const stdout = new Screen(true);
  const terminal = await show([START, trainStep(1), WARNING, RUN_END], [], { stdout });
  assert.equal(terminal.stderr.text, '');
  assert.match(stdout.text, /warning: mind the gap\n/);
});

test('train --quiet prints the last line, and warnings on stderr', async () => {
  for (const isTTY of [false, true]) {
    const stdout = new Screen(isTTY);
    const { stderr, out } = await show([...RUN.slice(0, 3), WARNING, ...RUN.slice(3)], ['--quiet'], { stdout });
    assert.equal(stdout.text, `done: test accuracy 0.8200 after 3 steps, 200 images/s, 0 s; ${out}/r\n`);
    assert.equal(stderr.text, 'warning: mind the gap\n');
  }
});

test('train --json prints the events as the log has them, and notes on stderr', async () => {
  const stdout = new Screen(true);
  const { stderr, out } = await show(RUN, ['--json'], { stdout });
  const parsed = (text: string) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => ({ ...(JSON.parse(line) as object), time: 0 }));
  assert.deepEqual(parsed(stdout.text), parsed(fs.readFileSync(join(out, 'r', 'log.ndjson'), 'utf8')));
  assert.match(stderr.text, /^preset mini: .*\n$/);
});

// DEC private modes: hide the cursor, show it.
const [HIDDEN, SHOWN] = ['\u001b[?25l', '\u001b[?25h'];

test('train draws a view on a terminal, prints lines above it, and restores the cursor', async () => {
  const stdout = new Screen(true);
  await show(RUN, [], { stdout, env: { LANG: 'C.UTF-8' } });
  const view = stripVTControlCharacters(stdout.text).slice(-500);
  const expected = [
    '########################  5/5  0 s left  epoch 1',
    'loss 2.3000  ▁▁▁▁▁  top-1 0.250  since step 1',
    '200 images/s  tower 0: exchange 18%, wait 24%  tower 1: exchange 19%, wait 25%',
    'test top-1 0.8200  step 3  top-5 0.9900  loss 0.5000',
  ];
  assert.ok(view.includes(`${expected.join('\n')}\n`), view);
  assert.ok(view.includes(`${expected[3]}\ndone: test accuracy 0.8200`), view);
  assert.doesNotMatch(stdout.text, /step 2\/5/, 'no plain lines');
  const [evaluation, last] = [stdout.text.indexOf('eval at step 3: '), stdout.text.lastIndexOf('loss 2.3000')];
  assert.ok(evaluation > 0 && evaluation < last, 'the view is drawn again below the line');
  assert.equal(stdout.text.split(HIDDEN).length, 2);
  assert.ok(stdout.text.indexOf(SHOWN) > stdout.text.indexOf(HIDDEN));
  assert.match(stdout.lines.at(-1)!, /done: test accuracy 0\.8200/);
});

test('train uses no colours if NO_COLOR is set, ASCII without a UTF-8 locale, and lines on a dumb terminal', async () => {
  const screenOf = async (env: Record<string, string>) => {
    const stdout = new Screen(true);
    await show(RUN, [], { stdout, env });
    return stdout.text;
  };
  const cyan = '\u001b[36m';
  const plain = await screenOf({ NO_COLOR: '1' });
  assert.ok(!plain.includes(cyan) && plain.includes('loss 2.3000  _____  '), plain);
  assert.ok((await screenOf({})).includes(`loss 2.3000  ${cyan}_____`));
  const dumb = await screenOf({ TERM: 'dumb', LANG: 'C.UTF-8' });
  assert.ok(!dumb.includes('\u001b') && dumb.includes('step 1/5  epoch 1  loss 2.3000'), dumb);
});

test('train restores the cursor on a failure, and on the first signal, because the second ends the process', async () => {
  const failing: TrainModule['train'] = async (_, { report }) => {
    reportAll(report, START, trainStep(1));
    throw new Error('x');
  };
  const failed = new Screen(true);
  await show([], [], { stdout: failed, loadTrain: trainModule({ train: failing }) });
  assert.ok(failed.text.includes(SHOWN));
  const stopped = new Screen(true);
  const interrupted: TrainModule['train'] = async (_, { report }) => {
    reportAll(report, START, trainStep(1));
    process.emit('SIGINT', 'SIGINT');
    assert.ok(stopped.text.includes(SHOWN));
    assert.match(stopped.text, /stopping after this step; a second Ctrl-C or signal ends the process at once\n$/);
    reportAll(report, trainStep(2), EVAL, RUN_END);
    return { exitCode: 130, top1: 0, steps: 2 };
  };
  await show([], [], { stdout: stopped, loadTrain: trainModule({ train: interrupted }) });
  assert.equal(stopped.text.split(HIDDEN).length, 2, 'the view stays away');
  assert.match(stopped.text, /a second Ctrl-C or signal ends the process at once\neval at step 3.*\ndone: .*\n$/);
});
