/** Whatever bytes CIFAR-10's files have: images, or a sentence; nothing large allocated. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { openDataset } from '../../../src/data/index.js';
import { ConfigError, DataError } from '../../../src/errors.js';
import { fuzz, isSentence } from '../../fuzz.js';
import { cifarFile, cifarFiles, folderOf } from '../sets.js';

test("openDataset() reads or refuses any bytes in place of CIFAR-10's files", async (t) => {
  const folder = folderOf(t, cifarFiles());
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 5000 }),
    fc.array(fc.nat({ max: 11 }), { maxLength: 3 }).map((labels) => cifarFile(labels)),
  );
  await fuzz(t, {
    what: "files of CIFAR-10's format",
    cases: fc.tuple(bytes, fc.option(fc.uint8Array({ maxLength: 100 }))),
    usual: 100,
    read([records, names]) {
      writeFileSync(join(folder, 'data_batch_1.bin'), records);
      writeFileSync(join(folder, 'batches.meta.txt'), names ?? [...'abcdefghij'].join('\n'));
      assert.ok(openDataset(folder, 10).train.count <= 11);
    },
    refuses: (error) =>
      (error instanceof DataError || error instanceof ConfigError) && isSentence((error as Error).message),
  });
});
