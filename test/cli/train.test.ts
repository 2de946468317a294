/** `train` around a stand-in for the training: its folder, its refusals, its signals. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { Printer } from '../../src/cli/output.js';
import type { RunLock } from '../../src/cli/run-lock.js';
import type { Services, TrainModule } from '../../src/cli/services.js';
import { recordedTraining } from '../../src/cli/train.js';
import { type Config, resolveConfig } from '../../src/config/config.js';
import { DataError } from '../../src/errors.js';
import type { LogEvent } from '../../src/log.js';
import { flags, machineWith } from '../config/machines.js';
import { RUN_END, RUN_START, WARNING } from '../events.js';
import { run, Screen, threeSteps, trainModule } from './stand-ins.js';

const base = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-train-'));
after(() => fs.rmSync(base, { recursive: true, force: true }));

/** An `--out` of its own. */
function newOut(): string {
  return fs.mkdtempSync(join(base, 'out-'));
}

const GENERATED = 'split-mini-20260203-040506';

test('train makes a folder with the settings and every event, in order', async () => {
  const out = newOut();
  const { exitCode, stderr } = await run(['train', '--out', out, '--run', 'r', '--batch-size', '5']);
  assert.deepEqual([exitCode, stderr.text], [0, '']);
  assert.deepEqual(fs.readdirSync(join(out, 'r')).sort(), ['config.json', 'log.ndjson']);
  const config = JSON.parse(fs.readFileSync(join(out, 'r', 'config.json'), 'utf8')) as Config;
  assert.deepEqual([config.run, config.out, config.batchSize, config.preset], ['r', out, 5, 'mini']);
  const log = fs
    .readFileSync(join(out, 'r', 'log.ndjson'), 'utf8')
    .trimEnd()
    .split('\n');
  assert.deepEqual(
    log.map((line) => (JSON.parse(line) as { event: string }).event),
    ['run_start', 'check', 'train_step', 'train_step', 'train_step', 'eval', 'run_end'],
  );
});

test('train uses the settings of its file and flags', async () => {
  const file = join(base, 'settings.json');
  fs.writeFileSync(file, JSON.stringify({ preset: 'lenet', batchSize: 12, steps: 9 }));
  const configs: Config[] = [];
  const train: TrainModule['train'] = async (config) => {
    configs.push(config);
    return { exitCode: 0, top1: 0, steps: 0 };
  };
  const flags = ['--config', file, '--batch-size', '6', '--epochs', '2', '--no-check', '--no-dropout', '--lr', '.5'];
  await run(['train', ...flags, '--devices', 'cpu:1,cpu:0', '--out', newOut()], { loadTrain: trainModule({ train }) });
  const [config] = configs;
  assert.deepEqual([config!.preset, config!.batchSize, config!.epochs, config!.steps], ['lenet', 6, 2, null]);
  assert.deepEqual([config!.check, config!.net.dropout, config!.optimizer.learningRate], [false, false, 0.5]);
  assert.deepEqual(config!.devices, ['CPU:1', 'CPU:0']);
});

test('train applies the flags for norms, overlap, crops, flips and colours', async () => {
  const configs: Config[] = [];
  const train: TrainModule['train'] = async (config) => {
    configs.push(config);
    return { exitCode: 0, top1: 0, steps: 0 };
  };
  const of = async (...flags: string[]) => {
    await run(['train', '--out', newOut(), ...flags], { loadTrain: trainModule({ train }) });
    return configs.at(-1)!;
  };
  const off = await of('--no-norm', '--no-overlap', '--no-crop', '--no-flip', '--resize', '80');
  assert.deepEqual([off.net.norm, off.net.overlap], [false, false]);
  assert.deepEqual([off.data.randomCrop, off.data.flip, off.data.resize], [false, false, 80]);
  const on = await of(
    '--preset',
    'tutorial',
    '--resize',
    '240',
    '--crop',
    '--flip',
    '--brightness',
    '.2',
    '--contrast',
    '.3',
  );
  assert.deepEqual([on.data.randomCrop, on.data.flip, on.data.brightness, on.data.contrast], [true, true, 0.2, 0.3]);
  assert.deepEqual([on.net.norm, on.data.saturation], [undefined, 0]);
  const mean = await of('--mean-image', '--crop-group', '32');
  assert.deepEqual([mean.data.meanImage, mean.data.cropGroup], [true, 32]);
  const plain = await of('--preset', 'imagenet', '--data', 'embedded', '--no-mean-image', '--crop-group', '1');
  assert.deepEqual([plain.preset, plain.data.meanImage, plain.data.cropGroup], ['imagenet', false, 1]);
});

test('train makes no folder before run_start, and logs earlier events after it', async () => {
  const out = newOut();
  const train: TrainModule['train'] = async (config, { report }) => {
    report(WARNING);
    assert.deepEqual(fs.readdirSync(out), []);
    report({ ...RUN_START, run: config.run });
    assert.deepEqual(fs.readdirSync(out), ['r']);
    return { exitCode: 0, top1: 0, steps: 0 };
  };
  const { exitCode } = await run(['train', '--out', out, '--run', 'r'], { loadTrain: trainModule({ train }) });
  assert.equal(exitCode, 0);
  const events = fs.readFileSync(join(out, 'r', 'log.ndjson'), 'utf8').match(/"event":"\w+"/g);
  assert.deepEqual(events, ['"event":"run_start"', '"event":"warning"']);
});

test("train writes the settings with which the training begins into the run's folder", async () => {
  const out = newOut();
  const train: TrainModule['train'] = async (config, { report, begin }) => {
    const measured = begin!({ ...config, data: { ...config.data, mean: [7, 8, 9], scale: 0.5 } });
    assert.equal(measured.run, 'r');
    report({ ...RUN_START, run: config.run, config: measured });
    return { exitCode: 0, top1: 0, steps: 0 };
  };
  const argv = ['train', '--out', out, '--run', 'r', '--mean', 'data', '--scale', 'data'];
  assert.equal((await run(argv, { loadTrain: trainModule({ train }) })).exitCode, 0);
  const { data } = JSON.parse(fs.readFileSync(join(out, 'r', 'config.json'), 'utf8')) as Config;
  assert.deepEqual([data.mean, data.scale], [[7, 8, 9], 0.5]);
});

test('train shows the events of a run that does not reach run_start', async () => {
  const train: TrainModule['train'] = async (_, { report }) => {
    report(WARNING);
    throw new DataError('Cannot read the images');
  };
  const { stderr } = await run(['train', '--out', newOut(), '--run', 'r'], { loadTrain: trainModule({ train }) });
  assert.equal(stderr.text, 'warning: mind the gap\nerror: Cannot read the images\n');
});

/** Trains a run under its lock, with the functions that `trainCommand` and `ablate` use. */
async function recorded(mode: { json?: boolean }, lock: RunLock, events: string[] = []) {
  const machine = machineWith('CPU:0', 'CPU:1');
  const { config } = resolveConfig([flags({ out: newOut(), run: 'r' })], machine);
  fs.mkdirSync(join(config.out, 'r'));
  const [stdout, stderr] = [new Screen(), new Screen()];
  const printers = { stdout: new Printer(stdout), stderr: new Printer(stderr) };
  const services = { ...printers, env: {}, loadTrain: trainModule({ train: threeSteps }) } as unknown as Services;
  const onEvent = ({ event }: LogEvent) => void events.push(event);
  await recordedTraining(config, [], mode, services, { lock, onEvent });
  return {
    log: fs.readFileSync(join(config.out, 'r', 'log.ndjson'), 'utf8'),
    stdout: stdout.text,
    stderr: stderr.text,
  };
}

test('train reports after run_start that the folder cannot be locked: to terminal, log and onEvent', async () => {
  const lock = { warning: 'it cannot be locked', release() {} };
  const events: string[] = [];
  const plain = await recorded({}, lock, events);
  assert.equal(plain.stderr, 'warning: it cannot be locked\n');
  assert.deepEqual(events.slice(0, 3), ['run_start', 'warning', 'check']);
  const json = await recorded({ json: true }, lock);
  for (const text of [plain.log, json.log, json.stdout]) {
    const lines = text.split('\n').filter((line) => line.includes('it cannot be locked'));
    assert.equal(lines.length, 1, text);
    assert.match(text, /^[^\n]*"event":"run_start"[^\n]*\n[^\n]*"message":"it cannot be locked"/);
  }
});

test('train releases the lock even if the log cannot be closed', async (t) => {
  const out = newOut();
  const train: TrainModule['train'] = async (config, { report }) => {
    report({ ...RUN_START, run: config.run });
    assert.ok(fs.existsSync(join(out, 'r', 'lock.json')));
    const failing = () => {
      throw new Error('EIO');
    };
    t.mock.method(fs, 'closeSync', failing, { times: 1 });
    syncBuiltinESMExports();
    return { exitCode: 0, top1: 0, steps: 0 };
  };
  const { exitCode, stderr } = await run(['train', '--out', out, '--run', 'r'], { loadTrain: trainModule({ train }) });
  t.mock.restoreAll();
  syncBuiltinESMExports();
  assert.deepEqual([exitCode, /^error: EIO /.test(stderr.text)], [1, true], stderr.text);
  assert.ok(!fs.existsSync(join(out, 'r', 'lock.json')));
});

test('train leaves nothing behind after it refused a run', async () => {
  const out = join(newOut(), 'not-yet');
  const refusals: [argv: string[], functions: Partial<TrainModule>, exitCode: number][] = [
    [['--batch-size', '0'], {}, 2],
    [['--devices', 'CPU:0,CPU:9'], {}, 2],
    [['--run', '../up'], {}, 2],
    [[], { train: () => Promise.reject(new DataError('Cannot read the images')) }, 1],
  ];
  for (const [argv, functions, expected] of refusals) {
    const { exitCode } = await run(['train', '--out', out, ...argv], { loadTrain: trainModule(functions) });
    assert.equal(exitCode, expected);
    assert.equal(fs.existsSync(out), false);
  }
});

test('train refuses a name that a folder or a file has, before it trains', async () => {
  const out = newOut();
  await run(['train', '--out', out, '--run', 'r']);
  fs.writeFileSync(join(out, 'file'), '');
  const before = fs.readFileSync(join(out, 'r', 'log.ndjson'), 'utf8');
  const again = ', and has no checkpoint yet; train it again from step 1 with --resume auto, delete it, or';
  for (const [name, why] of [
    ['r', again],
    ['file', ';'],
  ] as const) {
    const { exitCode, stderr } = await run(['train', '--out', out, '--run', name], { loadTrain: trainModule({}) });
    assert.equal(exitCode, 2);
    const folder = join(out, name);
    assert.equal(
      stderr.text,
      `error: Cannot use ${folder} for a new run: it exists already${why} choose another --run\n`,
    );
  }
  assert.equal(fs.readFileSync(join(out, 'r', 'log.ndjson'), 'utf8'), before);
  fs.mkdirSync(join(out, 'empty'));
  assert.equal((await run(['train', '--out', out, '--run', 'empty'])).exitCode, 0);
});

test('train refuses a name that another run took meanwhile', async () => {
  const out = newOut();
  const train: TrainModule['train'] = async (config, ui) => {
    fs.mkdirSync(join(out, config.run));
    fs.writeFileSync(join(out, config.run, 'config.json'), 'theirs');
    return threeSteps(config, ui);
  };
  const { exitCode, stderr } = await run(['train', '--out', out, '--run', 'r'], { loadTrain: trainModule({ train }) });
  assert.equal(exitCode, 2);
  assert.match(stderr.text, /it exists already/);
  assert.equal(fs.readFileSync(join(out, 'r', 'config.json'), 'utf8'), 'theirs');
});

test('train numbers a generated name that is taken', async () => {
  const out = newOut();
  for (let i = 0; i < 3; i++) assert.equal((await run(['train', '--out', out])).exitCode, 0);
  assert.deepEqual(fs.readdirSync(out).sort(), [GENERATED, `${GENERATED}-2`, `${GENERATED}-3`]);
  const config = JSON.parse(fs.readFileSync(join(out, `${GENERATED}-3`, 'config.json'), 'utf8')) as Config;
  assert.equal(config.run, `${GENERATED}-3`);
});

test('train makes another name if a run takes its name before it begins', async () => {
  const out = newOut();
  let arrived = 0;
  let open = () => {};
  const all = new Promise<void>((resolve) => {
    open = resolve;
  });
  // Each has looked at the names by then, and none has its folder.
  const train: TrainModule['train'] = async (config, ui) => {
    if (++arrived === 3) open();
    await all;
    assert.equal(config.run, GENERATED);
    return threeSteps(config, ui);
  };
  const flags = [[], ['--quiet'], ['--json']];
  const ended = await Promise.all(
    flags.map((each) => run(['train', '--out', out, ...each], { loadTrain: trainModule({ train }) })),
  );
  assert.deepEqual(
    ended.map(({ exitCode }) => exitCode),
    [0, 0, 0],
  );
  const names = [GENERATED, `${GENERATED}-2`, `${GENERATED}-3`];
  assert.deepEqual(fs.readdirSync(out).sort(), names);
  for (const name of names) {
    const read = (file: string) => fs.readFileSync(join(out, name, file), 'utf8');
    const [start] = read('log.ndjson').split('\n');
    const { run: logged, config } = JSON.parse(start!) as { run: string; config: Config };
    assert.deepEqual([logged, config.run, (JSON.parse(read('config.json')) as Config).run], [name, name, name]);
  }
  // Which of them is first is not said.
  const named = ended.map(({ stdout: { text } }) => new Set(text.match(new RegExp(`${GENERATED}(-\\d)?`, 'g'))));
  assert.deepEqual(named.flatMap((each) => [...each]).sort(), names);
});

test('train does not use an empty folder of its generated name, which another process just made', async () => {
  const out = newOut();
  fs.mkdirSync(join(out, GENERATED));
  assert.equal((await run(['train', '--out', out])).exitCode, 0);
  assert.deepEqual(fs.readdirSync(join(out, GENERATED)), []);
  assert.ok(fs.existsSync(join(out, `${GENERATED}-2`, 'log.ndjson')));
});

test('train explains in a sentence that its folder cannot be made, with a generated and a given name', async () => {
  const file = join(base, 'a-file');
  fs.writeFileSync(file, '');
  for (const name of [[], ['--run', 'r']]) {
    const { exitCode, stderr } = await run(['train', '--out', file, ...name], { loadTrain: trainModule({}) });
    assert.equal(exitCode, 1);
    const folder = join(file, name[1] ?? GENERATED);
    const reason = 'part of the path is a file; choose another with --out';
    assert.equal(stderr.text, `error: Cannot make the run's folder ${folder}: ${reason}\n`);
  }
});

/** A number that no list of users has. */
const NOBODY = 54_321;

test('train explains in a sentence that it may not write there', async () => {
  const out = newOut();
  fs.chmodSync(out, 0o500);
  await run(['train', '--out', newOut()]); // loads what another user may not read
  const isRoot = process.geteuid!() === 0;
  if (isRoot) process.seteuid!(NOBODY); // root may write everywhere
  try {
    const { exitCode, stderr } = await run(['train', '--out', out, '--run', 'r']);
    assert.equal(exitCode, 1);
    assert.match(stderr.text, /^error: Cannot make the run's folder .*EACCES.*; choose another with --out\n$/);
  } finally {
    if (isRoot) process.seteuid!(0);
  }
});

test('train prints the error of a failed run, and exits with its code', async () => {
  const out = newOut();
  const train: TrainModule['train'] = async (_, { report }) => {
    report(RUN_START);
    report({ ...RUN_END, status: 'failed', exit_code: 1, error: 'Cannot continue:\n the loss is NaN' });
    return { exitCode: 1, top1: Number.NaN, steps: 3 };
  };
  const { exitCode, stdout, stderr } = await run(['train', '--out', out], { loadTrain: trainModule({ train }) });
  assert.deepEqual([exitCode, stderr.text], [1, 'error: Cannot continue: the loss is NaN\n']);
  assert.match(stdout.lines.at(-1)!, /^failed: /);
});

for (const name of ['SIGINT', 'SIGTERM'] as const) {
  test(`train asks the run to end after its step on ${name}, and once only`, async () => {
    const before = process.listenerCount(name);
    const train: TrainModule['train'] = async (config, { report, signal }) => {
      report({ ...RUN_START, run: config.run });
      assert.equal(signal.aborted, false);
      assert.equal(process.listenerCount(name), before + 1);
      process.emit(name, name);
      assert.deepEqual([signal.aborted, signal.reason], [true, name]);
      // As npm passes it on.
      process.emit(name, name);
      assert.equal(process.listenerCount(name), before + 1, 'the same one does nothing more');
      report({ ...RUN_END, status: 'stopped', exit_code: 130 });
      return { exitCode: 130, top1: 0, steps: 1 };
    };
    const out = newOut();
    const { exitCode, stdout, stderr } = await run(['train', '--out', out, '--run', 'a b'], {
      loadTrain: trainModule({ train }),
    });
    assert.deepEqual([exitCode, stderr.text], [130, '']);
    assert.match(
      stdout.text,
      /\nstopping after this step; a second Ctrl-C or signal ends the process at once\nstopped: /,
    );
    assert.match(stdout.lines.at(-1)!, /; continue with alexnet-split train --resume '.*\/a b'$/);
    assert.equal(process.listenerCount(name), before);
  });
}

test('train removes its signal handlers at the end, even after a failure', async () => {
  const before = process.listenerCount('SIGINT');
  await run(['train', '--out', newOut()]);
  await run(['train', '--out', newOut()], { loadTrain: trainModule({ train: () => Promise.reject(new Error('x')) }) });
  assert.equal(process.listenerCount('SIGINT'), before);
});

test('train stops if the log cannot be written', async () => {
  const out = newOut();
  const train: TrainModule['train'] = async (config, ui) => {
    fs.mkdirSync(join(out, config.run, 'log.ndjson'), { recursive: true });
    return threeSteps(config, ui);
  };
  const { exitCode, stderr } = await run(['train', '--out', out, '--run', 'r'], { loadTrain: trainModule({ train }) });
  assert.equal(exitCode, 1);
  assert.match(stderr.text, /^error: Cannot write the log .*log\.ndjson: it is a folder; .*\n$/);
});
