import assert from 'node:assert/strict';
import test from 'node:test';
import { dataWorkersOf } from '../../src/train/data-workers.js';

type Settings = Parameters<typeof dataWorkersOf>[0];

function chosen(
  devices: string[],
  cores: number,
  more: { workers?: number; replicas?: number; placement?: string } = {},
) {
  const { workers = 'auto', replicas = 1, placement = 'split' } = more;
  const settings = { devices, placement, replicas, data: { workers } } as unknown as Settings;
  const { workers: threads, decoders, reason, cores: counted } = dataWorkersOf(settings, cores);
  assert.equal(counted, cores);
  return [threads, decoders, reason];
}

test('dataWorkersOf() leaves a core for each tower on a GPU, and most cores to towers on the CPU', () => {
  const gpus = ['GPU:0', 'GPU:1'];
  assert.deepEqual(chosen(gpus, 8), [6, 6, '8 cores, less one for each of 2 towers']);
  assert.deepEqual(chosen(gpus, 2), [1, 1, '2 cores, less one for each of 2 towers']);
  assert.deepEqual(chosen(['GPU:0'], 8, { placement: 'single' }), [7, 7, '8 cores, less one for each of 1 tower']);
  assert.deepEqual(chosen([...gpus, 'GPU:2', 'GPU:3'], 8, { replicas: 2 }).slice(0, 2), [4, 4]);
  assert.deepEqual(chosen(['10.0.0.2:2222/CPU:0', '10.0.0.3:2222/CPU:0'], 8).slice(0, 2), [6, 6], 'cores elsewhere');
  const cpu = 'one of 8 cores, as the towers on the CPU need the others';
  assert.deepEqual(chosen(['CPU:0', 'CPU:1'], 2), [1, 1, `2 cores, ${cpu}`]);
  assert.deepEqual(chosen(['CPU:0', 'CPU:1'], 32), [4, 4, `32 cores, ${cpu}`]);
  assert.deepEqual(
    chosen(['127.0.0.1:2222/CPU:0', '[::1]:2222/CPU:0'], 32).slice(0, 2),
    [4, 4],
    'cores of this machine',
  );
  // `single` uses the first device only.
  assert.deepEqual(chosen(['GPU:0', 'CPU:0'], 8, { placement: 'single' }).slice(0, 2), [7, 7]);
});

test('dataWorkersOf() decodes in more threads than it has workers on a large machine, and does what a number says', () => {
  assert.deepEqual(chosen(['GPU:0', 'GPU:1'], 48).slice(0, 2), [16, 46]);
  assert.deepEqual(chosen(['GPU:0', 'GPU:1'], 200).slice(0, 2), [16, 64]);
  assert.deepEqual(chosen(['GPU:0', 'GPU:1'], 8, { workers: 3 }), [3, 3, 'as the settings say']);
  assert.deepEqual(chosen(['CPU:0', 'CPU:1'], 8, { workers: 0 }), [0, 1, 'as the settings say']);
});
