/** The answers of CUDA's driver, with a stand-in libcuda and without any. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import type { DriverAnswer, GpuFacts } from '../../../src/native/install/gpu-support.js';
import { findLibrary } from '../../../src/native/install/library.js';
import { runNode } from '../child.js';

const temporary = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-cuda-'));
after(() => fs.rmSync(temporary, { recursive: true }));

/** A driver with cards of compute capability 8.6 and 12.0; `FAKE_CUINIT` is the result of cuInit. */
const DRIVER = `
#include <stdlib.h>
#include <string.h>
int cuInit(unsigned flags) { const char *code = getenv("FAKE_CUINIT"); return code ? atoi(code) : 0; }
int cuDriverGetVersion(int *version) { *version = 12080; return 0; }
int cuDeviceGetCount(int *count) { *count = 2; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  *value = attribute == 75 ? (device ? 12 : 8) : attribute == 76 ? (device ? 0 : 6) : -1;
  return 0;
}
int cuDeviceGetName(char *name, int bytes, int device) { strncpy(name, device ? "New" : "Old", bytes); return 0; }
int cuGetErrorName(int error, const char **name) { *name = "CUDA_ERROR_SYSTEM_NOT_READY"; return 0; }
`;

const skip =
  (process.platform !== 'linux' && 'CUDA is for Linux') ||
  (spawnSync('cc', ['--version']).status !== 0 && 'there is no C compiler (cc) to make a driver with');

/** The result of a function of cuda.ts in a process with that driver, on a machine with a card. */
async function asked<T>(call: string, env: NodeJS.ProcessEnv = {}): Promise<T> {
  const { href } = new URL('../../../src/native/c/cuda.js', import.meta.url);
  const program = `const cuda = await import(${JSON.stringify(href)});
    process.stdout.write(JSON.stringify(cuda.${call} ?? null));`;
  const ended = await runNode(['--input-type=module', '--eval', program], {
    LD_LIBRARY_PATH: temporary,
    PATH: temporary,
    CUDA_VISIBLE_DEVICES: '0,1',
    ...env,
  });
  assert.deepEqual([ended.code, ended.signal, ended.stderr], [0, null, '']);
  return JSON.parse(ended.stdout) as T;
}

function makeDriver(): void {
  fs.writeFileSync(join(temporary, 'driver.c'), DRIVER);
  const { status, stderr } = spawnSync(
    'cc',
    ['-shared', '-fPIC', '-o', join(temporary, 'libcuda.so.1'), join(temporary, 'driver.c')],
    { encoding: 'utf8' },
  );
  assert.equal(status, 0, stderr);
}

test("askDriver() lists the driver's cards, or gives the error with which it refuses to start", { skip }, async () => {
  makeDriver();
  assert.deepEqual(await asked<DriverAnswer>('askDriver()'), {
    cuda: '12.8',
    cards: [
      { name: 'Old', computeCapability: '8.6' },
      { name: 'New', computeCapability: '12.0' },
    ],
  });
  assert.deepEqual(await asked<DriverAnswer>('askDriver()', { FAKE_CUINIT: '802' }), {
    cuda: '12.8',
    refusal: { code: 802, name: 'CUDA_ERROR_SYSTEM_NOT_READY' },
    cards: [],
  });
});

test('askDriver() says why the driver cannot be opened', async () => {
  const broken = join(temporary, 'broken');
  fs.mkdirSync(broken);
  fs.writeFileSync(join(broken, 'libcuda.so.1'), 'no library');
  const { missing, cards } = await asked<DriverAnswer>('askDriver()', { LD_LIBRARY_PATH: broken });
  assert.match(missing ?? '', process.platform === 'linux' ? /file too short|invalid ELF header/ : /./);
  assert.deepEqual(cards, []);
});

test('examineGpus() gives the facts about a machine with a card, and undefined without', { skip }, async () => {
  makeDriver();
  const root = join(temporary, 'root');
  fs.mkdirSync(join(root, 'dev'), { recursive: true });
  const at = (gpus: number) => asked<GpuFacts | null>(`examineGpus(${gpus}, true, ${JSON.stringify(root)})`);
  assert.equal(await at(0), null);
  fs.writeFileSync(join(root, 'dev/nvidia1'), '');
  const facts = await at(2);
  assert.deepEqual(
    [facts?.hasDriver, facts?.gpus, facts?.driver.cards.length, facts?.nvidia.complaint],
    [true, 2, 2, 'it is not installed'],
  );
  // Which of them exist depends on this machine.
  assert.equal(facts?.libraries.filter(({ name }) => /^libcu\w+\.so\.\d+$/.test(name)).length, 7);
  const isUsable = (env?: NodeJS.ProcessEnv) => asked<boolean>(`hasUsableDriver(${JSON.stringify(root)})`, env);
  assert.deepEqual([await isUsable(), await isUsable({ FAKE_CUINIT: '100' })], [true, false]);
  assert.equal(await asked(`compiledAtFirstUse(${JSON.stringify(root)})`), '12.0');
  assert.equal(await asked(`compiledAtFirstUse(${JSON.stringify(root)})`, { CUDA_VISIBLE_DEVICES: '-1' }), null);
});

const found = findLibrary(false);
const without = !found && 'the TensorFlow library is not here';

test('openLibrary() keeps TensorFlow from using CUDA if there is no usable driver', { skip: without }, async () => {
  const [load, copy] = ['load', 'copy'].map(
    (name) => new URL(`../../../src/native/c/${name}.js`, import.meta.url).href,
  );
  const program = `(await import(${JSON.stringify(load)})).openLibrary();
    const { libc } = await import(${JSON.stringify(copy)});
    process.stdout.write(String(libc.getenv('TF_ENABLED_DEVICE_TYPES')));`;
  // It is not known whether a library that a setting points at is for GPUs.
  const env = {
    TENSORFLOW_DIR: dirname(found!.tensorflow),
    CUDA_VISIBLE_DEVICES: '-1',
    TF_ENABLED_DEVICE_TYPES: undefined,
  };
  const { stdout, stderr } = await runNode(['--input-type=module', '--eval', program], env);
  assert.deepEqual([stdout, stderr], ['CPU', '']);
});
