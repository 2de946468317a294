import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import sharp from 'sharp';
import { run } from './stand-ins.js';
import { lenetRun } from './weights-runs.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-kernels-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));
const folder = await lenetRun(out, 'r');

test('kernels prints a table, and writes it and the picture into the run', async () => {
  const { exitCode, stdout, stderr } = await run(['kernels', '--run', folder]);
  assert.deepEqual([exitCode, stderr.text], [0, '']);
  assert.equal(stdout.lines.length, 5);
  assert.match(stdout.lines[0]!, /^tower {2}kernels {2}grey energy {2}colour energy {2}colour share {2}mostly colour$/);
  assert.match(stdout.lines[2]!, /^1 +3 +\d+\.\d+ +0\.000 +0\.000 +0$/);
  assert.equal(stdout.lines[3], 'the net reads grey images: its kernels have no colour');
  const { width, height, format } = await sharp(join(folder, 'kernels.png')).metadata();
  assert.deepEqual([format, width, height], ['png', 3 * 98 + 8, 2 * 90 + 16 + 32]);
  const { towers, picture } = JSON.parse(fs.readFileSync(join(folder, 'kernels.json'), 'utf8'));
  assert.deepEqual([picture, towers.length, towers[0].kernels], [join(folder, 'kernels.png'), 2, 3]);
});

test('kernels --json prints the content of kernels.json; --out names the picture', async () => {
  const picture = join(out, 'elsewhere.png');
  const { exitCode, stdout } = await run(['kernels', '--run', folder, '--out', picture, '--json']);
  assert.equal(exitCode, 0);
  assert.deepEqual(JSON.parse(stdout.text), JSON.parse(fs.readFileSync(join(folder, 'kernels.json'), 'utf8')));
  assert.equal(JSON.parse(stdout.text).picture, picture);
  assert.equal(fs.existsSync(picture), true);
});

test('kernels refuses what it cannot use in one sentence', async () => {
  const nowhere = join('/dev/null', 'such.png');
  const wrong = await run(['kernels', '--run', folder, '--out', nowhere]);
  assert.deepEqual([wrong.exitCode, wrong.stdout.text, wrong.stderr.lines.length], [1, '', 1]);
  assert.match(wrong.stderr.text, /^error: Cannot write the picture .*such\.png/);
  const missing = await run(['kernels', '--run', 'none']);
  assert.equal(missing.exitCode, 2);
  assert.match(missing.stderr.text, /^error: Cannot show the kernels of the run none: there is no /);
});
