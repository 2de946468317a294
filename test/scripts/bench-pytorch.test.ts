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

/** A script instead of Python. It writes its arguments to the file `arguments`. */
function standIn(name: string, lines: string): string {
  const path = join(folder, name);
  fs.writeFileSync(path, `#!/bin/sh\necho "$@" > ${folder}/arguments\n${lines}\n`, { mode: 0o755 });
  return path;
}

describe('kindsOf()', () => {
  it('returns the PyTorch variants in a fixed order', () => {
    deepEqual(kindsOf(['pytorch/expert-compile', 'single/on', 'pytorch/expert', 'pytorch/eager']), [
      ...['eager', 'expert', 'expert-compile'],
    ]);
    deepEqual(kindsOf(['single/on', 'split/on@1']), []);
  });

  it('refuses an unknown variant, and names the known ones', () => {
    throws(
      () => kindsOf(['pytorch/eager', 'pytorch/novice']),
      /no pytorch\/novice, expected .*pytorch\/expert-compile$/,
    );
  });
});

describe('openPyTorch()', () => {
  it('runs a step of each kind, with the given number of threads', async () => {
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

  it('fails with the last line of the script, for example if an expert computes something else', async () => {
    const python = standIn(
      'differs',
      `echo '{"torch":"9.1","fused":true}'; read kind; echo "$kind differs from the usual net" >&2; exit 1`,
    );
    const found = await openPyTorch(['expert'], SMALL, python);
    await rejects(async () => found!.variants[0]!.run(), /PyTorch ended: expert differs from the usual net$/);
  });

  it('returns undefined without PyTorch', async () => {
    equal(await openPyTorch(['eager'], SMALL, standIn('none', 'echo no torch >&2; exit 1')), undefined);
    equal(await openPyTorch(['eager'], SMALL, join(folder, 'absent')), undefined);
  });
});

const hasTorch = spawnSync(PYTHON, ['-c', 'import torch'], { encoding: 'utf8' }).status === 0;
const skip = hasTorch ? false : `${PYTHON} has no torch; BENCH_PYTHON names one that has`;

describe('the script', { skip }, () => {
  /** Runs a step of the expert, after some Python statements. */
  const expert = (before: string) => {
    const flags = Object.entries(SMALL).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const program = `import runpy, sys, torch; sys.argv = sys.argv[1:]; script = runpy.run_path(sys.argv[0]); ${before}; script['main']()`;
    return spawnSync(PYTHON, ['-W', 'ignore', '-c', program, SCRIPT, ...flags], {
      encoding: 'utf8',
      input: 'expert\n',
    });
  };

  it('compares the loss and the gradients of the expert with those of the usual net', () => {
    const { status, stdout, stderr } = expert('pass');
    equal(status, 0, stderr);
    const { differences, loss } = JSON.parse(stdout.trim().split('\n')[1]!);
    ok(loss > 0 && differences.loss < 1e-5 && differences.gradients < 2e-2, stdout);
  });

  it('fails if the response norm is wrong', () => {
    const { status, stderr } = expert(
      "norm = script['Norm']; script['Expert'].normed = lambda self, x, band, offset: norm.apply(x, band / 5, offset)",
    );
    equal(status, 1, stderr);
    match(stderr, /^expert differs from the usual net: its loss is \S+, expected \S+$/m);
  });
});
