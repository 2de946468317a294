/**
 * Listens, restricts who reaches each port, and prints who can connect, from this network namespace and from a second one.
 * Runs in a namespace of its own, in which it may make interfaces.
 * Usage: restricted-listener.js CASES PRIVILEGED, a JSON array of `{ host, addresses, sources }`, and whether the server keeps
 * the capabilities of this process.
 * Or: restricted-listener.js serve CASES PRIVILEGED, which it starts itself.
 * Or: restricted-listener.js connect PORTS ADDRESSES, both JSON arrays, which it starts in both namespaces.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Allowed, restrictListener } from '../../../src/native/c/listener-filter.js';

interface Case extends Allowed {
  host: string;
}

/** A connection that is allowed is made in milliseconds. */
const TIMEOUT_MS = 2_000;

const PROGRAM = fileURLToPath(import.meta.url);
const HERE = ['10.198.0.1', 'fd00:198::1'];
const LOOPBACK = ['127.0.0.1', '::1'];
const WITHOUT_PRIVILEGES = ['setpriv', '--inh-caps=-all', '--bounding-set=-all', '--no-new-privs'];

const [first, ...rest] = process.argv.slice(2) as [string, ...string[]];
if (first === 'serve') await serve(JSON.parse(rest[0]!), rest[1] === 'true');
else if (first === 'connect') await tryAll(JSON.parse(rest[0]!), JSON.parse(rest[1]!));
else await compare(first, rest[0]!);

async function compare(cases: string, isPrivileged: string): Promise<void> {
  const other = spawn('unshare', ['--net', 'sh', '-c', 'echo; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(other.stdout, 'data');
  joinTo(other.pid!);
  const entered = ['nsenter', '--net', `--target=${other.pid}`];

  const server = node(isPrivileged === 'true' ? [] : WITHOUT_PRIVILEGES, 'serve', cases, isPrivileged);
  const lines = createInterface(server.stdout!)[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value as string);
  const ports = JSON.stringify(await next());
  // Made before there is a filter; the restriction ends it if it is not allowed.
  const early = node(entered, 'connect', ports, JSON.stringify([HERE[0]]));
  await once(early.stdout!, 'data');
  server.stdin!.write('\n');
  const restricted = await next();
  const [here, there] = await Promise.all([
    result(node([], 'connect', ports, JSON.stringify([...LOOPBACK, ...HERE]))),
    result(node(entered, 'connect', ports, JSON.stringify(HERE))),
  ]);
  server.stdin!.end();
  await once(server, 'close');
  early.stdin!.end();
  other.stdin.end();
  process.stdout.write(JSON.stringify({ restricted, here, there }));
}

/** A cable from this namespace to the one of that process. */
function joinTo(pid: number): void {
  const config = (name: string, host: number) =>
    `ip link set lo up && ip addr add 10.198.0.${host}/24 dev ${name} && ip addr add fd00:198::${host}/64 dev ${name} nodad && ip link set ${name} up`;
  const script = `ip link add v0 type veth peer name v1 netns ${pid} && ${config('v0', 1)} && nsenter --net --target=${pid} sh -c '${config('v1', 2)}'`;
  const { status, stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

function node(by: readonly string[], ...args: string[]): ChildProcess {
  const [command, ...before] = [...by, process.execPath, PROGRAM, ...args] as [string, ...string[]];
  return spawn(command, before, { stdio: ['pipe', 'pipe', 'inherit'] });
}

async function result(child: ChildProcess): Promise<unknown> {
  child.stdin!.end();
  let text = '';
  for await (const chunk of child.stdout!) text += chunk;
  return JSON.parse(text);
}

/** Prints the ports; restricts them when it gets a line; ends with its stdin. */
async function serve(cases: Case[], isPrivileged: boolean): Promise<void> {
  assert.equal(/CapEff:\s*0+\n/.test(readFileSync('/proc/self/status', 'utf8')), !isPrivileged);
  const ports = await Promise.all(
    cases.map(async ({ host }) => {
      const server = createServer((socket) => socket.on('error', () => {}).write('x')).listen(0, host);
      await once(server, 'listening');
      return (server.address() as AddressInfo).port;
    }),
  );
  process.stdout.write(`${JSON.stringify(ports)}\n`);
  await once(process.stdin, 'data');
  const restricted = cases.map((each, i) => {
    try {
      return restrictListener(ports[i]!, each);
    } catch (error) {
      return (error as Error).message.replace(String(ports[i]), 'PORT');
    }
  });
  process.stdout.write(`${JSON.stringify(restricted)}\n`);
  await once(process.stdin, 'end');
  process.exit();
}

/** Prints for each port to which addresses a connection was made; keeps these until stdin ends. */
async function tryAll(ports: number[], addresses: string[]): Promise<void> {
  const reached = (port: number, host: string) =>
    new Promise<boolean>((resolve) => {
      const socket = connect({ port, host });
      const timer = setTimeout(() => resolve(false), TIMEOUT_MS);
      socket.on('error', () => resolve(false));
      // The server sends a byte, which a filter on the accepted socket could stop as well.
      socket.on('data', () => resolve(true));
      socket.on('close', () => clearTimeout(timer));
    });
  const made = await Promise.all(
    ports.map(async (port) => {
      const each = await Promise.all(addresses.map((host) => reached(port, host)));
      return addresses.filter((_, i) => each[i]);
    }),
  );
  process.stdout.write(JSON.stringify(made));
  process.stdin.resume();
  await once(process.stdin, 'end');
  process.exit();
}
