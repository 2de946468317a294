/** A program whose terminal goes while it prints. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import { IN_TERMINAL } from '../../scripts/signals-test.js';

test('a command whose terminal is gone goes on, and ends with its own exit code', { timeout: 60_000 }, async () => {
  const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  const program = `
    import { isatty } from 'node:tty';
    import { surviveLostOutput } from ${url('../../src/cli/lost-output.js')};
    process.on('SIGHUP', () => {});
    surviveLostOutput();
    let after = 0;
    const timer = setInterval(() => {
      process.stdout.write('ready\\n');
      process.stderr.write('ready\\n');
      if (!isatty(1) && ++after === 5) clearInterval(timer);
    }, 10);`;
  const args = [IN_TERMINAL, process.execPath, '--input-type=module', '--eval', program];
  const child = spawn('python3', args, { stdio: 'pipe' });
  let [stderr, isClosed] = ['', false];
  child.stdout.on('data', () => {
    if (!isClosed) child.stdin.write('close\n');
    isClosed = true;
  });
  child.stderr.on('data', (bytes) => {
    stderr += bytes;
  });
  await once(child, 'close');
  assert.deepEqual(JSON.parse(stderr), { code: 0, left: [] });
});
