/** Whatever bytes a file has: a checkpoint, or a reason why there is none; no crash, and nothing large allocated. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import fc from 'fast-check';
import { openTensors, writeTensors } from '../../src/checkpoint/format.js';
import { fileNames, type Manifest, manifestText, parseManifest } from '../../src/checkpoint/manifest.js';
import { RUN_STATE } from '../../src/checkpoint/state.js';
import { CheckpointError } from '../../src/errors.js';
import { casesOf, fuzz, isSentence } from '../fuzz.js';

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

/** A text with a part of it replaced. */
function edited(texts: fc.Arbitrary<string>): fc.Arbitrary<{ text: string; was: string }> {
  return fc
    .record({ was: texts, at: fc.nat(), length: fc.nat({ max: 20 }), by: fc.string({ unit: 'binary', maxLength: 20 }) })
    .map(({ was, at, length, by }) => {
      const from = at % (was.length + 1);
      return { was, text: was.slice(0, from) + by + was.slice(from + length) };
    });
}

test('parseManifest() takes back every manifest', () => {
  fc.assert(
    fc.property(manifests, (manifest) => assert.deepEqual(parseManifest(manifestText(manifest)), manifest)),
    { numRuns: RUNS },
  );
});

test('parseManifest() has a manifest of known names or a reason for any text', () => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json(),
    edited(manifests.map(manifestText)).map(({ text }) => text),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const found = parseManifest(text);
      if (typeof found === 'string') return found.length > 0;
      return found.files.every(({ name }) => [...fileNames(1), ...fileNames(2)].includes(name));
    }),
    { numRuns: RUNS },
  );
});

test('parseManifest() takes one text for one manifest', () => {
  fc.assert(
    fc.property(edited(manifests.map(manifestText)), ({ text, was }) => {
      const found = parseManifest(text);
      return typeof found === 'string' || text === was || manifestText(found) === text;
    }),
    { numRuns: RUNS },
  );
});

test('RUN_STATE takes or refuses any JSON, and throws nothing', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const parsed = RUN_STATE.safeParse(value);
      return !parsed.success; // what is made at random is no state
    }),
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

/** Files: any bytes, any JSON as a header, and a good one with some bytes changed. */
const files = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc.tuple(fc.json(), fc.nat({ max: 64 })).map(([json, bytes]) => withHeader(json, bytes)),
  headers().map((json) => withHeader(json, 40)),
  fc
    .array(fc.tuple(fc.nat({ max: GOOD.length - 1 }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 })
    .map((changes) => {
      const bytes = Buffer.from(GOOD);
      for (const [at, value] of changes) bytes[at] = value;
      return bytes;
    }),
  fc.nat({ max: GOOD.length }).map((length) => GOOD.subarray(0, length)),
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

function withHeader(json: string, bytes: number): Buffer {
  const header = Buffer.from(json);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, Buffer.alloc(bytes)]);
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
