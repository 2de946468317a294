/** Trainings on two servers, for tests in which a server is lost. On loopback, or on the hosts of a network of namespaces. */
import assert from 'node:assert/strict';
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { collect, type Ended, eachLine } from '../../scripts/trainer.js';
import { isWeightsName } from '../../src/checkpoint/weights-files.js';
import { opThreads } from '../../src/config/devices.js';
import type { EventName, LogEvent } from '../../src/log.js';
import { environment } from '../native/child.js';

const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url));

/** Where a process runs. */
export interface Place {
  readonly address: string;
  spawn(command: string, args: readonly string[], options?: SpawnOptions): ChildProcess;
}

export const LOOPBACK: Place = {
  address: '127.0.0.1',
  spawn: (command, args, options = {}) => spawn(command, args, { env: environment(), ...options }),
};

/** A server, which is started again at the same address. */
export class TestServer {
  #child: ChildProcess | undefined;
  #address = '';
  readonly #place: Place;

  private constructor(place: Place) {
    this.#place = place;
  }

  static async start(place: Place = LOOPBACK): Promise<TestServer> {
    const server = new TestServer(place);
    await server.start(0);
    return server;
  }

  /** `HOST:PORT` */
  get address(): string {
    return this.#address;
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  /** Starts it, after it was killed. */
  async start(port = Number(this.#address.split(':').at(-1))): Promise<void> {
    // The bits of a gradient depend on the number of threads: as many as without servers.
    const threads = ['--threads', `${opThreads('lenet')}`];
    const args = ['serve', '--json', '--address', `${this.#place.address}:${port}`, ...threads];
    const child = this.#place.spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    const { hasPrinted, printed } = collect(child);
    await hasPrinted(/"serving".*\n/);
    this.#address = String(JSON.parse(printed.stdout.split('\n')[0]!).address);
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  /** Kills it with SIGKILL. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

/** A training that runs. */
export interface Training {
  readonly child: ChildProcess;
  readonly events: readonly LogEvent[];
  /** Resolves at the next event of that name that `when` accepts; rejects if the training ends before. */
  next<Name extends EventName>(name: Name, when?: (event: LogEvent & { event: Name }) => boolean): Promise<void>;
  /** Resolves at the next event that `isIt` accepts. */
  when(isIt: (event: LogEvent) => boolean): Promise<void>;
  readonly ended: Promise<Ended>;
}

/** @param folder where it runs. */
export function train(folder: string, args: readonly string[], place: Place = LOOPBACK): Training {
  const child = place.spawn(process.execPath, [CLI, 'train', ...args, '--json'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const events: LogEvent[] = [];
  const looks = new Set<(event: LogEvent) => void>();
  eachLine(child.stdout!, (line) => {
    const event = JSON.parse(line) as LogEvent;
    events.push(event);
    for (const look of looks) look(event);
  });
  const { ended } = collect(child, ['stderr']);
  const when = (isIt: (event: LogEvent) => boolean) =>
    new Promise<void>((resolve, reject) => {
      const look = (event: LogEvent) => {
        if (!isIt(event)) return;
        looks.delete(look);
        resolve();
      };
      looks.add(look);
      ended.then(({ stderr }) => reject(new Error(`it ended before that: ${stderr}`)), reject);
    });
  return {
    ...{ child, events, ended },
    when,
    next: (name, accepts = () => true) => when((event) => event.event === name && accepts(event as never)),
  };
}

/** A free port of this machine. */
let port = 20_000 + (process.pid % 10_000);

/** The flags that put the towers on two servers. Each training needs a port of its own. */
export function onServers(servers: readonly TestServer[], place: Place = LOOPBACK): string[] {
  const devices = servers.map(({ address }) => `${address}/CPU:0`).join(',');
  return ['--devices', devices, '--coordinator', `${place.address}:${port++}`];
}

/** SHA-256 of each weights file in a run's folder. */
export function weightsOf(runFolder: string): Record<string, string> {
  const names = readdirSync(runFolder).filter(isWeightsName).sort();
  assert.ok(names.length > 0, `${runFolder} has weights`);
  return Object.fromEntries(
    names.map((name) => [
      name,
      createHash('sha256')
        .update(readFileSync(join(runFolder, name)))
        .digest('hex'),
    ]),
  );
}
