/** Evaluations of one run: the middle, ten views, either placement. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { evaluateRun, train } from '../../src/train/index.js';
import { SINGLE, smallConfig, smallNet } from './teams.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-evaluate-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));
const { net, data } = smallNet('original') as { net: object; data: object };
const config = smallConfig({ net, data: { ...data, resize: 74 }, out, run: 'r', steps: 40, check: false });
await train(config, { report: () => {}, signal: new AbortController().signal });
const folder = join(out, 'r');

/** Of as many images at once it is the same, in a fraction of the time. */
const evaluated = { ...config, batchSize: 100 };

test('evaluateRun() by ten views differs from the middle, and is the same on one device', async () => {
  const middle = await evaluateRun(evaluated, folder);
  const ten = await evaluateRun(evaluated, folder, { tenView: true });
  assert.equal(ten.images, 1000);
  assert.notEqual(ten.loss, middle.loss);
  assert.ok(Math.abs(ten.loss - middle.loss) < 0.2 * middle.loss, `${ten.loss} and ${middle.loss}`);
  const single = await evaluateRun({ ...evaluated, ...SINGLE }, folder, { tenView: true });
  assert.ok(Math.abs(ten.loss - single.loss) < 1e-5, `${ten.loss} and ${single.loss}`);
  assert.deepEqual([single.top1, single.top5], [ten.top1, ten.top5]);
});

test('evaluateRun() by ten views of images as large as the window is refused', async () => {
  await assert.rejects(
    evaluateRun({ ...config, data: { ...config.data, resize: 67 } }, folder, { tenView: true }),
    /ten views/,
  );
});
