/** `doctor` on machines that have what they need, and on machines that have not. */

import assert from 'node:assert/strict';
import test from 'node:test';
import type { Services } from '../../src/cli/services.js';
import { SetupError } from '../../src/errors.js';
import type { Device } from '../../src/native/c/context.js';
import type { GpuFacts } from '../../src/native/install/gpu-support.js';
import { DEVICES, run } from './stand-ins.js';

type Examined = Omit<Awaited<ReturnType<Services['examineLibrary']>>, 'hidden'> & { hidden?: boolean };

const LIBRARY: NonNullable<Examined['library']> = {
  framework: '/lib/tensorflow/libtensorflow_framework.so.2',
  tensorflow: '/lib/tensorflow/libtensorflow_cc.so.2',
  source: 'cache',
  flavour: 'gpu',
  nvidiaFolders: ['/lib/nvidia/cudnn/lib'],
};
const CUDA = ['/lib/nvidia/cublas/lib/libcublas.so.12', '/lib/nvidia/cudnn/lib/libcudnn.so.9'];
const GPU: Device = { name: 'GPU:0', fullName: '/device:GPU:0', type: 'GPU', memory: 'gpu', memoryBytes: 79 * 2 ** 30 };

const FACTS: GpuFacts = {
  nvidia: { cards: [{ name: 'NVIDIA H100', computeCapability: '9.0', memoryMiB: 81559 }], driver: '570.86.15' },
  hasDriver: true,
  flavour: 'gpu',
  driver: { cuda: '12.8', cards: [{ name: 'NVIDIA H100', computeCapability: '9.0' }] },
  libraries: [{ name: 'libcublas.so.12' }, { name: 'libcudnn.so.9' }],
  cudnn: 91_002,
  gpus: 1,
};

function doctor(
  examined: Examined | Error,
  devices: typeof DEVICES | Error = DEVICES,
  flags: string[] = [],
  facts: GpuFacts | undefined = undefined,
) {
  const given = <T>(value: T | Error) => (value instanceof Error ? Promise.reject(value) : Promise.resolve(value));
  return run(['doctor', ...flags], {
    examineLibrary: async () => ({ hidden: false, ...(await given(examined)) }),
    listDevices: () => given(devices),
    examineGpus: async () => facts,
  });
}

test('doctor lists what a bug report needs, and exits with 0 if nothing is wrong', async () => {
  const { exitCode, stdout, stderr } = await doctor(
    { library: LIBRARY, nvidia: true, cuda: CUDA },
    [...DEVICES, GPU],
    [],
    FACTS,
  );
  assert.deepEqual([exitCode, stderr.text], [0, '']);
  for (const line of [
    /^alexnet-split +\d+\.\d+\.\d+$/m,
    /^Node\.js +\d+\.\d+\.\d+$/m,
    /^processors +\d+( \(quota; the machine has \d+\))?$/m,
    /^memory +\d+\.\d GiB( \(limit; the machine has \d+\.\d GiB\))?, \d+\.\d GiB free$/m,
    /^library +\/lib\/tensorflow\/libtensorflow_cc\.so\.2 \(gpu, from cache\)$/m,
    /^CUDA +libcublas\.so\.12, libcudnn\.so\.9 in \/lib\/nvidia$/m,
    /^card 0 +NVIDIA H100, 81559 MiB, compute capability 9\.0$/m,
    /^driver +570\.86\.15, runs CUDA up to 12\.8; 525\.60\.13 or newer is needed$/m,
    /^cuDNN +9\.10\.2, for compute capability 6\.0 and newer$/m,
    /^CUDA libraries +TensorFlow can open all of libcublas\.so\.12, libcudnn\.so\.9$/m,
    /^devices +CPU:0, CPU:1, GPU:0 \(79\.0 GiB\)$/m,
    /^verdict +trains on GPU:0$/m,
  ]) {
    assert.match(stdout.text, line);
  }
  assert.equal(stdout.lines.at(-1), 'no problem found');
});

test('doctor exits with 1 and says what to do', async () => {
  const cpu = { ...LIBRARY, flavour: 'cpu' as const, nvidiaFolders: [] };
  const none = { ...FACTS, gpus: 0 };
  const broken = [{ name: 'libcudnn.so.9', error: 'no such file' }, { name: 'libcublas.so.12' }];
  const cases: [examined: Examined | Error, devices: typeof DEVICES | Error, problem: RegExp, facts?: GpuFacts][] = [
    [
      { library: undefined, nvidia: false, cuda: [] },
      DEVICES,
      /^problem: there is no TensorFlow library; `alexnet-split setup` fetches it/m,
    ],
    [
      { library: cpu, nvidia: true, cuda: [] },
      DEVICES,
      /^verdict +trains on the CPU, though .*\n(.*\n)*problem: TensorFlow's library is the one for CPUs; /m,
      { ...none, flavour: 'cpu' },
    ],
    [
      { library: LIBRARY, nvidia: true, cuda: CUDA },
      DEVICES,
      /^CUDA libraries +libcudnn\.so\.9 cannot be opened \(no such file\)\n(.*\n)*problem: TensorFlow cannot open libcudnn/m,
      { ...none, libraries: broken },
    ],
    [
      { library: LIBRARY, nvidia: false, cuda: CUDA },
      DEVICES,
      /^nvidia-smi +it is not installed\ndriver +none; (.*\n)*problem: no driver of NVIDIA's is loaded; install/m,
      { ...none, nvidia: { cards: [], complaint: 'it is not installed' }, hasDriver: false, driver: { cards: [] } },
    ],
    [new SetupError('Cannot use TENSORFLOW_DIR: x'), DEVICES, /^problem: Cannot use TENSORFLOW_DIR: x$/m],
    [{ library: LIBRARY, nvidia: false, cuda: CUDA }, new SetupError('Cannot load\nit'), /^problem: Cannot load it$/m],
  ];
  for (const [examined, devices, problem, facts] of cases) {
    const { exitCode, stdout } = await doctor(examined, devices, [], facts);
    assert.equal(exitCode, 1);
    assert.match(stdout.text, problem);
    assert.doesNotMatch(stdout.text, /no problem found/);
  }
});

test('doctor --json prints the same as an object', async () => {
  const { exitCode, stdout } = await doctor({ library: LIBRARY, nvidia: false, cuda: [] }, DEVICES, ['--json']);
  const { devices, CUDA: cuda, problems } = JSON.parse(stdout.text) as Record<string, unknown>;
  assert.deepEqual(
    [exitCode, devices, cuda, problems],
    [0, 'CPU:0, CPU:1', 'no CUDA libraries beside the TensorFlow library', []],
  );
});

test('doctor shows a card that CUDA_VISIBLE_DEVICES hides, and does not call it a problem', async (context) => {
  const { CUDA_VISIBLE_DEVICES: before } = process.env;
  context.after(() => {
    if (before === undefined) delete process.env.CUDA_VISIBLE_DEVICES;
    else process.env.CUDA_VISIBLE_DEVICES = before;
  });
  process.env.CUDA_VISIBLE_DEVICES = 'NoDevFiles';
  const { exitCode, stdout } = await doctor({ library: LIBRARY, nvidia: false, hidden: true, cuda: [] });
  assert.equal(exitCode, 0);
  assert.match(stdout.text, /^NVIDIA device +hidden by CUDA_VISIBLE_DEVICES, which is "NoDevFiles"$/m);
});
