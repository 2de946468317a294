/** Which cards, drivers and versions of cuDNN fit together, and the messages if they do not. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  cardVerdict,
  cudnnName,
  cudnnRange,
  type GpuFacts,
  gpuTrouble,
  isDriverTooOld,
  mustCompile,
  OLDEST_DRIVER,
} from '../../../src/native/install/gpu-support.js';
import { buildFor, hasGpuBuild } from '../../../src/native/install/wheels.js';

/** Other machines have another remedy. */
const isGpuBuildHere = hasGpuBuild(process.platform, process.arch);

const card = (computeCapability: string, name = 'NVIDIA X') => ({ name, computeCapability });
const GOOD: GpuFacts = {
  nvidia: { cards: [card('9.0')], driver: '570.86.15' },
  hasDriver: true,
  flavour: 'gpu',
  driver: { cuda: '12.8', cards: [card('9.0')] },
  libraries: [{ name: 'libcublas.so.12' }, { name: 'libcudnn.so.9' }],
  cudnn: 91_002,
  gpus: 1,
};
const NONE: GpuFacts = { ...GOOD, gpus: 0 };

test('isDriverTooOld() compares with the oldest driver of CUDA 12', () => {
  for (const [driver, expected] of [
    [OLDEST_DRIVER, false],
    ['525.60.12', true],
    ['525.60', true],
    ['470.256.02', true],
    ['525.105.17', false],
    ['1000.1', false],
    [undefined, false],
  ] as const) {
    assert.equal(isDriverTooOld(driver), expected, driver);
  }
});

test('the pinned cuDNN supports every card for which TensorFlow has kernels', () => {
  const { version } = buildFor('linux', 'x64', 'gpu').wheels.find(({ project }) => project === 'nvidia-cudnn-cu12')!;
  const [major, minor, patch] = version.split('.').map(Number) as [number, number, number];
  const number = major * 10_000 + minor * 100 + patch;
  for (const capability of ['6.0', '6.1', '7.0', '7.5', '8.0', '8.6', '8.9', '9.0', '10.0', '12.0']) {
    assert.match(cardVerdict(card(capability), number), /^compute capability \d+\.\d($|, newer than TensorFlow's)/);
  }
  assert.equal(cudnnName(91_002), '9.10.2');
  assert.equal(cudnnRange(number), 'for compute capability 6.0 and newer');
  assert.equal(cudnnRange(92_800), 'for compute capability 7.5 and newer');
  assert.match(cudnnRange(90_200), /too old: TensorFlow needs 9\.3\.0/);
});

test('cardVerdict() finds cards that are too old, newer than the kernels, or without code in cuDNN', () => {
  assert.match(cardVerdict(card('5.2')), /5\.2, too old: TensorFlow needs 6\.0/);
  assert.match(cardVerdict(card('7.0'), 92_800), /7\.0, which cuDNN 9\.28\.0 has no code for/);
  assert.equal(cardVerdict(card('7.5'), 92_800), 'compute capability 7.5');
  assert.match(cardVerdict(card('12.0'), 91_002), /the driver compiles them at first use/);
  assert.deepEqual(
    ['8.9', '9.0', '10.0', '12.0'].map((each) => mustCompile(card(each))),
    [false, false, true, true],
  );
  assert.equal(mustCompile({ name: 'unknown' }), false);
});

test('gpuTrouble() is undefined if TensorFlow has the GPUs', () => {
  assert.equal(gpuTrouble(GOOD), undefined);
  // CUDA lists one of two cards, because CUDA_VISIBLE_DEVICES hides the other.
  assert.equal(gpuTrouble({ ...GOOD, nvidia: { cards: [card('9.0'), card('3.5')] } }), undefined);
  // nvidia-smi was not run, and cuDNN's version is unknown.
  const { cudnn, ...rest } = GOOD;
  assert.equal(gpuTrouble({ ...rest, nvidia: { cards: [] } }), undefined);
});

test('gpuTrouble() says in one sentence what is wrong, and what to do', (context) => {
  const { CUDA_VISIBLE_DEVICES, TENSORFLOW_DIR } = process.env;
  const before = { CUDA_VISIBLE_DEVICES, TENSORFLOW_DIR };
  context.after(() => {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
  for (const name of Object.keys(before)) delete process.env[name];
  const broken = { name: 'libcudnn.so.9', error: 'libcudnn.so.9: cannot open shared object file' };
  const refusing = (code: number, name: string): GpuFacts => ({
    ...NONE,
    driver: { refusal: { code, name }, cards: [] },
  });
  const cases: [facts: GpuFacts, said: RegExp][] = [
    [
      { ...NONE, hasDriver: false },
      /^the driver 570\.86\.15 is loaded, but there is no device .*docker run --gpus all/,
    ],
    [{ ...NONE, hasDriver: false, nvidia: { cards: [] } }, /^no driver of NVIDIA's is loaded; install NVIDIA's driver/],
    [
      { ...NONE, driver: { missing: 'no such file', cards: [] } },
      /^the driver's library libcuda\.so\.1 cannot be opened \(no such file\); .*docker run --gpus all/,
    ],
    [
      { ...NONE, nvidia: { cards: [], driver: '470.82.01' } },
      /^the driver 470\.82\.01, for CUDA 12\.8 is too old for CUDA 12; install 525/,
    ],
    [{ ...NONE, nvidia: { cards: [] }, driver: { cuda: '11.4', cards: [] } }, /^the driver, for CUDA 11\.4 is too old/],
    [
      refusing(803, 'CUDA_ERROR_SYSTEM_DRIVER_MISMATCH'),
      /cuInit gives 803, CUDA_ERROR_SYSTEM.*; .*: restart the machine$/,
    ],
    [
      refusing(802, 'CUDA_ERROR_SYSTEM_NOT_READY'),
      /; the machine is not ready: start the service nvidia-fabricmanager$/,
    ],
    [refusing(999, 'CUDA_ERROR_UNKNOWN'), /; restart the machine, or load the kernel module nvidia-uvm$/],
    [
      { ...refusing(804, 'X'), nvidia: { cards: [], complaint: 'Driver/library version mismatch' } },
      /and nvidia-smi says "Driver\/library version mismatch"/,
    ],
    [{ ...NONE, driver: { cards: [] } }, /^CUDA finds no device; see what nvidia-smi lists$/],
    [{ ...NONE, driver: { cards: [card('5.2', 'GTX 980')] } }, /^GTX 980 \(5\.2\) is too old: .* 6\.0 or newer/],
    [
      { ...NONE, flavour: 'cpu' },
      isGpuBuildHere
        ? /the one for CPUs; have `alexnet-split setup` fetch the GPU build$/
        : /the one for CPUs; TensorFlow has no GPU build for/,
    ],
    [
      { ...NONE, libraries: [{ name: 'libcublas.so.12' }, broken] },
      /^TensorFlow cannot open libcudnn\.so\.9 \(libcudnn/,
    ],
    [{ ...NONE, libraries: [broken, broken] }, /^TensorFlow cannot open any of CUDA's libraries \(libcudnn/],
    [
      { ...NONE, libraries: [broken, { ...broken, name: 'libcufft.so.11' }, { name: 'libcublas.so.12' }] },
      /^TensorFlow cannot open libcudnn\.so\.9, libcufft\.so\.11 \(/,
    ],
    [{ ...NONE, cudnn: 90_200 }, /^cuDNN 9\.2\.0 is too old: TensorFlow needs 9\.3\.0/],
    [NONE, /prints what TensorFlow itself says$/],
    [
      { ...GOOD, cudnn: 92_800, driver: { cards: [card('7.0')] } },
      /^cuDNN 9\.28\.0 has no code for NVIDIA X \(7\.0\); have/,
    ],
    [{ ...GOOD, driver: { cards: [card('9.0'), card('5.2')] } }, /^TensorFlow leaves out NVIDIA X \(5\.2\)/],
  ];
  for (const [facts, said] of cases) {
    const text = gpuTrouble(facts);
    assert.match(text ?? 'nothing', said);
    assert.doesNotMatch(text!, /\n|\. /); // one sentence
    assert.match(text!, /; /); // and what to do
  }
  if (isGpuBuildHere) {
    const unopened = (lost: string[]) =>
      gpuTrouble({ ...NONE, libraries: [broken], build: { folder: '/cache/gpu', lost } });
    // Setup fetches a build again that has lost files, but not a complete one.
    assert.match(
      unopened(['nvidia/cudnn'])!,
      /; have `alexnet-split setup` fetch .* again, which has lost nvidia\/cudnn,/,
    );
    assert.match(unopened([])!, /; delete the folder \/cache\/gpu, and have `alexnet-split setup` fetch/);
  }
  process.env.CUDA_VISIBLE_DEVICES = 'all';
  assert.match(gpuTrouble(NONE)!, /^CUDA_VISIBLE_DEVICES is "all", which is not a list of cards for CUDA; unset it/);
  delete process.env.CUDA_VISIBLE_DEVICES;
  process.env.TENSORFLOW_DIR = '/a/tensorflow';
  const other = gpuTrouble({ ...NONE, flavour: 'cpu' })!;
  assert.match(other, isGpuBuildHere ? /; unset TENSORFLOW_DIR, and have/ : /has no GPU build for/);
  process.env.CUDA_VISIBLE_DEVICES = '7';
  assert.match(
    gpuTrouble({ ...NONE, driver: { cards: [] } })!,
    /^CUDA_VISIBLE_DEVICES is "7", which names no card of this machine/,
  );
  assert.match(gpuTrouble(refusing(100, 'CUDA_ERROR_NO_DEVICE'))!, /CUDA_VISIBLE_DEVICES/);
});
