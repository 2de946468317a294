/** Signals that a process must ignore, because a shell or nohup started it so. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { IN_TERMINAL } from '../scripts/signals-test.js';
import { signalExitCode } from '../src/end-signals.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-end-signals-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const stopUrl = new URL('../src/cli/stop.js', import.meta.url).href;
const signalsUrl = new URL('../src/end-signals.js', import.meta.url).href;
const program = join(folder, 'program.mjs');
/** Listens as a run does, sends itself SIGHUP, and writes to a file what became of it. */
fs.writeFileSync(
  program,
  `import fs from 'node:fs';
  import { handleSignalsEarly } from ${JSON.stringify(signalsUrl)};
  import { stopOnSignal } from ${JSON.stringify(stopUrl)};
  handleSignalsEarly();
  const { signal } = stopOnSignal(() => {});
  process.kill(process.pid, 'SIGHUP');
  // A signal comes by way of the event loop; that none comes takes a wait.
  const most = setTimeout(() => {}, process.argv[3] === 'nothing' ? 100 : 30_000);
  const heard = () => fs.writeFileSync(process.argv[2], signal.aborted ? signal.reason : 'nothing');
  if (process.argv[3] === 'nothing') setTimeout(heard, 100);
  else if (signal.aborted) heard(), clearTimeout(most);
  else signal.addEventListener('abort', () => { heard(); clearTimeout(most); });`,
);

let files = 0;
const isLinux = fs.existsSync('/proc/self/status');

/**
 * Starts the program in a session of its own, and reports the signals that it gets.
 * @param command `run` in it stands for the start of the program.
 */
async function hears(
  expected: 'SIGHUP' | 'nothing',
  command: (run: string) => string,
  { inTerminal = false, env = {} } = {},
): Promise<void> {
  const file = join(folder, `heard${++files}`);
  const sh = ['sh', '-c', command(`"${process.execPath}" "${program}" "${file}" ${expected}`)];
  const [first, ...rest] = inTerminal ? ['python3', IN_TERMINAL, ...sh] : sh;
  const { _, NODE_TEST_CONTEXT, ...inherited } = process.env;
  const child = spawn(first!, rest, { cwd: folder, env: { ...inherited, ...env }, detached: true, stdio: 'ignore' });
  await once(child, 'exit');
  assert.equal(fs.readFileSync(file, 'utf8'), expected);
}

test('SIGHUP has a handler, unless a shell of the session ignores the signal', async () => {
  await hears('SIGHUP', (run) => `${run}; :`);
  if (isLinux) await hears('nothing', (run) => `trap '' HUP; ${run}; :`);
});

test('SIGHUP has no handler under nohup, from a terminal or from bash', async (t) => {
  if (spawnSync('nohup', ['true']).error) return t.skip('there is no nohup');
  await hears('nothing', (run) => `${run}; :`, { env: { _: '/usr/bin/nohup' } });
  if (!isLinux) return;
  await hears('SIGHUP', (run) => `${run}; :`, { inTerminal: true });
  await hears('nothing', (run) => `nohup ${run} > out 2>&1; :`, { inTerminal: true });
  await hears('nothing', (run) => `nohup ${run} < /dev/null; :`, { inTerminal: true });
  assert.ok(fs.existsSync(join(folder, 'nohup.out')));
});

test('signalExitCode() is the exit code of a shell', () => {
  assert.deepEqual(['SIGINT', 'SIGTERM', 'SIGHUP'].map(signalExitCode), [130, 143, 129]);
});
