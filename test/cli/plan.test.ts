/** `plan`: what it prints, the file of its rates, and what it refuses. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import type { Config } from '../../src/config/config.js';
import { buildNet } from '../../src/model/net.js';
import type { Rehearsal } from '../../src/plan/outlook.js';
import { FOUND } from '../plan/found.js';
import { ratesOf } from '../plan/rates.js';
import { run } from './stand-ins.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-plan-test-'));
after(() => fs.rmSync(folder, { recursive: true }));

const TWO_BOXES = ['--devices', 'a:1/GPU:0,b:1/GPU:0', '--gflops', '10000'];

const NOT_ASKED = () => assert.fail('without --data there is no rehearsal');

/** Runs the command; a measurement gives 1 ms a layer. */
async function plan(...flags: string[]) {
  const measured: string[] = [];
  const calibrate = async (config: Config, type: string) => {
    measured.push(type);
    return ratesOf(buildNet(config.net), config.batchSize, 1, { device: type });
  };
  const outcome = await run(['plan', ...flags], { loadPlan: async () => ({ calibrate, rehearse: NOT_ASKED }) });
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
  await run(['plan', '--preset', 'mini', '--rates', file], {
    loadPlan: async () => ({ calibrate, rehearse: NOT_ASKED }),
  });
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

/** Runs the command with a rehearsal that finds {@link FOUND}. */
async function planWith(found: Rehearsal, ...flags: string[]) {
  const asked: { seconds: number; isTraining?: boolean; config: Config }[] = [];
  const loadPlan = async () => ({
    calibrate: async ({ net, batchSize }: Config, device: string) => ratesOf(buildNet(net), batchSize, 1, { device }),
    async rehearse(config: Config, options: { seconds: number; isTraining?: boolean }) {
      asked.push({ ...options, config });
      return found;
    },
  });
  const argv = ['plan', '--preset', 'imagenet', '--data', '/my images', ...flags];
  return { ...(await run(argv, { loadPlan, countClasses: async () => () => 1000 })), asked };
}

test('plan --data says what was measured, how long the run takes, what limits it, and what to change first', async () => {
  const { exitCode, stdout, stderr, asked } = await planWith(FOUND, '--workers', '6', '--seconds', '7');
  assert.equal(exitCode, 0, stderr.text);
  assert.deepEqual([asked[0]!.seconds, asked[0]!.isTraining, asked[0]!.config.data.workers], [7, true, 6]);
  for (const line of [
    /^reading +9,000 images\/s +900 MB\/s$/m,
    /^decoding +8,000 images\/s +6 at the same time; 100 kB each, 375 pixels high or wide$/m,
    /^batches +5,000 images\/s +.*6 data workers \(why\)$/m,
    /^together +1,000 images\/s +128.0 ms, of which 0 % waiting for images$/m,
    /^1,000 images\/s: 1,000 steps of 128.0 ms take 2.2 minutes \(2.1 minutes of training, 0.1 minutes of evaluation\)$/m,
    /^disk: 1.5 GB for 3 checkpoints and the log, of 1000.0 GB that are free in runs$/m,
    /^memory: 1.0 GB of /m,
    /^The towers' devices are busy all the time, so computing limits the run.\nFirst to change: more devices/m,
  ]) {
    assert.match(stdout.text, line);
  }
  const slow = { ...FOUND, prepare: 1000, together: { ...FOUND.together!, dataShare: 0.3 }, read: 1000 };
  const { stdout: limited } = await planWith({ ...slow, space: { ...FOUND.space!, free: 1e9 } });
  assert.match(limited.text, /^disk: .* that are free in runs: NOT ENOUGH$/m);
  assert.match(limited.text, /^First to change: data prepare '\/my images' --pack --resize 256: /m);
  const { stdout: json } = await planWith(FOUND, '--json');
  const { measured, outlook, config } = JSON.parse(json.text);
  assert.deepEqual([measured.prepare, outlook.imagesPerS, config.data.source], [5000, 1000, '/my images']);
});

test('plan --data with rates predicts the step, and measures the images only', async () => {
  const { step: _, together: __, ...images } = FOUND;
  const elsewhere = ['--devices', 'a:1/GPU:0,b:1/GPU:0', '--link-gbps', '10', '--gflops', '10000', '--replicas', '2'];
  const { exitCode, stdout, stderr, asked } = await planWith(images, ...elsewhere);
  assert.equal(exitCode, 0, stderr.text);
  const { isTraining, config } = asked[0]!;
  assert.deepEqual([isTraining, config.replicas, config.devices], [false, 1, ['a:1/GPU:0', 'b:1/GPU:0']]);
  assert.match(stdout.text, /^rates: assumed: /m);
  const [, step, rate] = /^step ([\d.]+) ms, ([\d.]+) images/m.exec(stdout.text)!;
  const whole = new RegExp(`^(\\d+) images/s: 500 steps of ${step} ms take .*$`, 'm').exec(stdout.text); // 256 images a step
  assert.ok(Math.abs(Number(whole?.[1]) - Number(rate)) < 0.56, stdout.text); // the rate with and without a decimal
  assert.match(stdout.text, /^memory: .* on the GPUs tower 0 about 1.8 GB, tower 1 about 1.7 GB$/m);
  const { stdout: slow } = await planWith({ ...images, prepare: 100 }, ...elsewhere);
  assert.match(slow.text, /^100 images\/s: 500 steps of 2560.0 ms take /m);
});

test('plan refuses the flags of a run without --data', async () => {
  for (const flags of [
    ['--workers', '2'],
    ['--epochs', '2'],
    ['--seconds', '2'],
  ]) {
    const { exitCode, stderr } = await plan(...flags);
    assert.equal(exitCode, 2);
    assert.match(stderr.text, new RegExp(`^error: Cannot use ${flags[0]} for a plan without images, .*add --data`));
  }
});
