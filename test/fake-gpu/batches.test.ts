/** What batches cost on the way to GPUs: the stand-ins count the copies. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runNode } from '../native/child.js';
import { type FakeGpuReport, fakeGpus } from './fake-gpu.js';

const gpus = await fakeGpus();
const program = fileURLToPath(new URL('batches.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'alexnet-split-fake-gpu-batches-'));
after(() => rmSync(folder, { recursive: true }));

/** Of a step: 48 grey images of 28 x 28. */
const BYTES = 48 * 28 * 28;
/** Of each tower. */
const LABELS = 2 * 4 * 48;
const STEPS = 4;

for (const [devices, copies] of [
  ['GPU:0,GPU:1', 2],
  ['GPU:0,GPU:0', 1],
] as const) {
  test(`a step on ${devices} copies its images ${copies} times, a byte for each grey level`, {
    skip: gpus.skip,
  }, async () => {
    const file = join(folder, `${copies}.json`);
    const { code, stdout, stderr } = await runNode(
      [program, folder, devices],
      gpus.env({ count: copies, report: file }),
    );
    assert.equal(code, 0, stderr);
    const { exitCode, deviceBytes, losses } = JSON.parse(stdout);
    assert.deepEqual([exitCode, deviceBytes], [0, Array(STEPS).fill(copies * BYTES + LABELS)]);
    assert.ok(losses.length === STEPS && losses.every(Number.isFinite));
    const { toDevice }: FakeGpuReport = JSON.parse(readFileSync(file, 'utf8'));
    assert.deepEqual([toDevice[BYTES], toDevice[4 * BYTES]], [STEPS * copies, undefined]);
  });
}
