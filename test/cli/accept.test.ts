/** `accept`: its table, its file, its exit codes; and the quick form on this machine. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { collect } from '../../scripts/trainer.js';
import type { AcceptModule } from '../../src/cli/services.js';
import type { AcceptReport, Row } from '../../src/train/accept/report.js';
import { newReport } from '../../src/train/accept/report.js';
import { fakeGpus } from '../fake-gpu/fake-gpu.js';
import { environment, runNode } from '../native/child.js';
import { run } from './stand-ins.js';

// Before any test: the runner takes an await between them for the end.
const gpus = await fakeGpus();

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-accept-test-'));
after(() => fs.rmSync(folder, { recursive: true }));
const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url));

const ROWS: Row[] = [
  { check: 'devices', status: 'passed', figure: 'two of them', seconds: 1.25 },
  { check: 'reference values', status: 'skipped', figure: '', why: 'the nets are whole', seconds: 0 },
];
const FAILED: Row = {
  check: 'copies',
  status: 'failed',
  figure: 'fast',
  why: 'other bytes\narrived',
  seconds: 70,
  detail: { worst: Number.NaN },
};

/** Runs the command over checks that found those rows. */
async function accepted(
  rows: readonly Row[],
  argv: readonly string[] = [],
  file = join(folder, `${Math.random()}.json`),
) {
  const asked: unknown[] = [];
  const accept: AcceptModule['accept'] = async (options, { report: told, now }) => {
    asked.push(options);
    const report = newReport(options.devices, options.quick, now());
    for (const row of rows) {
      report.checks.push(row);
      told(report, row);
    }
    report.status = rows.some(({ status }) => status === 'failed') ? 'failed' : 'passed';
    return report;
  };
  const outcome = await run(['accept', '--out', file, ...argv], { loadAccept: async () => ({ accept }) });
  return { ...outcome, asked, file, read: () => JSON.parse(fs.readFileSync(file, 'utf8')) as AcceptReport };
}

test('accept prints a row for each check and exits with 0; the file has the rows and more', async () => {
  const { exitCode, stdout, stderr, asked, file, read } = await accepted(ROWS, ['--devices', 'gpu:0,GPU:1', '--quick']);
  assert.deepEqual([exitCode, stderr.text], [0, '']);
  assert.deepEqual(asked, [{ devices: ['GPU:0', 'GPU:1'], servers: [], quick: true }]);
  assert.deepEqual(
    stdout.lines.map((line) => line.replace(/ {2,}/g, '  ')),
    [
      'check  result  seconds  figure',
      'devices  passed  1.3  two of them',
      'reference values  skipped  0.0  the nets are whole',
      `passed: 1 passed, 0 failed, 1 skipped, 0 s; report in ${file}`,
    ],
  );
  const { format, versions, machine, checks, devices } = read();
  assert.deepEqual([format, versions.node, devices], [1, process.versions.node, ['GPU:0', 'GPU:1']]);
  assert.ok(machine.threads > 0 && machine.memoryBytes > 0);
  assert.deepEqual(checks, ROWS);
});

test('accept exits with 1 if a check failed, prints the reason in one line, and writes NaN as a string', async () => {
  const { exitCode, stdout, read } = await accepted([...ROWS, FAILED]);
  assert.equal(exitCode, 1);
  assert.match(stdout.text, /^copies +FAILED +70\.0 {2}fast\n {2}other bytes arrived\n/m);
  assert.match(stdout.lines.at(-1)!, /^FAILED: 1 passed, 1 failed, 1 skipped, /);
  assert.deepEqual(read().checks[2]!.detail, { worst: 'NaN' });
});

test('accept refuses half a card, more or fewer than two devices, and an unwritable file, before any check', async () => {
  const half = await accepted(ROWS, ['--devices', 'GPU:0/0,GPU:1']);
  assert.deepEqual([half.exitCode, half.asked], [2, []]);
  assert.match(half.stderr.text, /^error: Cannot use the devices GPU:0\/0,GPU:1: .*\n$/);
  assert.equal(fs.existsSync(half.file), false);
  for (const devices of ['GPU:0', 'GPU:0,GPU:1,GPU:2']) {
    const { exitCode, stderr, file, asked } = await accepted(ROWS, ['--devices', devices]);
    assert.deepEqual([exitCode, asked, fs.existsSync(file)], [2, [], false]);
    assert.match(stderr.text, /^error: Cannot accept the devices? GPU:0.*: expected two, .*\n$/);
  }
  const file = join('/dev/null', 'accept.json');
  const unwritable = await accepted(ROWS, [], file);
  assert.deepEqual([unwritable.exitCode, unwritable.asked], [1, []]);
  assert.match(
    unwritable.stderr.text,
    /^error: Cannot write .*null\/accept\.json: .*; choose another file with --out\n$/,
  );
});

/** Every check of the quick form. */
const QUICK = [
  ...['cards', 'devices', 'kernels', 'copies', 'exchange msgpack', 'exchange device'],
  ...['msgpack', 'msgpack float16', 'device'].map((way) => `verify ${way}, compile on`),
  ...['reference values', 'speed at 8 images', 'memory', 'repeat', 'kill and resume'],
];

const SKIPPED = ['cards', 'reference values'];

/** Runs accept in a process of its own, and hides the machine's nvidia-smi. */
async function acceptHere(devices: string, env: NodeJS.ProcessEnv = {}): Promise<AcceptReport> {
  const file = join(folder, `${devices.replaceAll(':', '')}.json`);
  const { code, stdout, stderr } = await runNode([CLI, 'accept', '--quick', '--devices', devices, '--out', file], {
    ...env,
    PATH: folder,
  });
  assert.equal(code, 0, stdout + stderr);
  const report = JSON.parse(fs.readFileSync(file, 'utf8')) as AcceptReport;
  assert.deepEqual(
    report.checks.map(({ check, status }) => [check, status]),
    QUICK.map((check) => [check, SKIPPED.includes(check) ? 'skipped' : 'passed']),
  );
  return report;
}

/** What the file has of a check, read as `T`. */
const detailOf = <T>(report: AcceptReport, check: string): T =>
  report.checks.find((row) => row.check === check)!.detail as T;

type Ops = { ops: Record<string, Record<string, number>> };

async function acceptsOn(devices: readonly [string, string], env: NodeJS.ProcessEnv = {}): Promise<void> {
  const report = await acceptHere(devices.join(','), env);
  assert.equal(report.versions.tensorflow, '2.21.0');
  const { ops } = detailOf<Ops>(report, 'kernels');
  for (const device of devices) assert.ok(ops[device]!.ReluGrad! > 0, device);
  const { from, worst } = detailOf<{ from: number; worst: number }>(report, 'kill and resume');
  assert.deepEqual([from, worst], [2, 0]);
  const { split } = detailOf<{ split: Record<string, number> }>(report, 'speed at 8 images');
  assert.ok(split.exchangeBytes! > 0 && split.imagesPerS! > 0);
}

const isOnGpus = !gpus.skip && process.env.FAKE_GPU !== 'all';
const elsewhere =
  isOnGpus && 'the stand-in GPUs go through the same checks; FAKE_GPU=all npm test -- cli/accept runs it';

test('accept --quick passes on two CPU devices', { skip: elsewhere }, () => acceptsOn(['CPU:0', 'CPU:1']));

test('accept --quick passes on two stand-in GPUs', { skip: gpus.skip }, () =>
  acceptsOn(['GPU:0', 'GPU:1'], gpus.env()),
);

test('docs/gpu.md has every check and every field of the file', () => {
  const page = fs.readFileSync(fileURLToPath(new URL('../../../docs/gpu.md', import.meta.url)), 'utf8');
  // `verify msgpack, compile on` stands there as `verify …`.
  for (const check of QUICK)
    assert.match(page, new RegExp(`^\\| .*\`${/^(verify|speed)/.exec(check)?.[0] ?? check}`, 'm'));
  const report = { ...newReport([], false, new Date(0)), topology: '', tensorflow: { library: '', devices: [] } };
  for (const field of Object.keys(report)) assert.match(page, new RegExp(`^\\| .*\`${field}\`.* \\|`, 'm'), field);
  for (const field of ['check', 'status', 'figure', 'why', 'seconds', 'detail'])
    assert.ok(page.includes(`\`${field}\``));
});

test('accept exits with 130 at SIGINT, and the file has the finished checks', async () => {
  const file = join(folder, 'stopped.json');
  const child = spawn(process.execPath, [CLI, 'accept', '--quick', '--devices', 'CPU:0,CPU:1', '--out', file], {
    ...{ env: environment(), stdio: ['ignore', 'pipe', 'inherit'] },
  });
  const { hasPrinted, ended } = collect(child);
  await hasPrinted(/^devices /m);
  child.kill('SIGINT');
  const { code, signal, stdout } = await ended;
  assert.deepEqual([code, signal], [130, null]);
  assert.match(stdout, /\nstopped: \d passed, 0 failed, \d skipped, /);
  const { status, checks } = JSON.parse(fs.readFileSync(file, 'utf8')) as AcceptReport;
  assert.deepEqual([status, checks.map(({ check }) => check)], ['stopped', ['cards', 'devices']]);
});
