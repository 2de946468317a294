/** `plan`: what it prints, the file of its rates, and what it refuses. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import type { Config } from '../../src/config/config.js';
import { buildNet } from '../../src/model/net.js';
import { ratesOf } from '../plan/rates.js';
import { run } from './stand-ins.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-plan-test-'));
after(() => fs.rmSync(folder, { recursive: true }));

const TWO_BOXES = ['--devices', 'a:1/GPU:0,b:1/GPU:0', '--gflops', '10000'];

/** Runs the command; a measurement gives 1 ms a layer. */
async function plan(...flags: string[]) {
  const measured: string[] = [];
  const calibrate = async (config: Config, type: string) => {
    measured.push(type);
    return ratesOf(buildNet(config.net), config.batchSize, 1, { device: type });
  };
  const outcome = await run(['plan', ...flags], { loadPlan: async () => ({ calibrate }) });
  return { ...outcome, measured };
}

test('plan prints step, towers, memory, bytes by link, and what limits', async () => {
  const { exitCode, stdout, stderr } = await plan(...TWO_BOXES, '--link-gbps', '1', '--replicas', '2');
  assert.equal(exitCode, 0, stderr.text);
  assert.match(
    stdout.text,
    /^net original: width 1, 224 pixels, 1000 classes; split, exchange by msgpack in float32$/m,
  );
  assert.match(stdout.text, /^rates: assumed: a GPU that reaches 10000 GFLOP\/s and 1000 GB\/s$/m);
  assert.match(stdout.text, /^link: 1 Gbit\/s, 0.2 ms there and back$/m);
  assert.match(
    stdout.text,
    /^step [\d.]+ ms, [\d.]+ images\/s, .* one device \(\d+ % of 4\), \d+ % of 2 times one replica$/m,
  );
  assert.match(stdout.text, /^[A-Z][a-z ]+ takes most of a step, \d+ %: .*\.$/m);
  assert.match(stdout.text, /^0 +a:1\/GPU:0( +[\d.]+){6}$/m);
  // 128 images of 224 × 224 × 3 float32, and an int32 label each.
  assert.match(stdout.text, /^this machine +a +images +77,070,848$/m);
});

test('plan says that no training averages by collectives over servers', async () => {
  const flags = ['--gflops', '10000', '--replicas', '2', '--link-gbps', '1', '--average', 'collective'];
  const servers = await plan(...flags, '--devices', 'a:1/GPU:0,b:1/GPU:0');
  assert.match(servers.stderr.text, /^a training refuses --average collective with devices of servers/m);
  const here = await plan(...flags, '--devices', 'GPU:0,GPU:1,[::1]:22/GPU:2,/device:gpu:3');
  assert.equal(here.exitCode, 0, here.stderr.text);
  assert.doesNotMatch(here.stderr.text, /refuses/);
});

test('plan --json has the same as JSON', async () => {
  const { stdout } = await plan(...TWO_BOXES, '--link-gbps', '1', '--json');
  const { plan: found, rates, link, devices } = JSON.parse(stdout.text);
  const { stdout: text } = await plan(...TWO_BOXES, '--link-gbps', '1');
  assert.ok(text.text.includes(`step ${found.stepMs.toFixed(1)} ms, ${found.imagesPerSecond.toFixed(1)} images/s`));
  assert.ok(text.text.includes(found.limit.text));
  assert.equal(rates.assumed, true);
  assert.deepEqual(link, { gbps: 1, roundTripMs: 0.2 });
  assert.deepEqual(devices, [['a', 'b'].map((machine) => ({ name: `${machine}:1/GPU:0`, machine }))]);
});

test('plan measures the machine, and with --rates keeps what it measured', async () => {
  const file = join(folder, 'rates.json');
  const flags = ['--preset', 'mini', '--rates', file];
  const first = await plan(...flags);
  assert.deepEqual([first.exitCode, first.measured], [0, ['CPU']], first.stderr.text);
  const second = await plan(...flags);
  assert.deepEqual([second.exitCode, second.measured], [0, []]);
  assert.equal(second.stdout.text, first.stdout.text);
  assert.match(first.stdout.text, /^rates: measured on a machine, 2026-01-01$/m);
  const other = await plan(...flags, '--width', '0.5');
  assert.match(other.stdout.text, /^rates: .*; for this net estimated by kind of layer$/m);
  const more = await plan(...flags, '--batch-size', '128');
  assert.match(more.stdout.text, /^rates: .*; scaled to this batch$/m);
});

test('plan leaves no file of rates if the measurement fails', async () => {
  const file = join(folder, 'none.json');
  const calibrate = () => Promise.reject(new Error('no'));
  await run(['plan', '--preset', 'mini', '--rates', file], { loadPlan: async () => ({ calibrate }) });
  assert.equal(fs.existsSync(file), false);
});

test('plan refuses what means nothing, with exit code 2', async () => {
  const wrong = join(folder, 'wrong.json');
  fs.writeFileSync(wrong, '{"machine": 1}');
  for (const [flags, message] of [
    [TWO_BOXES, /without the rate of their network, expected a number of Gbit\/s; add --link-gbps 10/],
    [['--gflops', '0'], /--gflops is 0, expected a number above 0/],
    [['--gflops', 'fast'], /--gflops is "fast", expected a number above 0/],
    [[...TWO_BOXES, '--link-gbps', '-1'], /--link-gbps is -1, expected a number above 0/],
    [[...TWO_BOXES, '--link-gbps', '1', '--link-ms', '-1'], /--link-ms is -1, expected a number from 0 up/],
    [['--replicas', '0'], /--replicas is 0, expected a whole number from 1 to 64/],
    [['--gflops', '1', '--devices', 'GPU:0'], /Cannot plan for GPU:0: expected 2 devices/],
    [['--gflops', '1', '--devices', 'GPU:0,GPU:1,GPU:2', '--replicas', '2'], /expected 2 or 4 devices/],
    [['--gflops', '1', '--devices', 'left,right'], /the device "left": expected a device such as GPU:0/],
    [
      ['--gflops', '1', '--devices', 'GPU:0,CPU:0'],
      /Cannot plan for GPU and CPU together: expected devices of one kind/,
    ],
    [
      ['--gflops', '1', '--devices', 'CPU:0,CPU:1'],
      /Cannot plan for CPU:0 with rates of a GPU: expected rates of a CPU/,
    ],
    [['--gflops', '1', '--one-weird-trick'], /expected the whole net on each device; add --placement single/],
    [
      ['--rates', wrong, '--preset', 'mini'],
      /Cannot use the rates in .*wrong\.json: machine: .*expected a file that plan --rates has written/,
    ],
    [['--rates', wrong, '--gflops', '1'], /cannot be used with/],
    [['--net', 'nothing'], /net/],
  ] as const) {
    const { exitCode, stderr, stdout, measured } = await plan(...flags);
    assert.deepEqual([exitCode, stdout.text, measured], [2, '', []], flags.join(' '));
    assert.match(stderr.text, message);
    assert.equal(stderr.lines.length, 1, stderr.text);
  }
});
