/** How a process ends after signals. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { collect } from '../../scripts/trainer.js';
import { isIgnored } from '../../src/end-signals.js';

const base = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-signals-'));
after(() => fs.rmSync(base, { recursive: true, force: true }));

interface Run {
  /** The signal that the process gets; SIGINT by default. */
  first?: NodeJS.Signals;
  /** Whether its step ends after the first signal. */
  answers: boolean;
  /** The signal that the process gets once more, some milliseconds later. */
  again?: NodeJS.Signals;
}

function program(out: string, { answers, again }: Run): string {
  const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  return `
    import { run, trainModule } from ${url('./stand-ins.js')};
    import { handleSignalsEarly, signalExitCode } from ${url('../../src/end-signals.js')};
    import { RUN_START, RUN_END, trainStep } from ${url('../events.js')};
    handleSignalsEarly();
    const stdout = process.stdout;
    async function train(config, { report, signal }) {
      report({ ...RUN_START, run: config.run });
      report(trainStep(1));
      const keepAlive = setInterval(() => {}, 1000);
      const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve));
      console.log('ready');
      await aborted;
      // As npm passes it on: when the run has ended, and the process has not.
      if (${again !== undefined}) setTimeout(() => process.kill(process.pid, '${again}'), 4);
      if (!${answers}) await new Promise(() => {});
      clearInterval(keepAlive);
      const exitCode = signalExitCode(signal.reason);
      report({ ...RUN_END, status: 'stopped', exit_code: exitCode });
      return { exitCode, top1: 0, steps: 1 };
    }
    const argv = ['train', '--run', 'r', '--out', ${JSON.stringify(out)}];
    const { exitCode } = await run(argv, { stdout, loadTrain: trainModule({ train }) });
    process.exitCode = exitCode;`;
}

/**
 * Sends the first signal, and then SIGINT every `everyMs` until the process has ended: one that comes while the process is late and removes its
 * handlers has no effect.
 * @returns how it ended.
 */
async function interrupt(run: Run, everyMs?: number) {
  const out = fs.mkdtempSync(join(base, 'out-'));
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program(out, run)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { hasPrinted, ended: end } = collect(child, ['stdout']);
  await hasPrinted('ready');
  child.kill(run.first ?? 'SIGINT');
  let timer: NodeJS.Timeout | undefined;
  if (everyMs !== undefined) {
    await hasPrinted('a second Ctrl-C or signal ends the process at once');
    timer = setInterval(() => child.kill('SIGINT'), everyMs);
  }
  const { code, signal, stdout } = await end;
  clearInterval(timer);
  const ended = { code, signal };
  const log = fs
    .readFileSync(join(out, 'r', 'log.ndjson'), 'utf8')
    .trimEnd()
    .split('\n');
  return { ended, stdout, events: log.map((line) => (JSON.parse(line) as { event: string }).event) };
}

test('train ends in order after one SIGINT', async () => {
  const { ended, events, stdout } = await interrupt({ answers: true });
  assert.deepEqual(ended, { code: 130, signal: null });
  assert.deepEqual(events, ['run_start', 'train_step', 'run_end']);
  assert.match(stdout, /\nstopped: /);
});

for (const [first, code] of [
  ['SIGTERM', 143],
  ['SIGHUP', 129],
  ['SIGUSR1', 138],
] as const) {
  test(`train ends in order after one ${first}, with ${code}`, {
    skip: isIgnored(first) && `${first} is ignored here`,
  }, async () => {
    const { ended, events } = await interrupt({ answers: true, first });
    assert.deepEqual(ended, { code, signal: null });
    assert.deepEqual(events, ['run_start', 'train_step', 'run_end']);
  });
}

for (const again of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1'] as const) {
  test(`train takes ${again} some milliseconds after SIGINT for the same signal`, async () => {
    const { ended, events } = await interrupt({ answers: true, again });
    assert.deepEqual(ended, { code: 130, signal: null });
    assert.deepEqual(events, ['run_start', 'train_step', 'run_end']);
  });
}

test('train ends at once with the second SIGINT after a second, and its log keeps every line', async () => {
  const { ended, events } = await interrupt({ answers: false }, 1_100);
  assert.deepEqual(ended, { code: null, signal: 'SIGINT' });
  assert.deepEqual(events, ['run_start', 'train_step']);
});
