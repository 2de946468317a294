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
const GOLDENS = join(ROOT, 'test', 'fixtures', 'goldens');
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

const parsed = (name: string) => JSON.parse(fs.readFileSync(join(GOLDENS, `${name}.json`), 'utf8'));

/** A reference file without the steps after the first, and the parameters after them. */
function firstStep(name: string) {
  const { steps, ...file } = parsed(name);
  return { ...file, steps: steps.slice(0, 1), after: {} };
}

/** Whether every file is compared with all of its steps. */
const ALL = process.env.GOLDENS === 'all';

const BOTH = ['towers', 'reference'] as const;

// One file with all steps is enough: updates are the same for all nets. The reference does not depend on `convolutions`; that of
// d2l is compared below.
for (const [name, convolutions, sides, part] of [
  ['original', 'auto', BOTH, 'all steps'],
  ['original', 'direct', ['towers'], 'the first step'],
  ['paper', 'auto', BOTH, 'the first step'],
  ['paper', 'direct', ['towers'], 'the first step'],
  ['d2l', 'auto', ['towers'], 'the first step'],
] as const) {
  test(`verifyGolden() passes on ${name} with ${convolutions} convolutions: ${sides.join(', ')}, ${part}`, async () => {
    const isWhole = part === 'all steps' || ALL;
    const file = isWhole ? parsed(name) : firstStep(name);
    const result = await withFile(JSON.stringify(file), (path) =>
      verifyGolden(path, { ...config, convolutions }, sides),
    );
    assert.equal(result.passed, true, JSON.stringify(result.rows, null, 1));
    for (const side of sides) {
      const worst = (kind: string) => rowOf(result, side, kind).worst;
      assert.ok(worst('loss') <= 1e-5);
      for (const kind of ['layer norms', ...(isWhole ? ['parameter after norms'] : [])]) assert.ok(worst(kind) <= 1e-4);
      assert.ok(worst('layer elements') <= 1e-3);
      // With Winograd's convolutions one near tie of `paper` is decided the other way.
      const falls = name === 'paper' && convolutions === 'auto' && side === 'towers';
      assert.ok(worst('gradient norms') <= (falls ? 1e-3 : 1e-4));
      assert.ok(worst('gradient elements') <= (falls ? 5e-2 : 1e-3));
      const { tolerance } = rowOf(result, side, 'gradient norms');
      const isTiled = convolutions === 'auto' && side === 'towers';
      assert.equal(tolerance / file.tolerance.gradients.norm, isTiled ? 2 : 1);
      assert.ok(tolerance < 0.0099, 'a gradient that is wrong by 1 % fails');
    }
  });
}

/** The rows out of tolerance: side, kind and name. */
const wrongIn = ({ rows }: GoldenResult) =>
  rows.filter(({ worst, tolerance }) => !(worst <= tolerance)).map(({ side, kind, name }) => [side, kind, name]);

test('verifyGolden() fails on another loss than its own with the default tolerance, and on nothing else', async () => {
  const { tolerance: _, ...file } = firstStep('d2l');
  file.steps[0].loss *= 1.001;
  const result = await withFile(JSON.stringify(file), (path) => verifyGolden(path, config, ['reference']));
  assert.equal(result.passed, false);
  assert.deepEqual(wrongIn(result), [['reference', 'loss', 'step 1']]);
  assert.ok(Math.abs(rowOf(result, 'reference', 'loss').worst - 0.001 / 1.001) <= 1e-5);
  for (const kind of ['layer norms', 'gradient norms']) assert.ok(rowOf(result, 'reference', kind).worst <= 1e-4);
  for (const kind of ['layer elements', 'gradient elements']) assert.ok(rowOf(result, 'reference', kind).worst <= 1e-3);
  // A gradient that is wrong by 1 % would fail.
  assert.ok(rowOf(result, 'reference', 'gradient norms').tolerance < 0.0099);
});

test("verifyGolden() fails on other values than its own, with the file's tolerance", async () => {
  const file = firstStep('d2l');
  const [{ layers, gradients }] = file.steps;
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
