/** Towers and reference compute the values that PyTorch computed in float64, at full size. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { DataError } from '../../src/errors.js';
import { listDevices } from '../../src/native/c/context.js';
import { type GoldenResult, verifyGolden } from '../../src/train/golden.js';
import { DEVICES } from './teams.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const golden = (name: string) => join(ROOT, 'test', 'fixtures', 'goldens', `${name}.json`);
const config = {
  devices: DEVICES as string[],
  exchangeTimeoutMs: 120_000,
  exchange: { transport: 'msgpack', dtype: 'float32', checksum: false },
  compile: 'on',
  convolutions: 'direct',
} as const;
listDevices(); // makes the process's context

const rowOf = ({ rows }: GoldenResult, side: string, kind: string) =>
  rows.find((row) => row.side === side && row.kind === kind)!;

const parsed = (name: string) => JSON.parse(fs.readFileSync(golden(name), 'utf8'));

for (const [name, convolutions] of [
  ['original', 'auto'],
  ['original', 'direct'],
  ['paper', 'auto'],
  ['paper', 'direct'],
  ['d2l', 'auto'],
] as const) {
  test(`verifyGolden() passes on ${name} with ${convolutions} convolutions`, async () => {
    // The reference's values are the same with both kinds of convolutions: it is compared once.
    const sides = convolutions === 'auto' ? (['towers', 'reference'] as const) : (['towers'] as const);
    const result = await verifyGolden(golden(name), { ...config, convolutions }, sides);
    assert.equal(result.passed, true, JSON.stringify(result.rows, null, 1));
    for (const side of sides) {
      const worst = (kind: string) => rowOf(result, side, kind).worst;
      assert.ok(worst('loss') <= 1e-5);
      for (const kind of ['layer norms', 'parameter after norms']) assert.ok(worst(kind) <= 1e-4);
      assert.ok(worst('layer elements') <= 1e-3);
      // With Winograd's convolutions one near tie of `paper` is decided the other way.
      const falls = name === 'paper' && convolutions === 'auto' && side === 'towers';
      assert.ok(worst('gradient norms') <= (falls ? 1e-3 : 1e-4));
      assert.ok(worst('gradient elements') <= (falls ? 5e-2 : 1e-3));
    }
    const { tolerance } = parsed(name);
    const allowed = (side: string) => rowOf(result, side, 'gradient norms').tolerance / tolerance.gradients.norm;
    assert.deepEqual(sides.map(allowed), convolutions === 'auto' ? [2, 1] : [1]);
    // A gradient that is wrong by 1 % fails on either side.
    for (const side of sides) assert.ok(rowOf(result, side, 'gradient norms').tolerance < 0.0099);
  });
}

/** The rows out of tolerance: side, kind and name. */
const wrongIn = ({ rows }: GoldenResult) =>
  rows.filter(({ worst, tolerance }) => !(worst <= tolerance)).map(({ side, kind, name }) => [side, kind, name]);

test('verifyGolden() fails on other values than its own, with the default tolerance', async () => {
  const { tolerance: _, ...file } = parsed('d2l');
  file.steps.length = 1;
  file.steps[0].loss *= 1.001;
  file.after = {};
  file.steps[0].gradients['tower1/conv4/kernel'].l2 *= 1.02;
  const result = await withFile(JSON.stringify(file), (path) => verifyGolden(path, config, ['reference']));
  assert.equal(result.passed, false);
  assert.deepEqual(wrongIn(result), [
    ['reference', 'loss', 'step 1'],
    ['reference', 'gradient norms', 'tower1/conv4/kernel'],
  ]);
});

test("verifyGolden() fails on other values than its own, with the file's tolerance", async () => {
  const file = parsed('d2l');
  const [{ layers, gradients }] = file.steps;
  file.steps.length = 1;
  const { loss, gradients: gradient, layers: layer, after } = file.tolerance;
  file.steps[0].loss *= 1 + 2 * loss;
  layers['tower0/pool5'].l2 *= 1 + 2 * layer.norm;
  gradients['tower1/conv4/kernel'].l2 *= 1 + 2 * gradient.norm;
  const bias = { l2: 0.1, at: { 128: 0 } };
  file.after = { 'tower0/conv1/bias': bias };
  assert.ok(Math.max(loss, gradient.norm, layer.norm, after.norm) < 0.01);
  const result = await withFile(JSON.stringify(file), (path) => verifyGolden(path, config, ['towers']));
  assert.equal(result.passed, false);
  assert.deepEqual(wrongIn(result), [
    ['towers', 'loss', 'step 1'],
    ['towers', 'layer norms', 'tower0/pool5'],
    ['towers', 'gradient norms', 'tower1/conv4/kernel'],
    ['towers', 'parameter after norms', 'tower0/conv1/bias'],
    ['towers', 'parameter after elements', 'tower0/conv1/bias[128]'], // there is no such element
  ]);
});

test('verifyGolden() refuses a file that is not a reference file, in one sentence', async () => {
  const file = parsed('paper');
  const wrong: [string, RegExp][] = [
    ['{', /JSON/],
    ['[]', /the file is wrong/],
    [JSON.stringify({ ...file, net: 'vgg' }), /net is wrong/],
    [JSON.stringify({ ...file, batch: -1 }), /batch is wrong/],
    [JSON.stringify({ ...file, tolerance: { loss: 0 } }), /tolerance\.\w+ is wrong/],
    [JSON.stringify({ ...file, dropout: 0.5 }), /dropout is wrong/],
    [JSON.stringify({ ...file, parameters: {} }), /has 0 parameters, expected the 30/],
    [JSON.stringify({ ...file, labels: [9, 9, 9, 9] }), /labels are not those of its seed/],
  ];
  for (const [text, message] of wrong) {
    await withFile(text, (path) =>
      assert.rejects(verifyGolden(path, config), (error) => error instanceof DataError && message.test(error.message)),
    );
  }
  await assert.rejects(verifyGolden('/no/such/file.json', config), /it does not exist/);
});

async function withFile<T>(text: string, use: (path: string) => Promise<T>): Promise<T> {
  const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-golden-'));
  try {
    fs.writeFileSync(join(folder, 'file.json'), text);
    return await use(join(folder, 'file.json'));
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}
