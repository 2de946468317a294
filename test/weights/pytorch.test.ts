/** Exported weights make the same net in PyTorch: its logits were computed once, from the same bytes. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CASES, type CaseName, IMAGES, writeCase } from '../../scripts/pytorch-cases.js';
import { createSlot, floatLayout, slotViews } from '../../src/data/batches/slots.js';
import { openTeam } from '../../src/train/team.js';
import { smallConfig } from '../equivalence/teams.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-pytorch-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const FIXTURE = fileURLToPath(new URL('../../../test/fixtures/pytorch.json', import.meta.url));
const { cases } = JSON.parse(fs.readFileSync(FIXTURE, 'utf8')) as {
  cases: Record<CaseName, { sha256: string; logits: number[][] }>;
};

/** The logits of a net's towers, from weights files. */
async function logitsOf(name: CaseName, placement: 'split' | 'single', files: string[], pixels: Float32Array) {
  const net = CASES[name];
  const mean = Array(net.inputChannels).fill(0);
  const config = smallConfig({ net: { ...net }, batchSize: IMAGES, placement, data: { mean, resize: net.inputSize } });
  const layout = floatLayout(IMAGES, net.inputSize, net.inputChannels);
  const slot = createSlot(layout);
  slotViews(slot, layout).images.set(pixels);
  const team = await openTeam(config, { slots: [slot], layout });
  try {
    await team.ask({ kind: 'load', files });
    const logits = new SharedArrayBuffer(4 * IMAGES * net.classes);
    await team.ask({ kind: 'evaluate', slot: 0, count: IMAGES, step: 1 }, logits);
    return new Float32Array(logits);
  } finally {
    await team.close();
  }
}

for (const name of Object.keys(CASES) as CaseName[]) {
  test(`exportWeights() gives PyTorch the same logits for the net ${name}`, async () => {
    const { towers, exported, images } = writeCase(folder, name);
    const { sha256, logits } = cases[name];
    const hash = createHash('sha256').update(fs.readFileSync(exported)).digest('hex');
    assert.equal(hash, sha256, 'this is not the file that PyTorch had; see scripts/pytorch-cases.ts');
    const expected = logits.flat();
    for (const placement of (name === 'one-gpu' ? ['single'] : ['split', 'single']) as ('split' | 'single')[]) {
      const found = await logitsOf(name, placement, towers, images);
      assert.equal(found.length, expected.length);
      const worst = Math.max(...expected.map((value, i) => Math.abs(value - found[i]!)));
      assert.ok(worst <= 1e-4, `${placement}: logits differ by ${worst}`);
    }
  });
}
