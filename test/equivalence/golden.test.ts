/** Towers and reference have the values that PyTorch computed in float64, at full size. */
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

/** The worst of a side's values of a kind. */
const worstOf = ({ rows }: GoldenResult, side: string, kind: string) =>
  rows.find((row) => row.side === side && row.kind === kind)!.worst;

for (const [name, convolutions] of [
  ['original', 'auto'],
  ['original', 'direct'],
  ['paper', 'auto'],
  ['paper', 'direct'],
  ['d2l', 'auto'],
] as const) {
  test(`verifyGolden() passes on ${name} with ${convolutions} convolutions`, async () => {
    const result = await verifyGolden(golden(name), { ...config, convolutions });
    assert.equal(result.passed, true, JSON.stringify(result.rows, null, 1));
    for (const side of ['towers', 'reference']) {
      const worst = (kind: string) => worstOf(result, side, kind);
      assert.ok(worst('loss') <= 1e-5);
      for (const kind of ['layer norms', 'parameter after norms']) assert.ok(worst(kind) <= 1e-4);
      assert.ok(worst('layer elements') <= 1e-3);
      // By tiles one near tie in `paper` falls the other way.
      const falls = name === 'paper' && convolutions === 'auto' && side === 'towers';
      assert.ok(worst('gradient norms') <= (falls ? 1e-3 : 1e-4));
      assert.ok(worst('gradient elements') <= (falls ? 5e-2 : 1e-3));
    }
  });
}

test('verifyGolden() fails on a file whose values are not ours', async () => {
  const file = JSON.parse(fs.readFileSync(golden('d2l'), 'utf8'));
  file.steps.length = 1;
  file.steps[0].loss *= 1.0001;
  file.after = {};
  file.steps[0].gradients['tower1/conv4/kernel'].l2 *= 1.001;
  const { passed, rows } = await withFile(JSON.stringify(file), (path) => verifyGolden(path, config));
  assert.equal(passed, false);
  const wrong = rows.filter(({ worst, tolerance }) => worst > tolerance);
  assert.deepEqual(
    wrong.map(({ side, kind, name }) => [side, kind, name]),
    ['towers', 'reference'].flatMap((side) => [
      [side, 'loss', 'step 1'],
      [side, 'gradient norms', 'tower1/conv4/kernel'],
    ]),
  );
});

test('verifyGolden() refuses what is no reference file, in one sentence', async () => {
  const file = JSON.parse(fs.readFileSync(golden('paper'), 'utf8'));
  const wrong: [string, RegExp][] = [
    ['{', /JSON/],
    ['[]', /the whole is wrong/],
    [JSON.stringify({ ...file, net: 'vgg' }), /net is wrong/],
    [JSON.stringify({ ...file, batch: -1 }), /batch is wrong/],
    [JSON.stringify({ ...file, dropout: 0.5 }), /dropout is wrong/],
    [JSON.stringify({ ...file, parameters: {} }), /has 0 parameters, expected the 30/],
    [JSON.stringify({ ...file, labels: [9, 9, 9, 9] }), /labels are not those of its seed/],
  ];
  for (const [text, message] of wrong) {
    await withFile(text, (path) =>
      assert.rejects(verifyGolden(path, config), (error) => error instanceof DataError && message.test(error.message)),
    );
  }
  await assert.rejects(verifyGolden('/no/such/file.json', config), /is not there/);
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
