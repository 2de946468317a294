/** Whatever a run's folder holds, when it comes from somebody else: its state, its classes, its ablation. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import fc from 'fast-check';
import { manifestText } from '../../src/checkpoint/contents.js';
import { valuesBytes } from '../../src/checkpoint/safetensors.js';
import { checkpointsFolder, writeCheckpoint } from '../../src/checkpoint/store.js';
import { earlierAblation } from '../../src/cli/ablation.js';
import { noteLines, tableLines } from '../../src/cli/ablation-page.js';
import { statisticsOf } from '../../src/cli/ablation-statistics.js';
import { readClassNames } from '../../src/cli/class-names.js';
import { planResume } from '../../src/cli/resume.js';
import { resolveConfig } from '../../src/config/config.js';
import { SplitError } from '../../src/errors.js';
import { configHash, scheduleAfter, settingsChanged } from '../../src/train/resume.js';
import { runClasses } from '../../src/train/run-data.js';
import { flags, machineWith } from '../config/machines.js';
import { fuzz, isSentence, jsonLike } from '../fuzz.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-run-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));
const MACHINE = machineWith('CPU:0', 'CPU:1');
const isRefusal = (error: unknown) => error instanceof SplitError && isSentence(error.message);

const { config } = resolveConfig([flags({ preset: 'lenet', run: 'other' })], MACHINE);
const STATE = {
  ...{ step: 7, epoch: 1, epochImages: 56, images: 56, trainMs: 12.5, learningRate: 0.02, seed: 0, errors: [0.5] },
  ...{ placement: 'split' as const, config: { ...config }, configHash: configHash(config), classes: ['a', 'b'] },
  data: { name: 'sample', trainImages: 100, testImages: 10 },
  versions: { node: '20.0.0' },
};

test('planResume() resumes from any valid state, and explains others in a sentence', async (t) => {
  const checkpoints = checkpointsFolder(folder);
  fs.mkdirSync(checkpoints);
  const entries = [{ name: 'a', shape: [2] }];
  const tower = { entries, metadata: {}, values: new Uint8Array(valuesBytes(entries)) };
  const { folder: checkpoint } = writeCheckpoint(checkpoints, { state: STATE, towers: [tower, tower] }, { keep: 1 });
  const manifest = JSON.parse(fs.readFileSync(join(checkpoint, 'manifest.json'), 'utf8'));
  await fuzz(t, {
    what: 'states of a checkpoint',
    cases: jsonLike(STATE, 2),
    usual: 120,
    read(text) {
      const bytes = Buffer.from(text);
      const digest = { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
      const files = manifest.files.map((file: object, i: number) =>
        i === 0 ? { name: 'state.json', ...digest } : file,
      );
      fs.writeFileSync(join(checkpoint, 'state.json'), bytes);
      fs.writeFileSync(join(checkpoint, 'manifest.json'), manifestText({ ...manifest, files }));
      for (const given of [{}, { optimizer: { schedule: { kind: 'constant' } } }]) {
        const { layers, resume } = planResume([flags({ ...given, run: 'branch' })], checkpoint).find();
        const next = resolveConfig(layers, MACHINE).config;
        settingsChanged(resume!, next);
        scheduleAfter(resume!.checkpoint, next, 10);
      }
    },
    refuses: isRefusal,
  });
});

test('messages truncate long texts from a file', () => {
  const long = 'y'.repeat(50_000);
  fs.writeFileSync(join(folder, 'ablation.json'), JSON.stringify({ settings: { [long]: 1 }, rows: [] }));
  assert.throws(() => earlierAblation(folder, {}), /had another y{57}\.\.\., expected/);
  const resume = { checkpoint: { folder, files: [], bytes: 0, state: { ...STATE } }, skipped: [] };
  resume.checkpoint.state.configHash = 'a'.repeat(64);
  resume.checkpoint.state.config = { ...config, optimizer: { [long]: long } } as never;
  assert.throws(() => settingsChanged(resume, config), isRefusal);
});

test('readClassNames() returns as many names as there are classes, or explains in a sentence what is wrong', async (t) => {
  const file = join(folder, 'names');
  await fuzz(t, {
    what: 'files of class names',
    cases: fc.oneof(
      jsonLike(['tench', 'goldfish', 'ü'], 2),
      fc.string().map((text) => `a\n${text}\nb`),
    ),
    usual: 60,
    read(text) {
      fs.writeFileSync(file, text);
      const names = readClassNames(file, 3);
      assert.equal(names.length, 3);
      assert.ok(names.every((name) => typeof name === 'string' && name !== ''));
    },
    refuses: isRefusal,
  });
});

test('runClasses() returns a list of names, or explains in a sentence what is wrong', async (t) => {
  const file = join(folder, 'classes.json');
  await fuzz(t, {
    what: 'lists of classes',
    cases: jsonLike(['ant', 'bee', 'cat'], 2),
    usual: 100,
    read(text) {
      fs.writeFileSync(file, text);
      assert.ok(runClasses(folder)!.every((name) => typeof name === 'string'));
    },
    refuses: isRefusal,
  });
  fs.truncateSync(file, 2 ** 25 + 1);
  assert.throws(() => runClasses(folder), /it has 33554433 bytes, more than 33554432, expected a JSON list of names/);
  fs.rmSync(file);
  fs.mkdirSync(file);
  assert.throws(
    () => runClasses(folder),
    (error) => isRefusal(error) && /: it is a folder, expected/.test(`${error}`),
  );
});

test('earlierAblation() returns an ablation, or explains in a sentence what is wrong', async (t) => {
  const settings = { preset: 'mini', net: { width: 0.25, classes: 100 } };
  const result = {
    ...{ status: 'done', steps: 5, parameters: 30, placement: 'split' },
    ...{ top1Error: 0.5, top5Error: 0.25, testLoss: 'NaN', testImages: 20 },
  };
  const row = { variant: 'relu', change: 'relu everywhere', seed: 1, run: 'relu', result };
  await fuzz(t, {
    what: 'ablations',
    cases: jsonLike(
      { version: 2, settings, variants: [], rows: [row, { ...row, variant: 'tanh' }, { ...row, seed: 2 }] },
      2,
    ),
    usual: 100,
    read(text) {
      fs.writeFileSync(join(folder, 'ablation.json'), text);
      const { rows } = earlierAblation(folder, settings)!;
      const shown = { settings, rows, statistics: statisticsOf(rows) };
      assert.equal(tableLines(shown).length, 1 + new Set(rows.map(({ variant }) => variant)).size);
      assert.ok(noteLines(shown).every((line) => line.length > 0));
    },
    refuses: isRefusal,
  });
});

test('earlierAblation() names the invalid place of a row', () => {
  const file = join(folder, 'ablation.json');
  const row = { variant: 'baseline', change: 'x', run: null, result: null };
  const rows: [row: object, place: string][] = [
    [{ ...row, result: { status: 'done' } }, 'rows.1.result.steps'],
    [
      { ...row, result: { status: 'done', steps: 1, parameters: 2, placement: 'split', top1Error: '0' } },
      'rows.1.result.top1Error',
    ],
    [{ ...row, variant: 7 }, 'rows.1.variant'],
  ];
  for (const [wrong, place] of rows) {
    fs.writeFileSync(file, JSON.stringify({ settings: {}, rows: [row, wrong], missing: [] }));
    const message = `Cannot resume the ablation in ${file}: ${place} is missing or invalid; choose another --run`;
    assert.throws(() => earlierAblation(folder, {}), { name: 'SplitError', message });
  }
  fs.writeFileSync(file, JSON.stringify({ settings: {}, rows: [row], missing: [] }));
  assert.deepEqual(earlierAblation(folder, {}), { settings: {}, variants: [], rows: [{ ...row, seed: 1 }] });
});
