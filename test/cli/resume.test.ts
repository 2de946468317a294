/** The settings with which a run is resumed. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { earlierAblation, settingsOf } from '../../src/cli/ablation.js';
import { findRun, savedConfig } from '../../src/cli/find-run.js';
import { planResume } from '../../src/cli/resume.js';
import { resolveConfig } from '../../src/config/config.js';
import { refuseOtherSettings } from '../../src/train/resume.js';
import { putCheckpoint } from '../checkpoint/put-checkpoint.js';
import { flags, machineWith } from '../config/machines.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-resume-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));
const MACHINE = machineWith('CPU:0', 'CPU:1');
const { config } = resolveConfig([flags({ preset: 'lenet', run: 'r', out, weights: 'earlier' })], MACHINE);
const checkpoint = putCheckpoint(join(out, 'r'), 5, { config: { ...config } });

test('--weights with --resume gets a note, unless the run started from these weights', () => {
  for (const [weights, said] of [
    ['other', ['--weights other has no effect: the run resumes with the weights of its checkpoint']],
    ['earlier', []],
    [undefined, []],
  ] as const) {
    const { layers, notes } = planResume([flags({ run: 's', ...(weights && { weights }) })], checkpoint).find();
    assert.deepEqual(notes.slice(1), said);
    assert.equal(resolveConfig(layers, MACHINE).config.weights, 'earlier');
  }
});

test('--new-head with --resume gets a note, unless the run began with one', () => {
  const { layers, notes } = planResume([flags({ run: 's', newHead: true })], checkpoint).find();
  assert.deepEqual(notes.slice(1), ['--new-head has no effect: the run resumes with the weights of its checkpoint']);
  const { newHead, weights } = resolveConfig(layers, MACHINE).config;
  assert.deepEqual([newHead, weights], [false, 'earlier']);
  const begun = putCheckpoint(join(out, 'begun'), 5, { config: { ...config, newHead: true } });
  const again = planResume([flags({ run: 's', newHead: true })], begun).find();
  assert.deepEqual([again.notes.length, resolveConfig(again.layers, MACHINE).config.newHead], [1, true]);
});

test('--resume takes the name of a run, as --weights does, and names the nearest', () => {
  const find = (asked: string) => planResume([flags({ out })], asked).find();
  assert.equal(find('r').resume?.checkpoint.folder, checkpoint);
  fs.mkdirSync(join(out, 'fruitless'));
  assert.throws(
    () => find('fruitless'),
    /fruitless: it is neither a checkpoint nor the folder of a run with one; choose/,
  );
  fs.writeFileSync(join(out, 'fruitless', 'config.json'), '{}');
  assert.throws(
    () => find('fruitless'),
    /the run has no checkpoint yet; begin it again with --resume auto --run fruitless --out \S+, or/,
  );
  assert.throws(() => find('fruitles'), /from fruitles: it does not exist \(did you mean fruitless\?\), expected/);
});

test('--resume auto refuses to begin a run again with other settings', () => {
  const file = join(out, 'again', 'config.json');
  const { out: _, ...saved } = { ...config, newHead: true };
  const now = { ...config, newHead: true };
  refuseOtherSettings(file, saved, { ...now, epochs: 9 });
  for (const [other, message] of [
    [
      { seed: 9 },
      /Cannot begin the run r again: seed is 1 in .*config\.json, and 9 now; leave that setting out, or start/,
    ],
    [{ weights: 'others' }, /weights is "earlier" in/],
    [{ newHead: false }, /newHead is true in/],
  ] as const) {
    assert.throws(() => refuseOtherSettings(file, saved, { ...now, ...other }), message);
  }
});

test('files of earlier versions, with the setting `fault`, can be read', () => {
  const earlier = { ...config, fault: null };
  const saved = putCheckpoint(join(out, 'earlier'), 5, { config: earlier });
  const { layers } = planResume([flags({ run: 's' })], saved).find();
  assert.deepEqual(resolveConfig(layers, MACHINE).config.net, config.net);
  fs.writeFileSync(join(out, 'earlier', 'config.json'), JSON.stringify(earlier));
  assert.deepEqual(savedConfig(findRun('earlier', 'evaluate', out).saved, new Date()), config);
  const ablation = join(out, 'ablation');
  fs.mkdirSync(ablation);
  const settings = settingsOf(config);
  fs.writeFileSync(
    join(ablation, 'ablation.json'),
    JSON.stringify({ settings: { ...settings, fault: null }, rows: [] }),
  );
  assert.deepEqual(earlierAblation(ablation, settings)?.rows, []);
});
