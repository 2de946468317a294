/** Devices that are looked for before the settings are known: halves of a card among them. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Config } from '../../src/config/config.js';
import type { ContextOptions } from '../../src/native/c/context.js';
import { DEVICES, roomWith, run, threeSteps } from './stand-ins.js';

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
    trainRoom: roomWith({
      train: async (config, ui) => {
        configs.push(config);
        return threeSteps(config, { report: () => ui.signal });
      },
    }),
  });
  return { ...outcome, options, configs };
}

test('the context is made with the card in two, and the settings keep the names of its halves', async () => {
  const { exitCode, options, configs, stderr } = await train('gpu:1/0,GPU:1/1', [80_000, 5000, 5000]);
  assert.deepEqual([exitCode, stderr.text], [0, '']);
  assert.deepEqual(
    options.map((each) => [each?.virtualGpuCard, each?.virtualGpuMiB]),
    [[1, [5000, 5000]]],
  );
  assert.deepEqual(configs[0]!.devices, ['GPU:1/0', 'GPU:1/1']);
});

test('a card that TensorFlow has not split is refused, also where another card has the number of its half', async () => {
  for (const mib of [[], [12_000], [12_000, 12_000]]) {
    const { exitCode, stderr } = await train('GPU:0/0,GPU:0/1', mib);
    assert.equal(exitCode, 2);
    assert.match(
      stderr.text,
      /^error: Cannot use the devices GPU:0\/0,GPU:0\/1: TensorFlow has CPU:0, CPU:1.* here, and did not split GPU:0 /,
    );
  }
});

test('half a card without the other is refused before TensorFlow is loaded', async () => {
  const { exitCode, options, stderr } = await train('GPU:0/0,GPU:1', [12_000, 12_000]);
  assert.deepEqual([exitCode, options], [2, []]);
  assert.match(
    stderr.text,
    /^error: Cannot use the devices GPU:0\/0,GPU:1: GPU:1 is a whole device beside half a card/,
  );
});
