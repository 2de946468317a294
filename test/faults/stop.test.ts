/** A signal to a training in each phase: its exit code, its messages, and what it saves. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { until } from '../../scripts/signals-test.js';
import { collect, type Ended, eventsIn } from '../../scripts/trainer.js';
import { checkpointsFolder, newestCheckpoint, stepsIn } from '../../src/checkpoint/store.js';
import type { Config } from '../../src/config/config.js';
import type { EventOf, LogEvent } from '../../src/log.js';
import { inProcess } from '../cli/in-process.js';
import { lenetFlags } from '../data/sets.js';
import { childWithFault } from './fault.js';

const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url));
const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-stop-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const LENET = ['train', ...lenetFlags(folder), '--momentum', '0.9'];
/** With a thread less, where the number of towers makes no difference. */
const SINGLE = ['--placement', 'single', '--devices', 'CPU:0', '--no-check'];
process.chdir(folder); // for trainings in this process

const NO_FAULT: ReturnType<typeof childWithFault> = { args: [], env: process.env };

function start(args: readonly string[], { args: node, env } = NO_FAULT) {
  const program = [...node, CLI, ...LENET, ...args];
  const child = spawn(process.execPath, program, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], env });
  return { child, ...collect(child) };
}

/** Trains where no signal is to come. */
const train = (...args: string[]) => inProcess([...LENET, ...args]);

/** Trains, and calls `act` once stdout has the cue. */
async function trainUntil(
  args: readonly string[],
  cue: string | RegExp,
  act: (child: ChildProcess) => void,
  fault = NO_FAULT,
): Promise<Ended> {
  const { child, hasPrinted, ended } = start(args, fault);
  await hasPrinted(cue);
  act(child);
  return ended;
}

const checkpoints = (run: string) => checkpointsFolder(join(folder, 'runs', run));
const logOf = (run: string) => eventsIn(join(folder, 'runs', run));
const endOf = (run: string) => logOf(run).at(-1) as EventOf<'run_end'>;
const stepsOf = (name: 'train_step' | 'eval' | 'resume', log: readonly LogEvent[]) =>
  log.flatMap((event) => (event.event === name ? [event.step] : []));

/** The run's last words, and a checkpoint of the step they name. */
function assertStopped(run: string, { code, signal, stderr }: Ended, expected: number): number {
  assert.deepEqual([code, signal, stderr], [expected, null, '']);
  const end = endOf(run);
  assert.deepEqual([end.event, end.status, end.exit_code], ['run_end', 'stopped', expected]);
  const { found, skipped } = newestCheckpoint(checkpoints(run));
  assert.deepEqual([found?.state.step, skipped], [end.steps, []]);
  return end.steps;
}

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGUSR1: 128 + constants.signals.SIGUSR1 } as const;

// A test below has SIGTERM.
for (const name of ['SIGINT', 'SIGUSR1'] as const) {
  const expected = EXIT_CODES[name];
  test(`train ends with ${expected} after its step on ${name}, and saves what can be resumed`, async () => {
    const args = ['--run', name, '--steps', '400', ...(name === 'SIGINT' ? ['--no-check'] : SINGLE)];
    const ended = await trainUntil(args, 'step  10/', (child) => child.kill(name));
    const steps = assertStopped(name, ended, expected);
    assert.match(ended.stdout, /\nstopping after this step; a second Ctrl-C or signal ends the process at once\n/);
    assert.ok(steps >= 10 && steps < 400);
    // Resuming asks for no signal.
    if (name !== 'SIGINT') return;
    const resumed = await train('--run', name, '--no-check', '--resume', 'auto', '--steps', `${steps + 2}`);
    assert.deepEqual([resumed.code, resumed.stderr], [0, '']);
    const log = logOf(name);
    assert.deepEqual(stepsOf('resume', log), [steps]);
    assert.deepEqual(
      stepsOf('train_step', log),
      [...Array(steps + 2).keys()].map((i) => i + 1),
    );
  });
}

test('train stops in its check and in its first step, when there is nothing to save', async () => {
  for (const [run, cue, args] of [
    ['in-check', 'log in', []],
    ['in-warm-up', 'log in', SINGLE],
  ] as const) {
    const ended = await trainUntil(['--run', run, '--steps', '400', ...args], cue, (child) => child.kill('SIGTERM'));
    assert.deepEqual([ended.code, ended.signal, ended.stderr], [143, null, '']);
    const end = endOf(run);
    assert.deepEqual([end.event, end.status, end.exit_code], ['run_end', 'stopped', 143]);
    assert.deepEqual(stepsIn(checkpoints(run)).length, end.steps > 0 ? 1 : 0);
  }
});

test('train stops in set-up with the exit code of the signal, and leaves no folder', async () => {
  const ended = await trainUntil(['--data', 'embedded', '--run', 'set-up'], 'preset lenet', (child) =>
    child.kill('SIGTERM'),
  );
  // Before it listens the signal ends it, as it does any process.
  assert.ok(ended.code === 143 || ended.signal === 'SIGTERM', JSON.stringify(ended));
  assert.equal(fs.existsSync(join(folder, 'runs', 'set-up')), false);
});

test('train stops while the mean image is computed, with the exit code of the signal', async () => {
  const images = join(folder, 'images');
  const large = await sharp({ create: { width: 1500, height: 1500, channels: 3, background: '#123' } })
    .jpeg()
    .toBuffer();
  for (const part of ['train', 'val']) {
    for (const name of ['a', 'b']) fs.mkdirSync(join(images, part, name), { recursive: true });
  }
  fs.writeFileSync(join(images, 'val', 'a', '0.jpg'), large);
  // Far more than can be read until the signal is there.
  const places = [['val', 'b', '0'], ...Array.from({ length: 20_000 }, (_, i) => ['train', 'ab'[i % 2]!, String(i)])];
  for (const place of places) fs.linkSync(join(images, 'val', 'a', '0.jpg'), `${join(images, ...place)}.jpg`);
  const cue = /mean of the training images, computed once: [\d,]+ of 20,000/;
  const args = ['--preset', 'imagenet', '--data', images, '--width', '0.1', '--run', 'mean'];
  const ended = await trainUntil(args, cue, (child) => child.kill('SIGUSR1'));
  assert.deepEqual([ended.code, ended.signal, ended.stderr], [EXIT_CODES.SIGUSR1, null, '']);
  assert.match(ended.stdout, /\nstopping after this step; a second Ctrl-C or signal ends the process at once\n$/);
  assert.ok(!fs.existsSync(join(folder, 'runs', 'mean')));
});

test('train stops in an evaluation, saves, and evaluates when it is resumed', async () => {
  // Each of its ten batches is slow, so that the signal comes while it lasts.
  const args = [...SINGLE, '--run', 'eval', '--batch-size', '4', '--eval-every', '5'];
  const { child, ended: end } = start([...args, '--steps', '400'], childWithFault('slow@evaluate:5 single'));
  assert.ok(await until(() => stepsOf('train_step', logOf('eval')).includes(5), 60_000));
  child.kill('SIGTERM');
  const ended = await end;
  const steps = assertStopped('eval', ended, 143);
  assert.equal(steps, 5, 'it is in the evaluation');
  assert.ok(logOf('eval').every(({ event }) => event !== 'eval'));
  assert.equal((await train(...args, '--resume', 'auto', '--steps', '6')).code, 0);
  assert.deepEqual(stepsOf('eval', logOf('eval')), [5, 6]);
});

test('train ends at once with the second signal, and the checkpoints stay complete', async () => {
  // A step that does not end, so that the run is still there when the second signal comes.
  const args = [...SINGLE, '--run', 'twice', '--steps', '4000', '--checkpoint-every', '1'];
  const killUntilEnd = (child: ChildProcess) => {
    // The process is in that step when the first one comes. One that comes while it removes its handlers has no effect.
    const timer = setInterval(() => child.kill('SIGTERM'), 1_500);
    child.once('close', () => clearInterval(timer));
  };
  const ended = await trainUntil(args, 'step   10/', killUntilEnd, childWithFault('hang@forward:11 single'));
  assert.deepEqual([ended.code, ended.signal], [null, 'SIGTERM']);
  const { found, skipped } = newestCheckpoint(checkpoints('twice'));
  assert.ok(found!.state.step >= 8);
  assert.deepEqual(skipped, []);
});

test('train --resume auto starts a new run if there is none, and begins again one that saved nothing', async () => {
  const args = ['--run', 'fresh', '--resume', 'auto', '--no-check', '--steps', '2'];
  const first = await trainUntil(args, 'log in', (child) => child.kill('SIGKILL'));
  assert.equal(first.signal, 'SIGKILL');
  const other = await train(...args, '--lr', '0.1');
  assert.equal(other.code, 2);
  assert.match(
    other.stderr,
    /^error: Cannot begin the run fresh again: optimizer\.learningRate is 0\.05 in .* and 0\.1 now;/,
  );
  // Without the flags that it began with.
  const second = await inProcess(['train', '--run', 'fresh', '--resume', 'auto']);
  assert.deepEqual([second.code, second.stderr], [0, '']);
  assert.match(
    second.stdout,
    /^runs\/fresh has no checkpoint yet: the run begins again with step 1 and .*config\.json$/m,
  );
  const config = JSON.parse(fs.readFileSync(join(folder, 'runs', 'fresh', 'config.json'), 'utf8')) as Config;
  assert.deepEqual([config.net.table, config.optimizer.learningRate, config.steps], ['lenet', 0.05, 2]);
  const events = logOf('fresh').map(({ event }) => event);
  const expected =
    'run_start activations memory train_step exchange train_step eval activations memory checkpoint run_end'.split(' ');
  assert.deepEqual(events.slice(-expected.length), expected);
});

test('train --resume explains in a sentence what it cannot resume', async () => {
  const good = [...SINGLE, '--run', 'good', '--steps', '4', '--checkpoint-every', '2', '--keep', '5'];
  assert.equal((await train(...good)).code, 0);
  const at = (step: number) => join('runs', 'good', 'checkpoints', String(step).padStart(10, '0'));
  const cases: [args: string[], code: number, message: RegExp][] = [
    [['--resume', 'auto'], 2, /^error: Cannot resume: --resume auto needs the name of a run; add --run NAME/],
    [['--resume', 'nowhere'], 2, /^error: Cannot resume from nowhere: it does not exist, expected a checkpoint/],
    [['--resume', at(2), '--width', '0.5'], 2, /net\.width is 1 there, and 0\.5 now/],
    [['--resume', at(2), '--run', 'SIGINT'], 2, /it exists already; choose another --run/],
  ];
  for (const [args, code, message] of cases) {
    const ended = await train(...args);
    assert.equal(ended.code, code, ended.stderr);
    assert.match(ended.stderr, message);
    assert.match(ended.stderr, /^error: [^\n]+\n$/, 'one line');
  }
  // A damaged checkpoint is skipped, and the one before is used.
  fs.truncateSync(join(folder, at(4), 'state.json'), 10);
  const resumed = await train(...SINGLE, '--resume', 'runs/good', '--steps', '5', '--keep', '5');
  assert.equal(resumed.code, 0);
  assert.match(
    resumed.stderr,
    /^warning: skipped the checkpoint runs\/good\/checkpoints\/0000000004: state\.json has 10 bytes, and its manifest says \d+\n$/,
  );
  assert.match(resumed.stdout, /^resuming after step 2 from runs\/good\/checkpoints\/0000000002$/m);
  for (const step of stepsIn(checkpoints('good'))) fs.rmSync(join(folder, at(step), 'manifest.json'));
  const none = await train('--resume', 'auto', '--run', 'good');
  assert.equal(none.code, 1);
  assert.match(
    none.stderr,
    /^error: Cannot resume runs\/good: none of its checkpoints is complete \(.*0000000005: manifest\.json is not there; .*\); start a new run/,
  );
});

test('exitSoon() ends the process although a thread is stuck in C', async () => {
  const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  const stuck = `import koffi from 'koffi'; import { parentPort } from 'node:worker_threads';
    const sleep = koffi.load(null).func('int usleep(uint32_t us)'); parentPort.postMessage('ready'); sleep(60_000_000);`;
  const program = `
    import { Worker } from 'node:worker_threads';
    import { exitSoon, stopOnSignal } from ${url('../../src/cli/stop.js')};
    const worker = new Worker(new URL('data:text/javascript,' + ${JSON.stringify(encodeURIComponent(stuck.replace("'koffi'", `'${import.meta.resolve('koffi')}'`)))}));
    stopOnSignal(() => {
      exitSoon(143);
      worker.terminate();
    });
    worker.once('message', () => setTimeout(() => console.log('ready'), 100));`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout.once('data', () => child.kill('SIGTERM'));
  const ended = await new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
  assert.deepEqual(ended, { code: 143, signal: null });
});
