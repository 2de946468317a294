/** How `accept()` judges a machine's answers, with made-up answers. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { writeTensors } from '../../../src/checkpoint/safetensors.js';
import { weightsName } from '../../../src/checkpoint/weights-files.js';
import { accept } from '../../../src/train/accept/accept.js';
import type { Job, JobResults } from '../../../src/train/accept/child.js';
import { JobError, type JobProcess } from '../../../src/train/accept/job-process.js';
import type { Row } from '../../../src/train/accept/report.js';

const names = ['CPU:0', 'CPU:1', 'GPU:0', 'GPU:1'];
const devices = names.map((name) => ({
  name,
  fullName: name,
  type: name.slice(0, 3),
  memory: 'gpu' as const,
  memoryBytes: 2 ** 31,
}));
const speed = {
  ...{ imagesPerS: 100, stepMs: 10, steps: 5, exchangeShare: 0.1, waitShare: 0.05, exchangeBytes: 1000 },
  ...{ finite: true, processBytes: 2 ** 30 },
};
const comparison = { passed: true, worst: 1e-7, allowed: 1e-3, where: 'tower0/conv1/kernel', detail: {} };

/** The answers of a machine without faults. */
const GOOD: { [Kind in Job['kind']]: JobResults[Kind] } = {
  cards: { cards: [{ index: 0, name: 'Card A', driver: '550.54', computeCapability: '8.0' }], topology: undefined },
  devices: { tensorflow: '2.21.0', library: 'gpu, from cache', devices, names, trouble: undefined },
  kernels: { ops: { 'GPU:0': { Conv2D: 3 }, 'GPU:1': { Conv2D: 3 } }, missing: [] },
  copies: { rates: [{ bytes: 2 ** 20, peer: [9e9, 8e9], upload: [5e9, 5e9], download: [4e9, 4e9] }], wrong: [] },
  exchange: { sites: 4, wrong: undefined, ms: 12, replies: [] },
  verify: comparison,
  golden: comparison,
  speed,
  run: { from: 2 },
  compare: { baseline: [1], changed: [1] }, // of `ablate --speed`; an acceptance does not ask for it
};

type Answers = { [Kind in Job['kind']]?: JobResults[Kind] | Error };

/** Accepts a machine with these answers. @param weightOf the value in a run's weights, by the run's name. */
async function judge(changed: Answers = {}, weightOf: (run: string) => number = () => 1, asked = ['GPU:0', 'GPU:1']) {
  const jobs: Job[] = [];
  const answer = (job: Job) => {
    jobs.push(job);
    const given = changed[job.kind] ?? GOOD[job.kind];
    if (given instanceof Error) throw given;
    if (job.kind === 'run') {
      const folder = join(job.config.out, job.config.run);
      mkdirSync(folder, { recursive: true });
      const entries = ['tower0/fc8/bias', 'tower0/fc8/same'].map((name) => ({ name, shape: [1] }));
      writeTensors(join(folder, weightsName(0, 1)), entries, {}, ({ name }, bytes) =>
        new Float32Array(bytes.buffer).fill(name.endsWith('same') ? 1 : weightOf(job.config.run)),
      );
    }
    return given;
  };
  const jobProcess: JobProcess = {
    run: async (job) => answer(job as Job) as never,
    runToDeath: async (job) => void answer(job),
    close: () => {},
  };
  const rows: Row[] = [];
  const report = await accept(
    { devices: asked, quick: false },
    { report: (_, row) => void rows.push(row), signal: new AbortController().signal, now: () => new Date(0) },
    () => jobProcess,
  );
  assert.deepEqual(rows, report.checks);
  const failed = report.checks.filter(({ status }) => status === 'failed');
  return { report, jobs, failed: failed.map(({ check, why }) => [check, why] as const) };
}

test('accept() runs every check on the devices, and reports figures', async () => {
  const { report, jobs, failed } = await judge();
  assert.deepEqual([report.status, failed], ['passed', []]);
  assert.deepEqual(
    report.checks.map(({ check, figure }) => `${check}: ${figure}`),
    [
      'cards: Card A (8.0); driver 550.54',
      'devices: GPU:0 2.0 GiB, GPU:1 2.0 GiB; TensorFlow 2.21.0',
      "kernels: different ops in the step's functions: 1 on GPU:0, 1 on GPU:1",
      'copies: GB/s at 1024 KiB: device to device 9.0 and 8.0, host to device 5.0 and 5.0, device to host 4.0 and 4.0',
      'exchange msgpack: 4 cross-connections, 12 ms',
      'exchange device: 4 cross-connections, 12 ms',
      ...['msgpack', 'msgpack float16', 'device'].flatMap((way) =>
        ['on', 'off'].map(
          (each) =>
            `verify ${way}, compile ${each}: 3 steps: worst difference 1.0e-7 in tower0/conv1/kernel, allowed 1.0e-3`,
        ),
      ),
      ...['original', 'paper', 'd2l'].map(
        (name) => `reference values ${name}: float64: worst difference 1.0e-7 in tower0/conv1/kernel, allowed 1.0e-3`,
      ),
      ...[32, 128, 256].map(
        (batch) =>
          `speed at ${batch} images: split 100, single 100 images/s (1.00 times); exchange 10 %, wait 5 % of a step`,
      ),
      report.checks.find(({ check }) => check === 'memory')!.figure.replace(/^/, 'memory: '), // by nvidia-smi, where it is
      'repeat: 8 steps twice: equal bit for bit',
      'kill and resume: killed, resumed after step 2 of 8: equal bit for bit',
    ],
  );
  const verified = jobs.flatMap((job) =>
    job.kind === 'verify'
      ? [[job.config.exchange.transport, job.config.exchange.dtype, job.config.compile].join()]
      : [],
  );
  assert.deepEqual(verified, [
    ...['msgpack,float32,on', 'msgpack,float32,off', 'msgpack,float16,on', 'msgpack,float16,off'],
    ...['device,float32,on', 'device,float32,off'],
  ]);
  for (const job of jobs) if ('config' in job) assert.deepEqual(job.config.devices, ['GPU:0', 'GPU:1']);
});

test('accept() continues after a failed check, and says why it failed in one sentence', async () => {
  const wrongBytes = 'GPU:0 to GPU:1, 4 bytes';
  const out = { ...comparison, passed: false, worst: 0.3 };
  const cases: [Answers, (readonly [string, string])[]][] = [
    [
      { kernels: { ops: {}, missing: ['Round', 'Where'] } },
      [
        [
          'kernels',
          "Round, Where ran on the host, expected every op of the step to have a kernel on the towers' devices",
        ],
      ],
    ],
    [
      { copies: { ...GOOD.copies, wrong: [wrongBytes] } },
      [['copies', `the bytes that arrived are not those that were sent: ${wrongBytes}`]],
    ],
    [
      { exchange: { sites: 4, ms: 1, replies: [], wrong: 'forward at conv3' } },
      ['msgpack', 'device'].map(
        (way) => [`exchange ${way}`, 'the values that arrived are not those that were sent: forward at conv3'] as const,
      ),
    ],
    [
      { golden: out },
      ['original', 'paper', 'd2l'].map(
        (name) =>
          [
            `reference values ${name}`,
            'the difference is 3.0e-1, allowed 1.0e-3, first in tower0/conv1/kernel',
          ] as const,
      ),
    ],
    [
      { speed: { ...speed, finite: false } },
      [32, 128, 256].map((batch) => [`speed at ${batch} images`, 'a loss was not finite'] as const),
    ],
    [
      { speed: { ...speed, exchangeBytes: 0 } },
      [32, 128, 256].map((batch) => [`speed at ${batch} images`, 'the towers exchanged nothing'] as const),
    ],
    [{ run: new JobError('its process ended by SIGABRT') }, [['repeat', 'its process ended by SIGABRT']]],
  ];
  for (const [answers, expected] of cases) {
    const { report, failed } = await judge(answers);
    assert.deepEqual(failed, expected);
    assert.deepEqual([report.status, report.checks.length], ['failed', 21]);
  }
});

test('accept() runs no further check if the devices are missing', async () => {
  const missing = await judge({}, () => 1, ['GPU:0', 'GPU:5']);
  assert.equal(missing.report.checks.length, 2);
  assert.match(missing.failed[0]![1]!, /^Cannot use the device GPU:5: TensorFlow has CPU:0, CPU:1, GPU:0, GPU:1 here/);
  const broken = await judge({ devices: new JobError('its process ended by SIGSEGV') });
  assert.deepEqual([broken.failed, broken.report.status], [[['devices', 'its process ended by SIGSEGV']], 'failed']);
});

test('accept() reports a driver that hangs, and continues', async () => {
  const { failed, report } = await judge({ cards: new JobError('there was no answer within 60 s') });
  assert.deepEqual([failed, report.checks.length], [[['cards', 'there was no answer within 60 s']], 21]);
  assert.equal((await judge({ cards: { cards: [], topology: undefined } })).report.checks[0]!.status, 'skipped');
});

test('every reference file of the plan is in the package', async () => {
  const { jobs } = await judge();
  const root = fileURLToPath(new URL('../../../../', import.meta.url));
  const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { files: string[] };
  const golden = jobs.flatMap((job) => (job.kind === 'golden' ? [job.file] : []));
  assert.equal(golden.length, 3);
  for (const file of golden) {
    assert.ok(existsSync(file), file);
    assert.ok(
      files.some((each) => file.startsWith(join(root, each))),
      file,
    );
  }
});

test('accept() chooses the same devices as a split run if none are named', async () => {
  assert.deepEqual((await judge({}, () => 1, [])).report.devices, ['GPU:0', 'GPU:1']);
});

test('accept() compares the distance of the resumed run with that of two whole runs', async () => {
  const weights = (second: number, killed: number) => (run: string) =>
    ({ first: 1, second, killed })[run] ?? Number.NaN;
  const noisy = await judge({}, weights(1 + 2 ** -20, 1 + 2 ** -18));
  assert.deepEqual(noisy.failed, []);
  assert.match(noisy.report.checks.at(-1)!.figure, /: 3\.8e-6 apart, in tower0\/fc8\/bias$/);
  const lost = await judge({}, weights(1, 1 + 2 ** -20));
  assert.match(
    lost.failed[0]![1]!,
    /^the weights of the resumed run differ from those of the uninterrupted run by 9\.5e-7, .* two uninterrupted runs differ by 0$/,
  );
  const wild = await judge({}, weights(1 + 2 ** -20, 2));
  assert.equal(wild.failed[0]![0], 'kill and resume');
  assert.equal((await judge({}, weights(1, Number.NaN))).failed[0]![0], 'kill and resume');
});

test('accept() refuses the CPUs of a machine whose card is unused, unless they are asked for', async () => {
  const [cpus, found] = [names.slice(0, 2), { ...GOOD.devices, names: names.slice(0, 2) }];
  const { report, failed } = await judge(
    { devices: { ...found, trouble: "no driver of NVIDIA's is loaded; x" } },
    undefined,
    [],
  );
  assert.equal(report.status, 'failed');
  assert.equal(failed.length, 1);
  assert.match(
    failed[0]!.join(),
    /^devices,TensorFlow has no GPU, though there is an NVIDIA card: no driver of .*; x;/,
  );
  assert.equal((await judge({ devices: found }, undefined, cpus)).report.status, 'passed');
});
