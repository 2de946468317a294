/** A run that learns one batch of synthetic images by heart. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import type { LogEvent } from '../../src/log.js';
import { evaluateRun, train } from '../../src/train/index.js';
import { SINGLE, smallConfig, smallNet } from './teams.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-overfit-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));

test('train() with overfit learns a batch of synthetic images, and is tested on that batch, as eval is', async () => {
  const small = smallNet('original', 'synthetic:100');
  const config = smallConfig({
    ...small,
    ...SINGLE,
    out,
    run: 'r',
    overfit: true,
    steps: 40,
    optimizer: { learningRate: 0.005 },
  });
  const events: LogEvent[] = [];
  const signal = new AbortController().signal;
  const { exitCode, top1 } = await train(config, { report: (event) => events.push(event), signal });
  const end = events.at(-1)!;
  assert.ok(end.event === 'run_end' && end.overfit?.learnt, JSON.stringify(end));
  assert.ok(end.overfit.first_loss > 1.5 && end.overfit.last_loss < 0.1);
  const start = events.find(({ event }) => event === 'run_start')!;
  assert.ok(start.event === 'run_start');
  const { name, train_images, test_images, all_train_images } = start.dataset;
  assert.deepEqual([name, train_images, test_images, all_train_images], ['synthetic', 8, 8, 100]);
  assert.deepEqual([exitCode, top1], [0, 1]);
  const scores = await evaluateRun(config, join(out, 'r'));
  assert.deepEqual([scores.images, scores.top1], [8, 1]);
});
