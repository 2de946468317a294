/** `doctor` on machines that have what they need, and on machines that have not. */

import assert from 'node:assert/strict';
import test from 'node:test';
import type { Examined } from '../../src/cli/services.js';
import { SetupError } from '../../src/errors.js';
import type { Device } from '../../src/native/c/context.js';
import { DEVICES, run } from './stand-ins.js';

const LIBRARY: NonNullable<Examined['library']> = {
  framework: '/lib/tensorflow/libtensorflow_framework.so.2',
  tensorflow: '/lib/tensorflow/libtensorflow_cc.so.2',
  source: 'cache',
  flavour: 'gpu',
  nvidiaFolders: ['/lib/nvidia/cudnn/lib'],
};
const CUDA = ['/lib/nvidia/cublas/lib/libcublas.so.12', '/lib/nvidia/cudnn/lib/libcudnn.so.9'];
const GPU: Device = { name: 'GPU:0', fullName: '/device:GPU:0', type: 'GPU', memory: 'gpu', memoryBytes: 79 * 2 ** 30 };

function doctor(examined: Examined | Error, devices: typeof DEVICES | Error = DEVICES, flags: string[] = []) {
  const given = <T>(value: T | Error) => (value instanceof Error ? Promise.reject(value) : Promise.resolve(value));
  return run(['doctor', ...flags], { examineLibrary: () => given(examined), listDevices: () => given(devices) });
}

test('doctor lists what a report needs, and ends with 0 where nothing is wrong', async () => {
  const { exitCode, stdout, stderr } = await doctor({ library: LIBRARY, nvidia: true, cuda: CUDA }, [...DEVICES, GPU]);
  assert.deepEqual([exitCode, stderr.text], [0, '']);
  for (const line of [
    /^alexnet-split +\d+\.\d+\.\d+$/m,
    /^Node\.js +\d+\.\d+\.\d+$/m,
    /^memory +\d+\.\d GiB, \d+\.\d GiB of it free$/m,
    /^library +\/lib\/tensorflow\/libtensorflow_cc\.so\.2 \(gpu, from cache\)$/m,
    /^CUDA +libcublas\.so\.12, libcudnn\.so\.9 in \/lib\/nvidia$/m,
    /^devices +CPU:0, CPU:1, GPU:0 \(79\.0 GiB\)$/m,
  ]) {
    assert.match(stdout.text, line);
  }
  assert.equal(stdout.lines.at(-1), 'no problem found');
});

test('doctor ends with 1 and says what to do', async () => {
  const cpu = { ...LIBRARY, flavour: 'cpu' as const, nvidiaFolders: [] };
  const cases: [examined: Examined | Error, devices: typeof DEVICES | Error, problem: RegExp][] = [
    [
      { library: undefined, nvidia: false, cuda: [] },
      DEVICES,
      /^problem: there is no TensorFlow library; `alexnet-split setup` fetches it/m,
    ],
    [
      { library: cpu, nvidia: true, cuda: [] },
      DEVICES,
      /^problem: there is an NVIDIA device, .* the one for CPUs; `alexnet-split setup`/m,
    ],
    [{ library: LIBRARY, nvidia: true, cuda: [] }, DEVICES, /^problem: .* no CUDA libraries beside its own;/m],
    [{ library: LIBRARY, nvidia: true, cuda: CUDA }, DEVICES, /^problem: .* see whether nvidia-smi lists the GPU/m],
    [new SetupError('Cannot use TENSORFLOW_DIR: x'), DEVICES, /^problem: Cannot use TENSORFLOW_DIR: x$/m],
    [{ library: LIBRARY, nvidia: false, cuda: CUDA }, new SetupError('Cannot load\nit'), /^problem: Cannot load it$/m],
  ];
  for (const [examined, devices, problem] of cases) {
    const { exitCode, stdout } = await doctor(examined, devices);
    assert.equal(exitCode, 1);
    assert.match(stdout.text, problem);
    assert.doesNotMatch(stdout.text, /no problem found/);
  }
});

test('doctor --json prints the same as an object', async () => {
  const { exitCode, stdout } = await doctor({ library: LIBRARY, nvidia: false, cuda: [] }, DEVICES, ['--json']);
  const { devices, CUDA: cuda, problems } = JSON.parse(stdout.text) as Record<string, unknown>;
  assert.deepEqual([exitCode, devices, cuda, problems], [0, 'CPU:0, CPU:1', 'none beside the library', []]);
});
