/** Measurements for `bench plan`, each in a process of its own: TensorFlow has one context per process. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Config, resolveConfig } from '../../src/config/config.js';
import { listDevices } from '../../src/native/c/context.js';
import { stepOnce, withTeam } from '../../src/train/accept/steps.js';
import { clusterOf, contextOptions } from '../../src/train/context-options.js';
import { calibrate } from '../../src/train/plan/calibrate.js';
import { smallSteps } from '../../src/train/plan/remote-costs.js';
import { openNetwork } from '../../test/network.js';
import { isEntry } from '../trainer.js';
import type { MeasuredLink } from './plan-link.js';

const SECONDS = 4;
const WARM_UP = 10;
const LEAST_STEPS = 12;
/** A job takes less, or hangs. */
const MOST_MS = 100_000;
const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url));
const SELF = fileURLToPath(import.meta.url);
const LINK = fileURLToPath(new URL('plan-link.js', import.meta.url));
/** Cables that limit nothing. */
const OPEN = { rateMbit: 0, delayMs: 0 };

export interface Job {
  /** `remote`: small steps here and on servers. */
  job: 'calibrate' | 'measure' | 'remote';
  values: Record<string, unknown>;
  /** Where the servers reach the process. */
  coordinator?: string;
}

/** @returns rates, or milliseconds of steps. */
export type Runner = (job: Job) => Promise<unknown>;

export const runHere: Runner = (job) => resultOf(spawn(process.execPath, [SELF, JSON.stringify(job)], STDIO), job);

const STDIO: SpawnOptions = { stdio: ['ignore', 'pipe', 'inherit'] };

/** The mini net's settings, with others in their place. */
export function configOf(values: Record<string, unknown>): Config {
  const devices = (values.devices as string[] | undefined) ?? ['CPU:0', 'CPU:1'];
  const machine = { devices, fashionMnist: false, now: new Date() };
  return resolveConfig([{ values: { preset: 'mini', devices } }, { values }], machine).config;
}

const SERVERS = ['a', 'b', 'c', 'd'];

/** Four servers with a device each, and another machine for the command. */
export async function openServers() {
  const network = await openNetwork({ hosts: ['command', ...SERVERS] });
  const hosts = SERVERS.map((name) => network.host(name));
  const addresses = hosts.map(({ address }) => `${address}:2222`);
  try {
    for (const [i, host] of hosts.entries()) {
      // As many threads for an op as a tower on this machine has.
      const args = [CLI, 'serve', '--address', addresses[i]!, '--threads', '1'];
      const server = host.spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
      await firstLine(server);
    }
    await firstLine(hosts[0]!.spawn(process.execPath, [LINK], STDIO));
  } catch (error) {
    await network.close();
    throw error;
  }
  let port = 7100;
  const command = network.host('command');
  return {
    devices: addresses.map((address) => `${address}/CPU:0`),
    run: ((job) => {
      const all = { ...job, coordinator: `${command.address}:${port++}` };
      return resultOf(command.spawn(process.execPath, [SELF, JSON.stringify(all)], STDIO), job);
    }) satisfies Runner,
    /** Of the way between two hosts. @returns what plain TCP makes of it. */
    async setLink(mbit: number, roundTripMs: number): Promise<MeasuredLink> {
      const link = { ...OPEN, rateMbit: mbit, delayMs: roundTripMs / 4 }; // a way is two cables
      await Promise.all(network.hosts.map(({ name }) => network.setLink(name, link)));
      const { stdout } = await command.exec(process.execPath, [LINK, hosts[0]!.address]);
      return JSON.parse(stdout);
    },
    close: () => network.close(),
  };
}

async function firstLine(child: ChildProcess): Promise<string> {
  const lines = createInterface(child.stdout!);
  const line = once(lines, 'line').then(([text]) => text as string);
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`a process ended with ${code}`)));
  ended.catch(() => {}); // the end is expected, later
  return await Promise.race([line, ended]);
}

/** The last line that the process prints. */
async function resultOf(child: ChildProcess, { job }: Job): Promise<unknown> {
  let last = '';
  createInterface(child.stdout!).on('line', (line) => {
    last = line;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), MOST_MS);
  const [code] = await once(child, 'close');
  clearTimeout(timer);
  if (code !== 0) throw new Error(`${job} ended with ${code}`);
  return JSON.parse(last);
}

async function measure(config: Config): Promise<number[]> {
  return await withTeam(config, async (team) => {
    const times: number[] = [];
    let started = performance.now();
    for (let step = 1; ; step++) {
      const begun = performance.now();
      await stepOnce(team, config, step);
      const now = performance.now();
      if (step <= WARM_UP) started = now;
      else times.push(now - begun);
      if (times.length >= LEAST_STEPS && now - started > 1000 * SECONDS) return times;
    }
  });
}

if (isEntry(import.meta.url)) {
  const { job, values, coordinator } = JSON.parse(process.argv[2]!) as Job;
  const config = configOf(values);
  const cluster = await clusterOf({ ...config, coordinator });
  listDevices(contextOptions(config.net.table, config.devices, cluster));
  const [first, second = first] = config.devices as [string, string?];
  const result =
    job === 'calibrate'
      ? await calibrate(config, 'CPU')
      : job === 'remote'
        ? await smallSteps(config, [first, second!], ['CPU:0', 'CPU:1'])
        : await measure(config);
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
