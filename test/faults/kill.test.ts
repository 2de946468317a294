/** A few kills with SIGKILL; `node dist/scripts/kill-test.js 50` does more. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { killTest } from '../../scripts/kill-test.js';
import { fewImages } from '../data/sets.js';
import { DEVICES } from '../equivalence/teams.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-kills-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));

test('train resumes after each of three kills, and ends with the losses and weights of an undisturbed run', async () => {
  const { early, late, undisturbed, killed, differing } = await killTest({
    ...{ kills: 3, seed: 5, steps: 15, flags: ['--devices', DEVICES.join(','), '--data', fewImages(out)], out },
    onProgress: () => {},
  });
  assert.equal(early + late, 3);
  assert.equal(Object.keys(undisturbed).length, 2);
  assert.deepEqual(killed, undisturbed);
  assert.deepEqual(differing, []);
});
