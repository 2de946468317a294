/** A process that is told to stop. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';

const base = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-signals-'));
after(() => fs.rmSync(base, { recursive: true, force: true }));

/** A run whose step, when `answers`, ends once it is told to stop, and otherwise never. */
function program(out: string, answers: boolean): string {
  const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  return `
    import { run, roomWith } from ${url('./stand-ins.js')};
    import { RUN_START, RUN_END, trainStep } from ${url('../events.js')};
    const stdout = process.stdout;
    async function train(config, { report, signal }) {
      report({ ...RUN_START, run: config.run });
      report(trainStep(1));
      const keepAlive = setInterval(() => {}, 1000);
      const told = new Promise((resolve) => signal.addEventListener('abort', resolve));
      console.log('ready');
      await told;
      if (!${answers}) await new Promise(() => {});
      clearInterval(keepAlive);
      report({ ...RUN_END, status: 'stopped', exit_code: 130 });
      return { exitCode: 130, top1: 0, steps: 1 };
    }
    const argv = ['train', '--run', 'r', '--out', ${JSON.stringify(out)}];
    const { exitCode } = await run(argv, { stdout, trainRoom: roomWith({ train }) });
    process.exitCode = exitCode;`;
}

/** Sends SIGINT each time that stdout has the next of `cues`. @returns how it ended. */
async function interrupt(answers: boolean, cues: readonly string[]) {
  const out = fs.mkdtempSync(join(base, 'out-'));
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program(out, answers)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const left = [...cues];
  let stdout = '';
  child.stdout.on('data', (bytes) => {
    stdout += bytes;
    if (left.length === 0 || !stdout.includes(left[0]!)) return;
    left.shift();
    child.kill('SIGINT');
  });
  const ended = await new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
  const log = fs
    .readFileSync(join(out, 'r', 'log.ndjson'), 'utf8')
    .trimEnd()
    .split('\n');
  return { ended, stdout, events: log.map((line) => (JSON.parse(line) as { event: string }).event) };
}

test('train ends in order after one SIGINT', async () => {
  const { ended, events, stdout } = await interrupt(true, ['ready']);
  assert.deepEqual(ended, { code: 130, signal: null });
  assert.deepEqual(events, ['run_start', 'train_step', 'run_end']);
  assert.match(stdout, /\nstopped: /);
});

test('train ends at once with the second SIGINT, and its log keeps every line', async () => {
  const { ended, events } = await interrupt(false, ['ready', 'once more stops at once']);
  assert.deepEqual(ended, { code: null, signal: 'SIGINT' });
  assert.deepEqual(events, ['run_start', 'train_step']);
});
