/** A training that is suspended for longer than any of its deadlines, as a scheduler or a laptop's lid does it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { collect, eventsIn } from '../../scripts/trainer.js';
import { lenetFlags } from '../data/sets.js';
import { childWithFault } from './fault.js';

const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url));
const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-pause-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const EXCHANGE_TIMEOUT_MS = 1_500;
/** The longest of the deadlines is five times the exchange's. */
const PAUSE_MS = 5 * EXCHANGE_TIMEOUT_MS + 1_000;
const STEPS = 20;

test('train continues after SIGSTOP and SIGCONT, however long the pause was', { timeout: 120_000 }, async () => {
  const config = join(folder, 'config.json');
  fs.writeFileSync(config, JSON.stringify({ exchangeTimeoutMs: EXCHANGE_TIMEOUT_MS }));
  const flags = ['--no-check', '--log-every', '1', '--steps', String(STEPS)];
  const args = ['--config', config, '--run', 'paused', ...flags];
  const { args: node, env } = childWithFault('slow@forward:6');
  const child = spawn(process.execPath, [...node, CLI, 'train', ...lenetFlags(folder), ...args], {
    ...{ cwd: folder, env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { hasPrinted, ended } = collect(child);
  await hasPrinted('step  5/');
  // In the step whose tower 1 is slow: tower 0 waits for it then, and the coordinator for both.
  await sleep(100);
  child.kill('SIGSTOP');
  await sleep(PAUSE_MS);
  child.kill('SIGCONT');
  const { code, signal, stderr } = await ended;
  assert.deepEqual([code, signal, stderr], [0, null, '']);
  const events = eventsIn(join(folder, 'runs', 'paused'));
  assert.deepEqual(
    events.flatMap((each) => (each.event === 'train_step' ? [each.step] : [])),
    Array.from({ length: STEPS }, (_, i) => i + 1),
  );
  const after = events.findIndex(({ time }, i) => i > 0 && time - events[i - 1]!.time > PAUSE_MS - 1_000);
  const next = events.slice(after).find((each) => each.event === 'train_step');
  assert.deepEqual([after > 0, next?.step], [true, 6], 'it stood still in the step whose tower is slow');
});
