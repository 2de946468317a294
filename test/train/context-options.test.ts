import assert from 'node:assert/strict';
import test from 'node:test';
import { resolveConfig } from '../../src/config/config.js';
import { NativeError } from '../../src/errors.js';
import { listDevices } from '../../src/native/c/context.js';
import { contextOptions, settingsNames } from '../../src/train/context-options.js';
import { openTeam } from '../../src/train/team.js';

process.env.ALEXNET_SPLIT_LOGICAL_MIB = '3000';
const MIB = 2 ** 20;

test('contextOptions() returns threads for the net, and the card that is split', () => {
  assert.deepEqual(contextOptions('one-gpu', ['GPU:0']), { intraOpThreads: 0 });
  const { intraOpThreads, ...split } = contextOptions('original', ['GPU:2/1', 'GPU:2/0']);
  assert.ok(intraOpThreads! >= 1);
  assert.deepEqual(split, { virtualGpuCard: 2, virtualGpuMiB: [3000, 3000] });
});

test('settingsNames() treats a card as split if TensorFlow has the requested memory on both halves', () => {
  const options = contextOptions('original', ['GPU:0/0', 'GPU:0/1']);
  const gpus = (...mib: number[]) => mib.map((each, i) => ({ name: `GPU:${i}`, memoryBytes: each * MIB }));
  assert.deepEqual(settingsNames(gpus(3000, 3000, 9000), options), ['GPU:0/0', 'GPU:0/1', 'GPU:1']);
  assert.deepEqual(settingsNames(gpus(9000, 9000), { intraOpThreads: 1 }), ['GPU:0', 'GPU:1']);
  for (const others of [gpus(3000), gpus(9000, 9000)])
    assert.throws(() => settingsNames(others, options), /did not split/);
});

test("openTeam() asks TensorFlow for a half by TensorFlow's name", async () => {
  const names = ['GPU:7/0', 'GPU:7/1'];
  const machine = { devices: names, fashionMnist: false, now: new Date() };
  const { config } = resolveConfig([{ values: { preset: 'mini', devices: names } }], machine);
  listDevices();
  await assert.rejects(
    openTeam(config),
    (error) =>
      error instanceof NativeError && /^Cannot use the device GPU:[78]: TensorFlow has CPU:0, /.test(error.message),
  );
});
