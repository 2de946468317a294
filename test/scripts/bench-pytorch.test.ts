import { deepEqual, equal, match, ok, rejects, throws } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { kindsOf, openPyTorch } from '../../scripts/bench/pytorch.js';

const SMALL = { batch: 2, pixels: 67, classes: 10, width: 0.1, threads: 1 };
const PYTHON = process.env.BENCH_PYTHON ?? 'python3';
const SCRIPT = fileURLToPath(new URL('../../../scripts/bench/pytorch_step.py', import.meta.url));

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-bench-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Something that answers in PyTorch's place: what it was started with lies in `arguments`. */
function standIn(name: string, lines: string): string {
  const path = join(folder, name);
  fs.writeFileSync(path, `#!/bin/sh\necho "$@" > ${folder}/arguments\n${lines}\n`, { mode: 0o755 });
  return path;
}

describe('kindsOf()', () => {
  it("takes PyTorch's from among the variants, in an order of its own", () => {
    deepEqual(kindsOf(['pytorch/expert-compile', 'single/on', 'pytorch/expert', 'pytorch/eager']), [
      ...['eager', 'expert', 'expert-compile'],
    ]);
    deepEqual(kindsOf(['single/on', 'split/on@1']), []);
  });

  it('refuses one that there is not, and names those that there are', () => {
    throws(
      () => kindsOf(['pytorch/eager', 'pytorch/novice']),
      /no pytorch\/novice, expected .*pytorch\/expert-compile$/,
    );
  });
});

describe('openPyTorch()', () => {
  it('has the script do a step of each kind, with the threads that the others have', async () => {
    const python = standIn(
      'steps',
      `echo '{"torch":"9.1","fused":true}'; while read kind; do echo "{\\"ms\\":\${#kind},\\"loss\\":1}"; done`,
    );
    const found = await openPyTorch(['eager', 'expert-compile'], { ...SMALL, threads: 3 }, python);
    ok(found);
    try {
      equal(found.version, '9.1');
      deepEqual(
        found.variants.map(({ name }) => name),
        ['pytorch eager', 'pytorch expert-compile'],
      );
      deepEqual([await found.variants[1]!.run(), await found.variants[0]!.run()], ['expert-compile'.length, 5]);
      match(fs.readFileSync(join(folder, 'arguments'), 'utf8'), /pytorch_step\.py .*--threads 3\b/);
    } finally {
      found.close();
    }
  });

  it('fails with what the script said last, such as that an expert computes something else', async () => {
    const python = standIn(
      'differs',
      `echo '{"torch":"9.1","fused":true}'; read kind; echo "$kind is not the net as it comes" >&2; exit 1`,
    );
    const found = await openPyTorch(['expert'], SMALL, python);
    await rejects(async () => found!.variants[0]!.run(), /PyTorch ended: expert is not the net as it comes$/);
  });

  it('is nothing where there is no PyTorch', async () => {
    equal(await openPyTorch(['eager'], SMALL, standIn('none', 'echo no torch >&2; exit 1')), undefined);
    equal(await openPyTorch(['eager'], SMALL, join(folder, 'absent')), undefined);
  });
});

const hasTorch = spawnSync(PYTHON, ['-c', 'import torch'], { encoding: 'utf8' }).status === 0;
const skip = hasTorch ? false : `${PYTHON} has no torch; BENCH_PYTHON names one that has`;

describe('the script', { skip }, () => {
  /** Runs a step of the expert in a Python that has done something before. */
  const expert = (before: string) => {
    const flags = Object.entries(SMALL).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const program = `import runpy, sys, torch; sys.argv = sys.argv[1:]; script = runpy.run_path(sys.argv[0]); ${before}; script['main']()`;
    return spawnSync(PYTHON, ['-W', 'ignore', '-c', program, SCRIPT, ...flags], {
      encoding: 'utf8',
      input: 'expert\n',
    });
  };

  it("holds the expert's loss and gradients to those of the net as it comes", () => {
    const { status, stdout, stderr } = expert('pass');
    equal(status, 0, stderr);
    const { differences, loss } = JSON.parse(stdout.trim().split('\n')[1]!);
    ok(loss > 0 && differences.loss < 1e-5 && differences.gradients < 2e-2, stdout);
  });

  it('ends where the response norm is another one', () => {
    const { status, stderr } = expert(
      "norm = script['Norm']; script['Expert'].normed = lambda self, x, band, offset: norm.apply(x, band / 5, offset)",
    );
    equal(status, 1, stderr);
    match(stderr, /^expert is not the net as it comes: its loss is \S+, expected \S+$/m);
  });
});
