/** Whether a run's classes are the data's: names that look alike are the same. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { openImages } from '../../src/data/index.js';
import { type Resume, refuseOtherData } from '../../src/train/resume.js';
import { checkClasses } from '../../src/train/run-data.js';
import { imageFolderOf } from '../data/sets.js';

const [COMPOSED, DECOMPOSED] = ['caf\u00e9', 'cafe\u0301'];

test('a run of composed names is evaluated, and goes on, with decomposed ones, and not with others', (t) => {
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
    assert.throws(() => refuseOtherData(resume, dataOf('cafe')), /its classes are .*, and here they are cafe, z/);
  }
});
