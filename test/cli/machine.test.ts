/** Devices, the settings of a run on this machine, and warnings about GPUs that TensorFlow does not use. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import type { Config } from '../../src/config/config.js';
import type { ContextOptions } from '../../src/native/c/context.js';
import type { GpuFacts } from '../../src/native/install/gpu-support.js';
import { DEVICES, type Outcome, run, threeSteps, trainModule } from './stand-ins.js';

process.env.ALEXNET_SPLIT_LOGICAL_MIB = '5000'; // there is no nvidia-smi to ask
const gpu = (number: number, mib: number) => ({
  name: `GPU:${number}`,
  fullName: `/job:localhost/replica:0/task:0/device:GPU:${number}`,
  type: 'GPU',
  memory: 'gpu' as const,
  memoryBytes: mib * 2 ** 20,
});

/** Trains with those devices, on a machine that has so much memory on each GPU once the context is made. */
async function train(devices: string, mib: readonly number[]) {
  const options: (ContextOptions | undefined)[] = [];
  const configs: Config[] = [];
  const outcome = await run(['train', '--preset', 'mini', '--devices', devices], {
    listDevices: async (each) => {
      options.push(each);
      return [...DEVICES, ...mib.map((size, i) => gpu(i, size))];
    },
    loadTrain: trainModule({
      train: async (config, ui) => {
        configs.push(config);
        return threeSteps(config, { report: () => ui.signal });
      },
    }),
  });
  return { ...outcome, options, configs };
}

test('train splits the card in the context, and the settings keep the names of its halves', async () => {
  const { exitCode, options, configs, stderr } = await train('gpu:1/0,GPU:1/1', [80_000, 5000, 5000]);
  assert.deepEqual([exitCode, stderr.text], [0, '']);
  assert.deepEqual(
    options.map((each) => [each?.virtualGpuCard, each?.virtualGpuMiB]),
    [[1, [5000, 5000]]],
  );
  assert.deepEqual(configs[0]!.devices, ['GPU:1/0', 'GPU:1/1']);
});

test('train refuses a card that TensorFlow did not split, even if another card has the number of its half', async () => {
  for (const mib of [[], [12_000], [12_000, 12_000]]) {
    const { exitCode, stderr } = await train('GPU:0/0,GPU:0/1', mib);
    assert.equal(exitCode, 2);
    assert.match(
      stderr.text,
      /^error: Cannot use the devices GPU:0\/0,GPU:0\/1: TensorFlow has CPU:0, CPU:1.* here, and did not split GPU:0 /,
    );
  }
});

test('train refuses one half of a card before TensorFlow is loaded', async () => {
  const { exitCode, options, stderr } = await train('GPU:0/0,GPU:1', [12_000, 12_000]);
  assert.deepEqual([exitCode, options], [2, []]);
  assert.match(
    stderr.text,
    /^error: Cannot use the devices GPU:0\/0,GPU:1: GPU:1 is a whole device beside half a card/,
  );
});

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-gpu-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));

const UNUSED: GpuFacts = {
  nvidia: { cards: [{ name: 'NVIDIA A10' }], complaint: 'it is not installed' },
  hasDriver: false,
  flavour: 'cpu',
  driver: { cards: [] },
  libraries: [],
  gpus: 0,
};
const SAID =
  /^warning: TensorFlow has no GPU, though there is an NVIDIA card \(NVIDIA A10\), so everything runs on the CPU: no driver of NVIDIA's is loaded; install .*; CUDA_VISIBLE_DEVICES=-1 hides the card and stops this warning\n/;
const SAID_AGAIN =
  /\nwarning: this ran on the CPU, though there is an NVIDIA card; `alexnet-split doctor` says why, .*\n$/;

function unused(argv: string[], facts = UNUSED): Promise<Outcome> {
  return run(argv, { examineGpus: async () => facts });
}

test('train warns of an unused card on stderr, at the start and the end, and in the log after run_start', async () => {
  const { exitCode, stderr } = await unused(['train', '--out', out, '--run', 'r']);
  assert.equal(exitCode, 0);
  assert.match(stderr.text, SAID);
  assert.match(stderr.text, SAID_AGAIN);
  const [first, second] = fs.readFileSync(join(out, 'r', 'log.ndjson'), 'utf8').split('\n');
  assert.match(first!, /"event":"run_start"/);
  assert.match(second!, /"event":"warning","message":"TensorFlow has no GPU/);
  assert.match((await unused(['train', '--out', out, '--run', 'q', '--quiet'])).stderr.text, SAID);
});

test('train does not warn if devices are named, or if TensorFlow has the GPUs', async () => {
  const named = await unused(['train', '--out', out, '--run', 'n', '--devices', 'CPU:0,CPU:1']);
  const used = await unused(['train', '--out', out, '--run', 'u'], { ...UNUSED, hasDriver: true, gpus: 1 });
  for (const { exitCode, stderr } of [named, used]) assert.deepEqual([exitCode, stderr.text], [0, '']);
});

test('devices explains on stderr why a card is not in its list', async () => {
  const { exitCode, stdout, stderr } = await unused(['devices', '--json']);
  assert.equal(exitCode, 0);
  assert.equal(JSON.parse(stdout.text).length, 2);
  assert.match(stderr.text, SAID);
});
