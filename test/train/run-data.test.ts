/** Whether a run's classes are the data's: names that look alike are the same. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import type { RunState } from '../../src/checkpoint/contents.js';
import { runFolderOf } from '../../src/checkpoint/store.js';
import { PRESETS } from '../../src/config/presets.js';
import { openImages, writeStatistics } from '../../src/data/index.js';
import { type Resume, refuseOtherData } from '../../src/train/resume.js';
import { checkClasses, classesToContinue, runStatistics, statisticsToContinue } from '../../src/train/run-data.js';
import { imageFolderOf } from '../data/sets.js';

const [COMPOSED, DECOMPOSED] = ['caf\u00e9', 'cafe\u0301'];

test('a run with composed names can be evaluated and resumed with decomposed names, but not with others', (t) => {
  const run = mkdtempSync(join(tmpdir(), 'alexnet-split-run-'));
  t.after(() => rmSync(run, { recursive: true, force: true }));
  const dataOf = (name: string) =>
    openImages(
      imageFolderOf(
        t,
        Object.fromEntries(
          ['train', 'val'].flatMap((part) => [name, 'z'].map((each) => [`${part}/${each}/1.jpg`, 'rgb.jpg'])),
        ),
      ),
    );
  for (const name of [COMPOSED, DECOMPOSED]) {
    writeFileSync(join(run, 'classes.json'), JSON.stringify([name, 'z']));
    const state = { data: { name: 'x', trainImages: 2, testImages: 2 }, classes: [name, 'z'] };
    const resume = { checkpoint: { folder: run, state } } as unknown as Resume;
    for (const now of [COMPOSED, DECOMPOSED]) {
      checkClasses(run, dataOf(now));
      refuseOtherData(resume, dataOf(now));
    }
    assert.throws(() => checkClasses(run, dataOf('cafe')), /class 0 is cafe there, expected/);
    assert.throws(
      () => refuseOtherData(resume, dataOf('cafe')),
      /the run's classes are .*, and the data's are cafe, z/,
    );
  }
});

test('a checkpoint that was moved uses neither names nor statistics from files in the new folder', (t) => {
  const base = mkdtempSync(join(tmpdir(), 'alexnet-split-run-'));
  t.after(() => rmSync(base, { recursive: true, force: true }));
  writeFileSync(join(base, 'classes.json'), JSON.stringify(['evil', 'z']));
  writeFileSync(join(base, 'statistics.json'), '{}');
  const at = (parent: string) => ({ folder: join(base, parent, '0000000010') });
  const names = ['cat', 'dog'];
  const { data, net } = PRESETS.mini;
  const warned = (parent: string) => {
    const said: string[] = [];
    const checkpoint = { ...at(parent), state: {} as RunState };
    const config = { net, data: { ...data, meanImage: true } };
    assert.equal(
      statisticsToContinue(checkpoint, config, (text) => said.push(text)),
      undefined,
    );
    return said.join();
  };
  assert.equal(runFolderOf(at('x')), undefined);
  assert.deepEqual(classesToContinue(at('x'), names), names);
  assert.match(warned('x'), /0000000010 is in no run's folder: the mean of the training images is computed again$/);
  assert.equal(runFolderOf(at('checkpoints')), base);
  assert.deepEqual(classesToContinue(at('checkpoints'), names), ['evil', 'z']);
  assert.match(warned('checkpoints'), /statistics\.json is missing or damaged/);
  writeFileSync(join(base, 'config.json'), '{}');
  assert.equal(runFolderOf(at('x')), base);
});

test('a run without its statistics is refused, with every way to continue', () => {
  const { data, net } = PRESETS.mini;
  assert.throws(() => runStatistics('runs/not there', { net, data: { ...data, meanImage: true } }), {
    name: 'CheckpointError',
    message:
      /missing or damaged, .*; restore the file, compute it again from the same images with train --resume 'runs\/not there', or train again$/,
  });
});

test('statisticsToContinue() keeps the mean image of the images of the weights, and of other images refuses it', (t) => {
  const run = mkdtempSync(join(tmpdir(), 'alexnet-split-run-'));
  t.after(() => rmSync(run, { recursive: true, force: true }));
  const { data, net } = PRESETS.mini;
  const colours = { deviations: [1, 1, 1], directions: [1, 2, 3].map(() => [1, 0, 0]) } as never;
  const mean = new Float32Array(new SharedArrayBuffer(4 * 3 * data.resize ** 2));
  writeStatistics(run, 'statistics.json', { images: 7, resize: data.resize, channels: 3, mean, colours });
  writeFileSync(join(run, 'config.json'), '{}');
  const checkpoint = {
    folder: join(run, 'checkpoints', '0000000010'),
    state: { data: { trainImages: 5 } } as RunState,
  };
  const config = { net, data: { ...data, meanImage: true } };
  assert.throws(
    () => statisticsToContinue(checkpoint, config, () => {}),
    /is of 7 images, and the run was trained with 5/,
  );
  assert.equal(statisticsToContinue(checkpoint, { ...config, weights: 'other' }, () => {})?.images, 7);
});
