/** Servers for tests: `alexnet-split serve` in a process of its own. */
import assert from 'node:assert/strict';
import { type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { collect, type Ended } from '../../scripts/trainer.js';
import { environment } from '../native/child.js';
import type { Host } from '../network.js';

export const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url));

/** Sums have the same order in every process, whatever the number of cores. */
const THREADS = { TF_NUM_INTRAOP_THREADS: '1', TF_NUM_INTEROP_THREADS: '2' };

function start(args: readonly string[], host: Host | undefined) {
  const options: SpawnOptions = { env: environment(THREADS), stdio: ['ignore', 'pipe', 'pipe'] };
  const all = [CLI, ...args];
  return host ? host.spawn(process.execPath, all, options) : spawn(process.execPath, all, options);
}

/** Starts a server, which ends with the test. @param host where; otherwise it is on loopback. @returns its address. */
export async function startServer(t: TestContext, host?: Host): Promise<string> {
  const child = start(['serve', '--json', '--address', `${host?.address ?? '127.0.0.1'}:0`], host);
  t.after(() => child.kill('SIGKILL'));
  const collected = collect(child, ['stderr']);
  const reader = createInterface({ input: child.stdout! });
  const [line] = (await Promise.race([once(reader, 'line'), once(child, 'exit').then(() => [''])])) as [string];
  assert.match(line, /"serving"/, collected.printed.stderr);
  return JSON.parse(line).address;
}

/** Runs a command of the program to its end. */
export function runCommand(args: readonly string[], host?: Host): Promise<Ended> {
  return collect(start(args, host)).ended;
}
