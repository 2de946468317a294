/**
 * Runs the tests of whole trainings with the towers on stand-in GPUs, each file in a separate process: by default the most
 * useful ones for their time, all with `FAKE_GPU=all`.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runNode } from '../native/child.js';
import { type FakeGpuReport, fakeGpus } from './fake-gpu.js';

const isAll = process.env.FAKE_GPU === 'all';
const gpus = await fakeGpus();

interface Suite {
  /** Path in test/, without the extension. */
  file: string;
  /** Number of GPUs, 2 by default; with one, both towers are on it. */
  cards?: 1 | 2;
  /** A part of the names of the tests that run by default; none of them runs by default if it is empty. */
  names: string[];
  /** Its towers are in separate processes, which the stand-ins' report does not cover. */
  isOutside?: true;
}

const SUITES: Suite[] = [
  { file: 'equivalence/verify', names: ['passes on the net original'] },
  { file: 'equivalence/exchange', names: ['--exchange device, bit for bit', 'first evaluate of a team'] },
  { file: 'equivalence/golden', names: [] },
  { file: 'equivalence/resume', names: ['in the middle of an epoch with the same bits'] },
  { file: 'equivalence/both-or-neither', names: ['--compile on, msgpack'] },
  { file: 'equivalence/predict', names: [] },
  { file: 'equivalence/train', names: [] },
  { file: 'equivalence/recipe', names: [] },
  { file: 'equivalence/files', names: [] },
  { file: 'equivalence/weights', names: [] },
  { file: 'equivalence/warnings', names: [] },
  { file: 'equivalence/borrowed', names: [] },
  { file: 'equivalence/signal', cards: 1, names: [] },
  { file: 'equivalence/ablate', names: [] },
  { file: 'equivalence/trace', names: [] },
  { file: 'faults/threads', names: ['leaves no thread in the process'] },
  { file: 'faults/table', names: [], isOutside: true },
  { file: 'faults/kill', names: [], isOutside: true },
  { file: 'equivalence/verify', cards: 1, names: ['passes on the net paper'] },
  { file: 'equivalence/exchange', cards: 1, names: [] },
  { file: 'equivalence/resume', cards: 1, names: [] },
  { file: 'equivalence/both-or-neither', cards: 1, names: [] },
];

/** The mark of Node.js 20 for a test that `--test-name-pattern` leaves out; later versions do not list it. */
const LEFT_OUT = 'test name does not match pattern';

/** The tests of a TAP report, without those that contain others. */
function testsOf(tap: string): { name: string; skipped: string | undefined }[] {
  const lines = tap.matchAll(/^ *ok \d+ - (.*?)(?: # SKIP ?(.*))?$\n *---\n(?! *duration_ms: \S+\n *type: 'suite')/gm);
  return [...lines].map(([, name = '', skipped]) => ({ name, skipped })).filter(({ skipped }) => skipped !== LEFT_OUT);
}

const folder = mkdtempSync(join(tmpdir(), 'alexnet-split-fake-gpu-split-'));
const rows: string[] = [];
after(() => {
  rmSync(folder, { recursive: true });
  if (rows.length > 0) console.log(['| file | cards | tests | seconds |', '|---|---|---|---|', ...rows].join('\n'));
});

for (const { file, cards = 2, names, isOutside } of SUITES) {
  const skip = gpus.skip || (names.length === 0 && !isAll && 'FAKE_GPU=all npm test -- fake-gpu/split runs it');
  const where = cards === 2 ? 'two stand-in GPUs' : 'one stand-in GPU for both towers';
  test(`test/${file} passes on ${where}`, { skip }, async () => {
    const path = fileURLToPath(new URL(`../${file}.test.js`, import.meta.url));
    const patterns = isAll ? [] : names.map((name) => `--test-name-pattern=${name}`);
    const report = join(folder, `${file.replaceAll('/', '-')}-${cards}.json`);
    const started = performance.now();
    const { code, stdout, stderr } = await runNode(['--test-reporter=tap', ...patterns, path], {
      ...gpus.env({ count: cards, report }),
      TEST_DEVICES: cards === 2 ? 'GPU:0,GPU:1' : 'GPU:0,GPU:0',
      ...(isAll ? { FAULTS: 'all' } : {}),
    });
    const seconds = (performance.now() - started) / 1000;
    assert.equal(code, 0, `${stdout}\n${stderr}`);
    const tests = testsOf(stdout);
    assert.deepEqual(
      tests.filter(({ skipped }) => skipped !== undefined),
      [],
    );
    assert.ok(tests.length > 0, stdout);
    const never = names.filter((name) => !tests.some((each) => each.name.includes(name)));
    assert.deepEqual(never, [], 'no test has this in its name');
    const done: FakeGpuReport = JSON.parse(readFileSync(report, 'utf8'));
    const idle = (['GPU:0', 'GPU:1'] as const).slice(0, cards).filter((gpu) => !done[gpu].Conv2D);
    if (!isOutside) assert.deepEqual(idle, [], 'no convolution ran there');
    rows.push(`| ${file} | ${cards} | ${tests.length} | ${seconds.toFixed(1)} |`);
  });
}
