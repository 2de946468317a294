/** Fuzz tests of imported files: every value is read into its place, or the file is refused with one sentence. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import fc from 'fast-check';
import { CASES, writeCase } from '../../scripts/pytorch-cases.js';
import { resolveConfig } from '../../src/config/config.js';
import { isStatistics } from '../../src/data/index.js';
import { CheckpointError, ConfigError } from '../../src/errors.js';
import { buildNet, parametersOf, volume } from '../../src/model/net.js';
import { DESCRIPTION, exportWeights, MEAN_IMAGE } from '../../src/weights/export.js';
import { openImport, settingsIn } from '../../src/weights/import.js';
import { rawFile } from '../checkpoint/raw-file.js';
import { flags, machineWith } from '../config/machines.js';
import { fuzz, isSentence, jsonLike } from '../fuzz.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-import-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));
const MACHINE = machineWith('CPU:0', 'CPU:1');
const NET = buildNet(CASES.lenet);
const RESIZE = 30;
const file = join(folder, 'any.safetensors');

const good = join(folder, 'good.safetensors');
const { preset, net, data } = resolveConfig([flags({ preset: 'lenet', data: { resize: RESIZE } })], MACHINE).config;
const mean = new Float32Array(RESIZE ** 2).fill(7);
const colours = { deviations: [1, 2, 3], directions: [Array(3).fill(1), Array(3).fill(2), Array(3).fill(3)] };
const classes = Array.from({ length: NET.options.classes }, (_, i) => `class ${i}`);
const knowledge = { classes, statistics: { images: 9, resize: RESIZE, channels: 1, mean, colours } };
exportWeights(NET, writeCase(folder, 'lenet').towers, good, { preset, net, data }, knowledge);
const GOOD = fs.readFileSync(good);
const start = 8 + Number(GOOD.readBigUInt64LE());
type Header = Record<string, { shape: number[] }> & { __metadata__: Record<string, string> };
const HEADER = JSON.parse(GOOD.toString('utf8', 8, start)) as Header;
const BODY = GOOD.subarray(start);

/** The names of others, and old Caffe's shapes. */
function renamed(nameOf: (layer: string, role: string) => string, sizes = 0): object {
  return Object.fromEntries(
    Object.entries(HEADER).map(([name, entry]) => {
      const [layer, role] = name.split('.');
      if (role === undefined) return [name, entry];
      const ones = Array(Math.max(0, sizes - entry.shape.length)).fill(1);
      return [nameOf(layer!, role), { ...entry, shape: [...ones, ...entry.shape] }];
    }),
  );
}

const STYLES = [
  HEADER,
  renamed((layer, role) => `module.${layer}.${role}`),
  renamed((layer, role) => `${layer}.${role === 'weight' ? 0 : 1}`, 4),
  renamed((layer, role) => `${layer}_${role[0]}`),
];

const headers = fc.oneof(
  fc.constantFrom(...STYLES).chain((header) => jsonLike(header, 2)),
  jsonLike(JSON.parse(HEADER.__metadata__[DESCRIPTION]!), 3).map((text) =>
    JSON.stringify({ ...HEADER, __metadata__: { [DESCRIPTION]: text } }),
  ),
  // A name that comes twice: JSON's readers take the last one.
  jsonLike(HEADER, 1).map((text) =>
    text.replace('{', '{"conv1.bias":{"dtype":"F32","shape":[6],"data_offsets":[0,24]},'),
  ),
);
const files = fc
  .record({
    header: headers,
    body: fc.constantFrom(BODY, BODY, BODY, BODY, BODY.subarray(4), BODY.subarray(0, 99), Buffer.concat([BODY, BODY])),
    length: fc.constantFrom(0n, 0n, 0n, 0n, 0n, 0n, 1n, -1n, 2n ** 31n, 2n ** 53n),
  })
  .map(({ header, body, length }) => {
    const claimed = BigInt(Buffer.byteLength(header)) + length;
    return rawFile(header, body, claimed < 0n ? 0n : claimed);
  });

/** The values' bits as one number, whatever order they are in. */
function sumOf(values: Float32Array): number {
  return new Uint32Array(values.buffer, values.byteOffset, values.length).reduce((sum, bits) => (sum + bits) >>> 0, 0);
}

/** The bits of all tensors but the mean image, by a reader that has nothing in common with ours. */
function expectedSum(bytes: Buffer): number {
  const from = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString('utf8', 8, from)) as Record<string, { data_offsets: [number, number] }>;
  return Object.entries(header).reduce((sum, [name, { data_offsets: place }]) => {
    if (name === MEAN_IMAGE || name === '__metadata__') return sum;
    const values = Uint8Array.from(bytes.subarray(from + place[0], from + place[1]));
    return (sum + sumOf(new Float32Array(values.buffer))) >>> 0;
  }, 0);
}

test('openImport() reads every value of a file once, or refuses it with one sentence', async (t) => {
  await fuzz(t, {
    what: 'weights files',
    cases: files,
    usual: 120,
    read(bytes) {
      fs.writeFileSync(file, bytes);
      const source = openImport(file, NET, 'bgr');
      try {
        let sum = 0;
        for (const parameter of parametersOf(NET)) {
          const values = new Float32Array(volume(parameter.shape));
          source.read(parameter, values);
          sum = (sum + sumOf(values)) >>> 0;
        }
        assert.equal(sum, expectedSum(bytes));
        const { classes, statistics } = source.images();
        assert.ok(classes === undefined || classes.every((name) => typeof name === 'string'));
        if (isStatistics(statistics, RESIZE)) assert.equal(statistics.mean.length, RESIZE ** 2);
      } finally {
        source.close();
      }
      const settings = settingsIn(file);
      if (settings) resolveConfig([{ file, values: settings }, flags({ run: 'imported' })], MACHINE);
    },
    refuses: (error) => (error instanceof CheckpointError || error instanceof ConfigError) && isSentence(error.message),
  });
});

test('openImport() refuses a header that is too large before it allocates memory', () => {
  fs.writeFileSync(file, rawFile('', 0, 2n ** 26n));
  fs.truncateSync(file, 2 ** 27);
  const before = process.memoryUsage().arrayBuffers;
  assert.throws(() => openImport(file, NET, 'rgb'), /its header has 67108864 bytes, more than 16777216; choose a/);
  assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 24);
});

test('settingsIn() refuses a description that is nested too deeply, or has a long version', () => {
  const write = (description: string) =>
    fs.writeFileSync(file, rawFile({ __metadata__: { [DESCRIPTION]: description } }, 0));
  write(`{"version":${'['.repeat(50_000)}${']'.repeat(50_000)}}`);
  assert.throws(() => settingsIn(file), /its description is of version undefined, expected 1/);
  write(`{"version":"${'9'.repeat(50_000)}"}`);
  assert.throws(
    () => settingsIn(file),
    (error: Error) => isSentence(error.message) && /version "9{50,}\.\.\.,/.test(error.message),
  );
});
