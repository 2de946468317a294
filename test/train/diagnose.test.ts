import assert from 'node:assert/strict';
import test from 'node:test';
import type { Config } from '../../src/config/config.js';
import type { BatchFeeder } from '../../src/data/index.js';
import { NonFiniteError } from '../../src/errors.js';
import { diagnose } from '../../src/train/diagnose.js';
import type { Team } from '../../src/train/team.js';

/** Of an error that names its layer itself: towers and settings are not asked. */
async function diagnosed(images: readonly string[]): Promise<NonFiniteError> {
  const error = new NonFiniteError(
    'Cannot continue: the gradient of step 7 is not finite, first in x, expected finite numbers',
    7,
  );
  const feeder = { imagesOf: (step: number) => (step === 7 ? images : []) } as unknown as BatchFeeder;
  return diagnose(error, {} as Team, feeder, {} as Config);
}

test('diagnose() keeps the error if the images cannot be identified', async () => {
  const error = new NonFiniteError('Cannot continue: the gradient of step 7 is not finite, expected finite numbers', 7);
  const imagesOf = () => {
    throw new Error('no names');
  };
  const found = await diagnose(error, {} as Team, { imagesOf } as unknown as BatchFeeder, {} as Config);
  assert.deepEqual([found.name, found.message, found.step, found.images], ['NonFiniteError', error.message, 7, []]);
});

test('diagnose() names the images of the batch, three in the sentence and all for the log', async () => {
  const paths = ['train/a/1.jpg', 'train/b/2.jpg', 'train/a/3.jpg', 'train/c/4.jpg', 'train/a/5.jpg'];
  const many = await diagnosed(paths);
  assert.ok(many instanceof NonFiniteError);
  assert.equal(
    many.message,
    'Cannot continue: the gradient of step 7 is not finite, first in x, expected finite numbers; its batch has the training images train/a/1.jpg, train/b/2.jpg, train/a/3.jpg and 2 more, which the log names',
  );
  assert.deepEqual([many.step, many.images], [7, paths]);
  const few = await diagnosed(paths.slice(0, 3));
  assert.match(
    few.message,
    /; its batch has the training images train\/a\/1\.jpg, train\/b\/2\.jpg, train\/a\/3\.jpg$/,
  );
});
