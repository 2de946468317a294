/** The stand-in GPUs: their results, refusals and reports. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runNode, runProgram } from '../native/child.js';
import { type FakeGpuReport, fakeGpus } from './fake-gpu.js';

const gpus = await fakeGpus();
const { skip } = gpus;
const folder = mkdtempSync(join(tmpdir(), 'alexnet-split-fake-gpu-'));
after(() => rmSync(folder, { recursive: true }));

test('two stand-in GPUs compute in their own memories, and report what was copied', { skip }, async () => {
  const file = join(folder, 'report.json');
  const { code, stdout, stderr } = await runProgram('two-gpus', [], gpus.env({ report: file }));
  assert.equal(code, 0, stderr);
  const { gpus: names, results, moved, refusal } = JSON.parse(stdout);
  assert.deepEqual(names, ['GPU:0', 'GPU:1']);
  assert.deepEqual(results, [
    { device: '/job:localhost/replica:0/task:0/device:GPU:0', value: 3 },
    { device: '/job:localhost/replica:0/task:0/device:GPU:1', value: 3 },
  ]);
  assert.equal(moved, 4);
  assert.match(refusal, /^Cannot run the op MatrixExponential: .* Supported device types \[CPU\]/);
  const report: FakeGpuReport = JSON.parse(readFileSync(file, 'utf8'));
  // Two sums were read, and one was moved through the host.
  assert.deepEqual([report.toHost[4000], report.toDevice[4000]], [3, 3]);
  assert.deepEqual([report['GPU:0'].Add, report['GPU:1'].Add], [1, 2]);
});

test('one stand-in GPU gives one device', { skip }, async () => {
  const { code, stdout, stderr } = await runProgram('two-gpus', [], gpus.env({ count: 1 }));
  assert.equal(code, 0, stderr);
  assert.deepEqual(JSON.parse(stdout).gpus, ['GPU:0']);
});

test("a process that reads a stand-in GPU's memory as host memory crashes", { skip }, async () => {
  const { code, signal, stdout } = await runProgram('two-gpus', ['peek'], gpus.env());
  assert.deepEqual({ code, signal, stdout }, { code: null, signal: 'SIGSEGV', stdout: '' });
});

for (const name of ['binding/gpu', 'binding/ops', 'layers/layer-ops']) {
  test(`test/native/${name} passes on a stand-in GPU`, { skip }, async () => {
    const file = fileURLToPath(new URL(`../native/${name}.test.js`, import.meta.url));
    const { code, stdout } = await runNode(['--test-reporter=tap', file], { ...gpus.env(), TEST_DEVICE: 'GPU:1' });
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^# skipped 0$/m);
    assert.doesNotMatch(stdout, /^# pass 0$/m);
  });
}
