/** Which signals a process is to leave alone: in processes that are started as shells and nohup start them. */
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
  import { listenFromStart } from ${JSON.stringify(signalsUrl)};
  import { stopOnSignal } from ${JSON.stringify(stopUrl)};
  listenFromStart();
  const { signal } = stopOnSignal(() => {});
  process.kill(process.pid, 'SIGHUP');
  // A signal comes by way of the event loop.
  setTimeout(() => fs.writeFileSync(process.argv[2], signal.aborted ? signal.reason : 'nothing'), 100);`,
);

let files = 0;
const isLinux = fs.existsSync('/proc/self/status');

/** Starts the program in a session of its own. @param command in which `run` is how to start it. */
async function heardBy(command: (run: string) => string, { inTerminal = false, env = {} } = {}): Promise<string> {
  const file = join(folder, `heard${++files}`);
  const sh = ['sh', '-c', command(`"${process.execPath}" "${program}" "${file}"`)];
  const [first, ...rest] = inTerminal ? ['python3', IN_TERMINAL, ...sh] : sh;
  const { _, NODE_TEST_CONTEXT, ...inherited } = process.env;
  const child = spawn(first!, rest, { cwd: folder, env: { ...inherited, ...env }, detached: true, stdio: 'ignore' });
  await once(child, 'exit');
  return fs.readFileSync(file, 'utf8');
}

test('SIGHUP is heard, and left alone where a shell of the session ignores it', async () => {
  assert.equal(await heardBy((run) => `${run}; :`), 'SIGHUP');
  if (isLinux) assert.equal(await heardBy((run) => `trap '' HUP; ${run}; :`), 'nothing');
});

test('SIGHUP is left alone where nohup has started the process, from a terminal or from bash', async (t) => {
  if (spawnSync('nohup', ['true']).error) return t.skip('there is no nohup');
  assert.equal(await heardBy((run) => `${run}; :`, { env: { _: '/usr/bin/nohup' } }), 'nothing');
  if (!isLinux) return;
  assert.equal(await heardBy((run) => `${run}; :`, { inTerminal: true }), 'SIGHUP');
  assert.equal(await heardBy((run) => `nohup ${run} > out 2>&1; :`, { inTerminal: true }), 'nothing');
  assert.equal(await heardBy((run) => `nohup ${run} < /dev/null; :`, { inTerminal: true }), 'nothing');
  assert.ok(fs.existsSync(join(folder, 'nohup.out')));
});

test('signalExitCode() is what a shell says', () => {
  assert.deepEqual(['SIGINT', 'SIGTERM', 'SIGHUP'].map(signalExitCode), [130, 143, 129]);
});
