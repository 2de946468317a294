/** Fuzz tests of a checkpoint's files: each is read or refused with a reason, without a crash or a large allocation. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import fc from 'fast-check';
import {
  Damage,
  fileNames,
  type Manifest,
  manifestText,
  parseManifest,
  RUN_STATE,
} from '../../src/checkpoint/contents.js';
import { openTensors, writeTensors } from '../../src/checkpoint/safetensors.js';
import { CheckpointError } from '../../src/errors.js';
import { casesOf, damaged, edited, fuzz, isSentence } from '../fuzz.js';
import { rawFile } from './raw-file.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-fuzz-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const RUNS = casesOf(500);

const sha256 = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 64, maxLength: 64 });
const manifests: fc.Arbitrary<Manifest> = fc
  .record({
    step: fc.integer({ min: 1, max: 9_999_999_999 }),
    towers: fc.constantFrom(1, 2),
    digests: fc.array(fc.record({ bytes: fc.maxSafeNat().map((n) => n || 1), sha256 }), { minLength: 3, maxLength: 3 }),
  })
  .map(({ step, towers, digests }) => {
    const files = fileNames(towers).map((name, i) => ({ name, ...digests[i]! }));
    return { format: 1, step, files };
  });

test('parseManifest() reads every manifest that manifestText() writes', () => {
  fc.assert(
    fc.property(manifests, (manifest) => assert.deepEqual(parseManifest(manifestText(manifest)), manifest)),
    { numRuns: RUNS },
  );
});

test('parseManifest() accepts only known names and one text for each manifest, or throws Damage', async (t) => {
  await fuzz(t, {
    what: 'manifests',
    cases: fc.oneof(
      fc.string({ unit: 'binary' }).map((text) => ({ text, was: '' })),
      fc.json().map((text) => ({ text, was: '' })),
      manifests.map(manifestText).map((text) => ({ text, was: text })),
      edited(manifests.map(manifestText)),
    ),
    usual: 1000,
    read({ text, was }) {
      const found = parseManifest(text);
      assert.ok(found.files.every(({ name }) => [...fileNames(1), ...fileNames(2)].includes(name)));
      assert.ok(text === was || manifestText(found) === text);
    },
    refuses: (error) => error instanceof Damage && error.message.length > 0,
  });
});

test('RUN_STATE refuses any JSON made at random, and throws nothing', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => !RUN_STATE.safeParse(value).success),
    { numRuns: RUNS },
  );
});

const file = join(folder, 'any.safetensors');
writeTensors(
  file,
  [
    { name: 'a', shape: [2, 3] },
    { name: 'b', shape: [4] },
  ],
  { net: 'x' },
  () => {},
);
const GOOD = fs.readFileSync(file);

/** Damaged files, and files with any JSON as a header. */
const files = fc.oneof(
  { weight: 3, arbitrary: damaged(GOOD) },
  fc.tuple(fc.json(), fc.nat({ max: 64 })).map(([json, bytes]) => rawFile(json, bytes)),
  headers().map((json) => rawFile(json, 40)),
);

/** Headers of the right form with numbers of any size. */
function headers(): fc.Arbitrary<string> {
  const number = fc.oneof(fc.nat({ max: 64 }), fc.maxSafeNat(), fc.double(), fc.integer());
  const entry = fc.record({
    dtype: fc.constantFrom('F32', 'F16', 'x'),
    shape: fc.array(number, { maxLength: 4 }),
    data_offsets: fc.array(number, { maxLength: 3 }),
  });
  return fc
    .dictionary(fc.string(), fc.oneof(entry, fc.jsonValue()), { maxKeys: 4 })
    .map((each) => JSON.stringify(each));
}

test('openTensors() reads any file, or refuses it, and allocates no more than the file has', async (t) => {
  await fuzz(t, {
    what: 'safetensors files',
    cases: files,
    usual: 500,
    read(bytes) {
      fs.writeFileSync(file, bytes);
      const open = openTensors(file);
      try {
        for (const { name, shape } of open.entries) assert.ok(open.read(name, shape).byteLength <= bytes.length);
      } finally {
        open.close();
      }
    },
    refuses: (error) => error instanceof CheckpointError && isSentence(error.message),
  });
});
