/** `ablate` on the embedded data, with real trainings. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { main } from '../../src/cli.js';
import { Screen } from '../cli/stand-ins.js';
import { DEVICES } from './teams.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-ablate-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

test('ablate prints its table, and each variant is a run that can be evaluated', async () => {
  const [stdout, stderr] = [new Screen(), new Screen()];
  const small = ['--preset', 'mini', '--width', '0.05', '--steps', '3', '--batch-size', '8', '--quiet', '--no-check'];
  const argv = ['ablate', ...small, '--devices', DEVICES.join(','), '--out', folder, '--run', 'a'];
  const exitCode = await main([...argv, '--variants', 'one-gpu,columns'], { stdout, stderr });
  assert.deepEqual([exitCode, stderr.text], [0, '']);
  assert.match(stdout.text, /^variant +changed +towers +parameters +top-1 error +points +images\/s +speed$/m);
  for (const [name, towers] of Object.entries({ 'one-gpu': 1, columns: 2 })) {
    const row = new RegExp(`^${name} .* ${towers} +[\\d,]+ +[\\d.]+ % +[+-][\\d.]+ +\\d+ +[\\d.]+$`, 'm');
    assert.match(stdout.text, row);
  }
  const evaluated = new Screen();
  const where = ['--out', join(folder, 'a'), '--run', 'one-gpu'];
  assert.equal(await main(['eval', ...where], { stdout: evaluated, stderr }), 0);
  const [, top1] = /top-1 ([\d.]+)/.exec(evaluated.text)!;
  const error = ((1 - Number(top1)) * 100).toFixed(2);
  assert.match(stdout.text, new RegExp(`^one-gpu .* ${error} %`, 'm'));
});
