/**
 * The whole of torchvision's AlexNet against PyTorch itself, from its weights and image files to probabilities, and back.
 * Skipped where `python3` has no torch, as on machines that only run the suite: PyTorch would be a download of gigabytes.
 * `pytorch.test.ts` compares a narrow one everywhere.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { promisify } from 'node:util';
import { openTensors } from '../../src/checkpoint/safetensors.js';
import { ROOT, runNode } from '../native/child.js';

const CLI = join(ROOT, 'dist', 'src', 'cli.js');
const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-torchvision-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));

const python = async (...args: string[]) => (await promisify(execFile)('python3', args)).stdout.trim();
const reference = (...args: string[]) => python(join(ROOT, 'scripts', 'torchvision_reference.py'), ...args);

let skip: string | false = false;
try {
  await python('-c', 'import torch, torchvision, safetensors, PIL');
} catch {
  skip = 'python3 has no torch, torchvision, safetensors and Pillow';
}

async function cli(...args: string[]) {
  const { code, stdout, stderr } = await runNode([CLI, ...args]);
  assert.equal(code, 0, stderr);
  return { stdout, stderr };
}

interface Answers {
  sha256: string;
  files: string[];
  /** By file and class. */
  scores: number[][];
}

test("torchvision's weights give PyTorch's probabilities of image files, split and single, and go back", {
  skip,
}, async (t) => {
  await reference('make', out);
  const { sha256, files, scores }: Answers = JSON.parse(fs.readFileSync(join(out, 'answers.json'), 'utf8'));
  const imported = await cli('import', join(out, 'alexnet.safetensors'), '--run', 'theirs', '--out', out);
  assert.match(imported.stderr, /has the tensors of torchvision's AlexNet: --preset torchvision --classes 1000/);
  assert.match(imported.stdout, /16 tensors, 61,100,840 values/);
  const largest = Math.max(...scores.flat().map(Math.abs));
  for (const devices of [
    ['--placement', 'single', '--devices', 'CPU:0'],
    ['--placement', 'split', '--devices', 'CPU:0,CPU:1'],
  ]) {
    const at = ['--run', 'theirs', '--out', out, '--top', '1000', '--json', ...devices];
    const found: { classes: { label: number; probability: number }[] }[] = JSON.parse(
      (await cli('predict', ...files, ...at)).stdout,
    );
    let worst = 0;
    for (const [i, { classes }] of found.entries()) {
      // The logarithm of a probability is a score up to a constant.
      const own = scores[i]!;
      const total = Math.log(own.reduce((sum, score) => sum + Math.exp(score), 0));
      assert.equal(classes.length, 1000);
      for (const { label, probability } of classes) {
        worst = Math.max(worst, Math.abs(Math.log(probability) - (own[label]! - total)));
      }
    }
    t.diagnostic(`${devices[1]}: scores up to ${largest.toFixed(2)} differ by at most ${worst.toExponential(1)}`);
    assert.ok(worst <= 1e-4 * largest, `${worst} of ${largest}`);
  }
  const file = join(out, 'back.safetensors');
  await cli('export', '--run', join(out, 'theirs'), '--out', file);
  assert.equal(await reference('load', file), sha256);
});

test('the command that import prints for a file of PyTorch makes a file of the same values', { skip }, async () => {
  for (const name of ['alexnet.pth', 'old.pth']) {
    const { code, stderr } = await runNode([CLI, 'import', join(out, name), '--run', 'pth', '--out', out]);
    assert.equal(code, 1);
    const [, command] = /`(python3 .*)` makes a safetensors file of it/.exec(stderr) ?? [];
    assert.ok(command, stderr);
    await promisify(execFile)('sh', ['-c', command], { cwd: out });
    const [made, own] = ['net.safetensors', 'alexnet.safetensors'].map((each) => openTensors(join(out, each)));
    assert.equal(made!.entries.length, 16);
    for (const { name: tensor, shape } of own!.entries) {
      assert.ok(
        Buffer.from(made!.read(tensor, shape).buffer).equals(Buffer.from(own!.read(tensor, shape).buffer)),
        tensor,
      );
    }
    for (const each of [made, own]) each!.close();
    fs.rmSync(join(out, 'net.safetensors'));
  }
});
