import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { LogEvent } from '../../src/log.js';
import type { Report } from '../../src/report/model.js';
import { EVAL, RUN_START, trainStep } from '../events.js';
import { logText, recorded } from '../report/logs.js';
import { type Outcome, run } from './stand-ins.js';
import { lenetRun } from './weights-runs.js';

const work = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'alexnet-split-report-')));
after(() => fs.rmSync(work, { recursive: true, force: true }));
process.chdir(work);

for (const [i, name] of (['single', 'resumed', 'split'] as const).entries()) {
  const log = join('runs', name, 'log.ndjson');
  fs.mkdirSync(join('runs', name), { recursive: true });
  fs.copyFileSync(recorded(name), log);
  fs.utimesSync(log, 1000 + i, 1000 + i);
}

function report(...argv: string[]): Promise<Outcome> {
  return run(['report', ...argv], { loadTrain: () => Promise.reject(new Error('report loads no TensorFlow')) });
}

async function jsonOf(...argv: string[]): Promise<Report> {
  const { exitCode, stdout, stderr } = await report(...argv, '--json');
  assert.equal(exitCode, 0, stderr.text);
  return JSON.parse(stdout.text) as Report;
}

test('report finds a run by its name, its folder, its log, a link to it, and the newest one without a name', async () => {
  fs.symlinkSync(join('runs', 'split', 'log.ndjson'), 'link.ndjson');
  const names = [
    'split',
    'runs/split',
    './runs/split/',
    'runs/split/log.ndjson',
    'link.ndjson',
    join(work, 'runs/split'),
  ];
  for (const name of names) {
    const { runs } = await jsonOf(name);
    assert.deepEqual(
      runs.map(({ run: own, steps }) => [own, steps]),
      [['split', 30]],
      name,
    );
  }
  const newest = await report('--json');
  assert.equal((JSON.parse(newest.stdout.text) as Report).runs[0]!.run, 'split');
  assert.equal(newest.stderr.text, 'the newest run: runs/split\n');
});

test('report refuses what it cannot use in one sentence', async () => {
  fs.mkdirSync('runs/bare');
  fs.writeFileSync('file.txt', '');
  execFileSync('mkfifo', ['pipe']);
  fs.linkSync('runs/split/log.ndjson', 'second-name.ndjson');
  const cases: [string[], number, RegExp][] = [
    [
      ['none'],
      2,
      /^Cannot report on the run none: there is no runs\/none or none, expected the name or the folder of a run, or its log\.ndjson$/,
    ],
    [['a/b'], 2, /^Cannot report on the run a\/b: there is no a\/b, expected /],
    [['bare'], 2, /^Cannot report on the run runs\/bare: it has no log\.ndjson; choose another run$/],
    [['split', 'runs/split/'], 2, /^Cannot report on runs\/split\/log\.ndjson twice; name each run once$/],
    [
      ['split', '--out', 'pipe/such.html'],
      1,
      /^Cannot write pipe\/such\.html: ENOTDIR: .*; choose another file with --out/,
    ],
    [['pipe'], 1, /^Cannot read the log pipe: it is not a plain file, expected the log\.ndjson of a run$/],
    [
      ['split', '--csv', '--out', 'runs/split/log.ndjson'],
      2,
      /^Cannot write runs\/split\/log\.ndjson: it is the log that the report reads; choose another file with --out$/,
    ],
    [['runs/split', '--json', '--out', 'second-name.ndjson'], 2, /^Cannot write second-name\.ndjson: it is the log /],
    [['split', '--csv', '--out', 'runs'], 1, /^Cannot write runs: .*; choose another file with --out$/],
    [['split', '--json', '--csv'], 2, /'--json' cannot be used with option '--csv'/],
    [['split', '--markdown', '--json'], 2, /'--markdown' cannot be used with option '--json'/],
    [['split', '--markdown', '--csv'], 2, /'--markdown' cannot be used with option '--csv'/],
    [['split', '--check', '--out', 'x'], 2, /'--check' cannot be used with option '--out/],
  ];
  for (const [argv, code, message] of cases) {
    const { exitCode, stdout, stderr } = await report(...argv);
    assert.deepEqual([exitCode, stdout.text, stderr.lines.length], [code, '', 1], `${argv.join(' ')}: ${stderr.text}`);
    assert.match(stderr.lines[0]!.replace(/^error: /, ''), message);
  }
});

const noFullDisk = fs.existsSync('/dev/full') ? false : 'there is no /dev/full here to stand for a full disk';

test('report --csv says in one sentence that the disk is full', { skip: noFullDisk }, async () => {
  const { exitCode, stderr } = await report('split', '--csv', '--out', '/dev/full');
  assert.equal(exitCode, 1);
  assert.match(stderr.text, /^error: Cannot write \/dev\/full: ENOSPC.*; choose another file with --out\n$/);
});

test('report without any run says so', async () => {
  fs.mkdirSync('elsewhere');
  process.chdir('elsewhere');
  try {
    const { exitCode, stderr } = await report();
    assert.equal(exitCode, 2);
    assert.match(
      stderr.text,
      /^error: Cannot report on the newest run: there is no run in runs; name a run, its folder or its log\.ndjson\n$/,
    );
  } finally {
    process.chdir(work);
  }
});

test("report writes a page into the run's folder, beside the folders of several runs, or to --out", async () => {
  const cases: [string[], string, RegExp][] = [
    [['split'], 'runs/split/report.html', /<title>split /],
    [['split', 'single'], 'runs/report.html', /<title>split against single /],
    [['split', 'single', 'resumed', '--out', 'many.html'], 'many.html', /<title>3 runs /],
  ];
  for (const [argv, file, title] of cases) {
    const { exitCode, stdout, stderr } = await report(...argv);
    assert.deepEqual([exitCode, stdout.text, stderr.text], [0, `${file}\n`, '']);
    const page = fs.readFileSync(file, 'utf8');
    assert.match(page, /^<!doctype html>/);
    assert.match(page, title);
    fs.rmSync(file);
  }
});

test('report --markdown and --json print, or write to --out', async () => {
  const printed = await report('split', 'single', '--markdown');
  assert.match(printed.stdout.text, /^# 2 runs\n/);
  assert.equal(printed.stderr.text, '');
  const written = await report('split', 'single', '--markdown', '--out', 'report.md');
  assert.equal(written.stdout.text, 'report.md\n');
  assert.equal(fs.readFileSync('report.md', 'utf8'), printed.stdout.text);
  await report('split', '--json', '--out', 'report.json');
  assert.deepEqual(JSON.parse(fs.readFileSync('report.json', 'utf8')), await jsonOf('split'));
});

test("report --csv writes steps.csv into the run's folder, or beside the folders of several runs", async () => {
  assert.equal((await report('resumed', '--csv')).stdout.text, 'runs/resumed/steps.csv\n');
  assert.equal(fs.readFileSync('runs/resumed/steps.csv', 'utf8').split('\r\n').length, 42);
  assert.equal((await report('split', 'single', '--csv')).stdout.text, 'runs/steps.csv\n');
  const names = fs
    .readFileSync('runs/steps.csv', 'utf8')
    .split('\r\n')
    .map((line) => line.split(',')[0]);
  assert.deepEqual([...new Set(names)], ['run', 'split', 'single', '']);
  await report('split', '--csv', '--out', 'all.csv');
  assert.match(fs.readFileSync('all.csv', 'utf8'), /^run,time,step,/);
});

test('report --check ends with 0 for a valid log, and with 1 and the first wrong line for another', async () => {
  const valid = await report('split', 'resumed', '--check');
  assert.equal(valid.exitCode, 0, valid.stdout.text);
  assert.match(
    valid.stdout.lines[0]!,
    /^runs\/split\/log\.ndjson: valid: \d+ lines, \d+ events, 1 start of a process$/,
  );
  assert.match(valid.stdout.lines[1]!, /2 starts of a process$/);
  const lines = fs.readFileSync(recorded('split'), 'utf8').split('\n');
  const at = lines.findIndex((line) => line.includes('"event":"train_step","step":9'));
  lines[at] = lines[at]!.replace(/"loss":[\d.]+/, '"loss":"high"');
  fs.writeFileSync('bad.ndjson', lines.join('\n'));
  const bad = await report('bad.ndjson', '--check');
  assert.equal(bad.exitCode, 1);
  assert.equal(bad.stdout.lines[0], `bad.ndjson: line ${at + 1}: train_step.loss: expected a number, found "high"`);
  assert.match(bad.stdout.lines.at(-1)!, /^bad\.ndjson: NOT valid: \d+ problems? in \d+ lines$/);
  const json = await report('split', 'bad.ndjson', '--check', '--json');
  assert.equal(json.exitCode, 1);
  const { logs } = JSON.parse(json.stdout.text);
  assert.deepEqual(
    logs.map(({ file, valid: isValid }: { file: string; valid: boolean }) => [file, isValid]),
    [
      ['runs/split/log.ndjson', true],
      ['bad.ndjson', false],
    ],
  );
  assert.deepEqual(logs[1].problems[0], { line: at + 1, message: 'train_step.loss: expected a number, found "high"' });
});

test("report takes the kernels from the run's weights; a log alone has none", async () => {
  const folder = await lenetRun('runs', 'lenet');
  const { runs } = await jsonOf('lenet');
  assert.deepEqual(runs[0]!.kernels, [
    { tower: 0, kernels: 3, colourShare: 0, colourKernels: 0 },
    { tower: 1, kernels: 3, colourShare: 0, colourKernels: 0 },
  ]);
  assert.equal(Buffer.from(runs[0]!.kernelPicture!, 'base64').subarray(1, 4).toString(), 'PNG');
  assert.deepEqual((await jsonOf(join(folder, 'log.ndjson'))).runs[0]!.kernels, []);
  const log = join(folder, 'log.ndjson');
  fs.writeFileSync(log, fs.readFileSync(log, 'utf8').replace('"table":"lenet"', '"table":"nonsense"'));
  const odd = await jsonOf('lenet');
  assert.deepEqual([odd.runs[0]!.kernels, odd.runs[0]!.kernelPicture], [[], undefined]);
});

test("report of an ablation's folder has its variants as groups", async () => {
  const folder = join('runs', 'ablation');
  const rows = ['baseline', 'no-norm', 'columns', 'tanh'].map((variant, i) => {
    const name = i < 2 ? variant : null;
    if (name !== null) {
      fs.mkdirSync(join(folder, name), { recursive: true });
      const config = { ...RUN_START.config, run: name, net: { norm: i === 0 } };
      const events: LogEvent[] = [
        { ...RUN_START, run: name, config },
        trainStep(1),
        trainStep(2),
        { ...EVAL, step: 2, top1: 0.5 + i / 10 },
      ];
      fs.writeFileSync(join(folder, name, 'log.ndjson'), logText(events));
    }
    return { variant, change: `change ${i}`, run: variant === 'tanh' ? 'tanh' : name, result: null };
  });
  fs.writeFileSync(join(folder, 'ablation.json'), JSON.stringify({ settings: {}, rows, missing: [] }));
  const { groups, runs, comparison } = await jsonOf('ablation');
  assert.deepEqual([runs.length, comparison], [2, undefined]);
  assert.deepEqual(
    groups?.map(({ name, change, top1 }) => [name, change, top1]),
    [
      ['baseline', 'change 0', 0.5],
      ['no-norm', 'change 1', 0.6],
    ],
  );
  assert.deepEqual((await report('ablation', '--json')).stderr.lines, [
    'warning: columns is left out: it has not been trained yet',
    `warning: tanh is left out: there is no ${join(folder, 'tanh', 'log.ndjson')}`,
  ]);
  for (const row of rows) row.run = '../../split';
  fs.writeFileSync(join(folder, 'ablation.json'), JSON.stringify({ settings: {}, rows, missing: [] }));
  const outside = await report('ablation', '--json');
  assert.equal(outside.exitCode, 2, 'a row cannot name a folder elsewhere');
  fs.writeFileSync(join(folder, 'ablation.json'), '{}');
  assert.match(
    (await report('ablation')).stderr.text,
    /^error: Cannot report on the ablation in .*ablation\.json: .*; choose another run\n$/,
  );
});

test('report as a command loads no TensorFlow', () => {
  const cli = fileURLToPath(new URL('../../src/cli.js', import.meta.url));
  const code = `process.argv = ['node', ${JSON.stringify(cli)}, 'report', 'split', '--json'];
    await import(process.argv[1]);
    const { createRequire } = await import('node:module');
    process.stderr.write(Object.keys(createRequire('/').cache).join('\\n'));`;
  const { stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
  assert.match(stderr, /sketches-js/);
  assert.doesNotMatch(stderr, /tfjs|koffi/);
});
