/**
 * A network for tests: hosts that are network namespaces of this machine, joined by a switch (`network-switch.ts`) with a
 * cable to each, whose rate, delay, loss and connection can change while a test runs. Works for root, and for users whom the
 * system allows namespaces. Nothing has a name in the system, so nothing clashes, and all ends with the test's process.
 */
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { inNamespaces } from './namespaces.js';
import { type Ended, environment } from './native/child.js';
import type { Counts, Link, Request } from './network-switch.js';

export type { Link } from './network-switch.js';

export interface Host {
  readonly name: string;
  /** An IPv4 address, which all hosts of the network reach; and `127.0.0.1` is each host's own. */
  readonly address: string;
  /** The start of a command that runs another one on this host. */
  readonly enter: readonly string[];
  /** Starts a program on this host. Its pid is that of the program, so signals reach it. `close()` kills it. */
  spawn(command: string, args: readonly string[], options?: SpawnOptions): ChildProcess;
  /** Runs a program on this host to its end. */
  exec(command: string, args: readonly string[], options?: SpawnOptions): Promise<Ended>;
}

/** Of the host's interface, with the headers of Ethernet, IP and TCP. */
export interface Bytes {
  sent: number;
  received: number;
}

export interface Network {
  readonly hosts: readonly Host[];
  /** @throws if no host has that name. */
  host(name: string): Host;
  /**
   * Changes a host's cable, in both directions; what is not given stays. A cable that is not `up` is pulled out: the host's
   * interface loses its carrier, and what is on the way is lost.
   */
  setLink(name: string, change: Partial<Link>): Promise<void>;
  bytes(name: string): Bytes;
  /** Bytes of Ethernet frames that came from one host to another one until now. */
  bytesBetween(from: string, to: string): Promise<number>;
  /** Kills what runs on the hosts and removes them. */
  close(): Promise<void>;
}

export interface NetworkOptions extends Partial<Omit<Link, 'up'>> {
  /** Names of the hosts, for this test only. At most 200. */
  hosts: readonly string[];
}

let reason: string | false | undefined;

/** Why this system or user cannot have such a network, as node:test's `skip` wants it; false if it can. */
export function noNetwork(): string | false {
  reason ??= whyNot();
  return reason;
}

function whyNot(): string | false {
  if (process.platform !== 'linux') return 'only Linux has network namespaces';
  const missing = ['ip', 'unshare', 'nsenter'].filter((name) => spawnSync(name, ['--help']).error);
  if (missing.length > 0) return `${missing.join(' and ')} not installed (Debian's iproute2 and util-linux)`;
  const own = inNamespaces('--net');
  if ('skip' in own) return own.skip;
  const veth = ['ip', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1'];
  const { status, stderr } = spawnSync(own[0]!, [...own.slice(1), ...veth], { encoding: 'utf8' });
  return status !== 0 && `the kernel makes no pair of interfaces: ${stderr.trim()}`;
}

/**
 * Makes a network, in less than a second. Rate and delay are those of each cable, so the way from one host to another has the
 * delay twice, and a round trip four times.
 * @throws Error that says why it is impossible here.
 */
export async function openNetwork({ hosts, ...link }: NetworkOptions): Promise<Network> {
  const impossible = noNetwork();
  if (impossible) throw new Error(`Cannot make a network: ${impossible}`);
  const own = inNamespaces('--net') as string[];
  const program = fileURLToPath(new URL('network-switch.js', import.meta.url));
  const [command, ...args] = [...own, process.execPath, program, String(hosts.length)];
  const child = spawn(command!, args, { env: environment(), stdio: ['pipe', 'pipe', 'pipe'] });
  const network = new SwitchedNetwork(child);
  try {
    await network.open(hosts, own.includes('--user'));
    await Promise.all(hosts.map((name) => network.setLink(name, link)));
    return network;
  } catch (error) {
    await network.close();
    throw error;
  }
}

class SwitchedNetwork implements Network {
  readonly hosts: OneHost[] = [];
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  #complaint = '';
  /** The last answer, after which the next request is sent. */
  #answered: Promise<unknown> = Promise.resolve();

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#reader = createInterface(child.stdout!);
    this.#lines = this.#reader[Symbol.asyncIterator]();
    child.stderr!.on('data', (chunk) => {
      this.#complaint += chunk;
    });
    child.stdin!.on('error', () => {}); // it ended: the missing answer says so
  }

  async open(names: readonly string[], hasUsers: boolean): Promise<void> {
    const { hosts } = (await this.#next()) as { hosts: { pid: number; address: string }[] };
    const users = hasUsers ? ['--user', '--preserve-credentials'] : [];
    for (const [i, { pid, address }] of hosts.entries()) {
      this.hosts.push(new OneHost(names[i]!, address, pid, ['nsenter', ...users, '--net', `--target=${pid}`, '--']));
    }
  }

  host(name: string): OneHost {
    return this.hosts[this.#index(name)]!;
  }

  async setLink(name: string, change: Partial<Link>): Promise<void> {
    await this.#ask({ host: this.#index(name), ...change });
  }

  bytes(name: string): Bytes {
    const table = readFileSync(`/proc/${this.host(name).holder}/net/dev`, 'utf8');
    const fields = /eth0:(.*)/.exec(table)![1]!.trim().split(/\s+/).map(Number);
    return { sent: fields[8]!, received: fields[0]! };
  }

  async bytesBetween(from: string, to: string): Promise<number> {
    return (await this.#ask({})).counts[this.#index(from)]![this.#index(to)]!;
  }

  async close(): Promise<void> {
    for (const host of this.hosts) host.kill();
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.stdin!.end();
      await once(this.#child, 'exit');
    }
    this.#reader.close();
  }

  #index(name: string): number {
    const index = this.hosts.findIndex((host) => host.name === name);
    if (index < 0)
      throw new Error(`Cannot find the host ${name}, expected one of ${this.hosts.map((each) => each.name)}`);
    return index;
  }

  #ask(request: Request): Promise<{ counts: Counts }> {
    const answer = this.#answered.then(() => {
      this.#child.stdin!.write(`${JSON.stringify(request)}\n`);
      return this.#next() as Promise<{ counts: Counts }>;
    });
    this.#answered = answer.catch(() => {});
    return answer;
  }

  async #next(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`Cannot use the network: its switch ended: ${this.#complaint}`);
    return JSON.parse(value);
  }
}

class OneHost implements Host {
  readonly #running = new Set<ChildProcess>();

  /** @param holder the process that keeps the namespace. */
  constructor(
    readonly name: string,
    readonly address: string,
    readonly holder: number,
    readonly enter: readonly string[],
  ) {}

  spawn(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const [first, ...rest] = [...this.enter, command, ...args];
    const child = spawn(first!, rest, { env: environment(), ...options });
    this.#running.add(child);
    child.on('exit', () => this.#running.delete(child));
    return child;
  }

  async exec(command: string, args: readonly string[], options: SpawnOptions = {}): Promise<Ended> {
    const child = this.spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]!.setEncoding('utf8').on('data', (chunk) => {
        output[name] += chunk;
      });
    }
    const [code, signal] = await once(child, 'close');
    return { code, signal, ...output };
  }

  kill(): void {
    for (const child of this.#running) child.kill('SIGKILL');
  }
}
