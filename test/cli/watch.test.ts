/** `watch`: a training as its log shows it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { TAIL_BYTES } from '../../src/cli/live-state.js';
import { trainerOf } from '../../src/cli/run-lock.js';
import type { Replaced } from '../../src/cli/services.js';
import type { LogEvent } from '../../src/log.js';
import { eventWriter } from '../../src/log-writer.js';
import { CHECK, EVAL, RESUME, RUN_END, RUN_START, trainStep, WARNING } from '../events.js';
import { run, Screen } from './stand-ins.js';

const START: LogEvent = { ...RUN_START, steps: 5, config: { ...RUN_START.config, logEvery: 2 } };

/** The lines of events as a run writes them now. */
function linesOf(...events: readonly LogEvent[]): string {
  let text = '';
  const write = eventWriter({ write: (line: string) => (text += line) });
  events.forEach(write);
  return text;
}

/** An empty folder of a run, and its log. */
function runIn(t: TestContext) {
  const base = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-watch-'));
  t.after(() => fs.rmSync(base, { recursive: true, force: true }));
  const folder = join(base, 'r');
  fs.mkdirSync(folder);
  return { base, folder, file: join(folder, 'log.ndjson') };
}

/** Starts to watch. */
function watch(folder: string, replaced: Replaced = {}, ...flags: readonly string[]) {
  const [stdout, stderr] = [new Screen(), new Screen()];
  const screen = (replaced.stdout as Screen | undefined) ?? stdout;
  const ended = run(['watch', folder, ...flags], { stdout: screen, stderr, ...replaced });
  return {
    ended: ended.then(({ exitCode }) => exitCode),
    stdout: screen,
    stderr,
    async until(text: string): Promise<void> {
      for (let left = 4_000; !screen.text.includes(text); left--) {
        assert.ok(left > 0, `there is no ${JSON.stringify(text)} in ${screen.text}${stderr.text}`);
        await sleep(5);
      }
    },
  };
}

const places = (folder: string) => [
  'tower 0 on CPU:0, tower 1 on CPU:1',
  'data Fashion-MNIST: 5,000 training and 1,000 test images, from embedded',
  'net original: 30 parameters (20 and 10 by tower)',
  `run r: 5 steps of 4 images, 3 per epoch; log in ${folder}/log.ndjson`,
];
const CHECKED =
  'check over 1 step: split and reference agree, worst relative difference 2.0e-7 (tower0/conv1/kernel), allowed 1.0e-3, 1 s';
const EVALUATED = 'eval at step 3: loss 0.5000  top-1 0.8200  top-5 0.9900  (1,000 test images, 2 s)';
const STEP = 'epoch 1  loss 2.3000  top-1 0.250  200 images/s';

test('watch shows where a finished run ended, and writes nothing', async (t) => {
  const { folder, file } = runIn(t);
  const steps = [1, 2, 3].map((step) => trainStep(step));
  fs.writeFileSync(file, linesOf(START, CHECK, ...steps, EVAL, WARNING, RUN_END));
  const before = fs.statSync(file).mtimeMs;
  for (const named of [folder, `${folder}/`, file]) {
    const { ended, stdout, stderr } = watch(named);
    assert.equal(await ended, 0);
    assert.deepEqual(stdout.lines, [
      ...places(folder),
      CHECKED,
      `step 3/5  ${STEP}  0 s left`,
      EVALUATED,
      `done: test accuracy 0.8200 after 3 steps, 200 images/s, 0 s; ${folder}`,
    ]);
    assert.equal(stderr.text, 'warning: mind the gap\n');
  }
  assert.deepEqual(fs.readdirSync(folder), ['log.ndjson']);
  assert.equal(fs.statSync(file).mtimeMs, before);
});

test('watch waits for a log, shows what is added as train does, and ends with the run', async (t) => {
  const { folder, file } = runIn(t);
  const { ended, stdout, stderr, until } = watch(folder);
  await until(`waiting for ${file}, which does not exist yet\n`);
  fs.writeFileSync(file, linesOf(START));
  await until('log in ');
  fs.renameSync(file, `${file}.moved`);
  await until(`waiting for ${file}, which is gone\n`);
  fs.renameSync(`${file}.moved`, file);
  const line = linesOf(trainStep(1));
  fs.appendFileSync(file, line.slice(0, 50));
  await sleep(300);
  assert.ok(!stdout.text.includes('step 1/5'));
  fs.appendFileSync(file, line.slice(50));
  await until('step 1/5');
  fs.appendFileSync(file, `not an event\n${linesOf(trainStep(2), trainStep(3), EVAL, WARNING)}`);
  await until('eval at step 3');
  const failure: LogEvent = { ...RUN_END, status: 'failed', exit_code: 1, error: 'Cannot go on' };
  fs.appendFileSync(file, linesOf(trainStep(4), failure));
  assert.equal(await ended, 0);
  assert.deepEqual(
    stdout.lines.slice(1).map((each) => each.replace(/ {2}\S+( s)? left$/, '')),
    [
      ...places(folder),
      `waiting for ${file}, which is gone`,
      `step 1/5  ${STEP}`,
      `step 2/5  ${STEP}`,
      EVALUATED,
      `step 4/5  ${STEP}`,
      `failed: test accuracy 0.8200 after 3 steps, 200 images/s, 0 s; ${folder}`,
    ],
  );
  assert.equal(stderr.text, 'warning: mind the gap\nerror: Cannot go on\n');
});

test('watch and report --follow say at once that there is no such run, with the nearest name, or wait for it', async (t) => {
  const { base, folder } = runIn(t);
  fs.mkdirSync(join(base, 'runs', 'big-run'), { recursive: true });
  const before = process.cwd();
  process.chdir(base);
  t.after(() => process.chdir(before));
  const message =
    /^error: Cannot (watch|follow) the run big-rum: there is no folder runs\/big-rum \(did you mean big-run\?\); name a run, or wait for this one with --wait\n$/;
  for (const argv of [
    ['watch', 'big-rum'],
    ['report', 'big-rum', '--follow'],
  ]) {
    const { exitCode, stdout, stderr } = await run(argv);
    assert.deepEqual([exitCode, stdout.text], [2, '']);
    assert.match(stderr.text, message);
  }
  assert.match((await run(['report', 'x', '--wait'])).stderr.text, /^error: Cannot use --wait without --follow/);
  const later = join(base, 'later');
  const { ended, until } = watch(later, {}, '--wait');
  await until('which does not exist yet');
  fs.renameSync(folder, later);
  fs.writeFileSync(join(later, 'log.ndjson'), linesOf(START, trainStep(1), RUN_END));
  assert.equal(await ended, 0);
});

test('watch shows a resumed run from its last start, and follows it', async (t) => {
  const { folder, file } = runIn(t);
  const stopped: LogEvent = { ...RUN_END, status: 'stopped', exit_code: 130 };
  const again: LogEvent = { ...START, steps: 10 };
  fs.writeFileSync(file, linesOf(START, trainStep(1), stopped, again, RESUME, trainStep(2)));
  const { ended, stdout, until } = watch(folder);
  await until('step  2/10');
  assert.doesNotMatch(stdout.text, /stopped|step 1\/5|5 steps/);
  // The log of another run in its place.
  fs.writeFileSync(file, linesOf({ ...START, run: 'other', steps: 7 }, trainStep(1)));
  await until('step 1/7');
  assert.match(stdout.text, new RegExp(`another log is in the place of ${file} now\n(.*\n){3}run other: 7 steps`));
  fs.appendFileSync(file, linesOf(RUN_END));
  assert.equal(await ended, 0);
});

test('watch finds the start and the evaluation of a long log before the end that it reads', async (t) => {
  const { folder, file } = runIn(t);
  const steps = linesOf(trainStep(1)).repeat(Math.ceil((2 * TAIL_BYTES) / linesOf(trainStep(1)).length));
  fs.writeFileSync(file, linesOf(START, EVAL) + steps + linesOf(trainStep(2), RUN_END));
  const stdout = new Screen(true);
  assert.equal(await watch(folder, { stdout, env: { NO_COLOR: '1' } }).ended, 0);
  assert.ok(stdout.text.includes(`run r: 5 steps`) && stdout.text.includes('..  2/5  0 s left'), stdout.text);
  assert.ok(stdout.text.includes('test top-1 0.8200  step 3'), stdout.text);
});

test('watch says that the process is gone, with exit code 1, if it was killed', async (t) => {
  const { folder, file } = runIn(t);
  const url = JSON.stringify(new URL('../../src/cli/run-lock.js', import.meta.url).href);
  const program = `import { lockNow } from ${url}; lockNow(process.argv[1]); setInterval(() => {}, 1000); console.log('held');`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program, folder], { stdio: 'pipe' });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  const old = linesOf(START, trainStep(1)).replaceAll(/"time":\d+/g, '"time":1000');
  fs.writeFileSync(file, old);
  const { ended, stdout, stderr, until } = watch(folder);
  await until('step 1/5');
  await until(`: process ${child.pid} on `); // it stands still and is there
  assert.match(
    stdout.text,
    /no new line in \S+ for \S+: process \d+ on \S+ still trains there, and may be evaluating;/,
  );
  assert.equal(trainerOf(folder).state, 'runs');
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(await ended, 1);
  assert.match(
    stderr.text,
    /^error: Cannot watch \S+ any longer: process \d+ on \S+, which trained there, is gone, .* continue the run with --resume \S+\n$/,
  );
  assert.deepEqual(fs.readdirSync(folder).sort(), ['lock.json', 'log.ndjson']);
  assert.equal(trainerOf(folder).state, 'gone');
  fs.rmSync(join(folder, 'lock.json'));
  assert.equal(trainerOf(folder).state, 'unknown');
});

test('watch ends with 130 at Ctrl-C, and restores the cursor', async (t) => {
  const { folder, file } = runIn(t);
  fs.writeFileSync(file, linesOf(START, trainStep(1)));
  const stdout = new Screen(true);
  const { ended, until } = watch(folder, { stdout });
  await until('loss 2.3000');
  assert.ok(!stdout.text.includes('\u001b[?25h'));
  process.emit('SIGINT', 'SIGINT');
  assert.equal(await ended, 130);
  assert.ok(stdout.text.endsWith('\u001b[?25h'));
});

test('watch refuses an invalid name, and the folder of an ablation', async (t) => {
  const { base } = runIn(t);
  const invalid = await run(['watch', '.hidden']);
  assert.equal(invalid.exitCode, 2);
  fs.writeFileSync(join(base, 'ablation.json'), '{}');
  fs.writeFileSync(join(base, 'r', 'log.ndjson'), '');
  const { exitCode, stderr } = await run(['watch', base]);
  assert.equal(exitCode, 2);
  assert.equal(
    stderr.text,
    `error: Cannot watch ${base}: it is the folder of an ablation, expected one run; choose one of the folders in it\n`,
  );
});
