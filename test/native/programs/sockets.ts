/**
 * What the functions for the sockets of a process see, with another process as the peer. Prints it as JSON.
 * Or: sockets.js peer, which it starts itself: answers each connection with 300,000 bytes after 1,000,000 bytes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  type Flow,
  shutdownEach,
  shutdownSockets,
  TrafficMeter,
  tcpSockets,
  traffic,
} from '../../../src/native/c/sockets.js';

const SENT = 1_000_000;
const RECEIVED = 300_000;

/** What is not seen is not waited for without end. */
const DEADLINE_MS = 30_000;
globalThis.setTimeout(() => process.exit(3), DEADLINE_MS);

if (process.argv[2] === 'peer') await peer();
else await observe();

async function peer(): Promise<void> {
  const server = createServer((socket) => {
    let received = 0;
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      received += chunk.length;
      if (received === SENT) socket.write(Buffer.alloc(RECEIVED));
    });
  }).listen(0, '::');
  await once(server, 'listening');
  process.stdout.write(`${(server.address() as AddressInfo).port}`);
  process.stdin.resume();
  await once(process.stdin, 'end');
  process.exit();
}

async function startPeer(): Promise<{ child: ChildProcess; port: number }> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), 'peer'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  return { child, port: Number((await once(child.stdout, 'data'))[0]) };
}

async function open(host: string, port: number): Promise<Socket> {
  const socket = connect({ host, port });
  await once(socket, 'connect');
  return socket;
}

async function carry(socket: Socket): Promise<void> {
  let received = 0;
  socket.write(Buffer.alloc(SENT));
  while (received < RECEIVED) received += (await once(socket, 'data'))[0].length;
}

async function observe(): Promise<void> {
  const files = Array.from({ length: 500 }, () => openSync('/dev/null', 'r'));
  const { child, port } = await startPeer();
  process.on('exit', () => child.kill('SIGKILL'));
  const meter = new TrafficMeter();

  const first = await open('127.0.0.1', port);
  const mapped = await open('::ffff:127.0.0.1', port);
  const six = await open('::1', port);
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = (server.address() as AddressInfo).port;
  const names = new Map([
    [port, 'PEER'],
    [own, 'OWN'],
    [first.localPort!, 'FIRST'],
    [mapped.localPort!, 'MAPPED'],
    [six.localPort!, 'SIX'],
  ]);
  const named = (value: number) => names.get(value) ?? value;
  const sockets = tcpSockets().map(({ state, local, remote }) =>
    [state, local.address, named(local.port), remote.address, named(remote.port)].join(' '),
  );

  const flows = async (wanted: number): Promise<unknown> => {
    // The last bytes may still wait for the other side's confirmation. The side that connects sends one byte more, its SYN.
    const sum = (read: Flow[]) => read.reduce((total, { sent }) => total + sent, 0);
    let read = meter.read();
    for (; sum(read) < wanted; read = meter.read()) await setTimeout(5);
    return read.map((flow) => ({ ...flow, port: named(flow.port) }));
  };
  await Promise.all([carry(first), carry(six)]);
  const afterTwo = await flows(2 * SENT + 3);
  first.destroy();
  await setTimeout(10);
  const second = await open('127.0.0.1', port);
  await carry(second);
  const afterThree = await flows(3 * SENT + 4);

  // The process accepts a connection from another one: the port is its own.
  const [accepted] = (await Promise.all([once(server, 'connection').then(([socket]) => socket), spawnClient(own)])) as [
    Socket,
    ChildProcess,
  ];
  accepted.write(Buffer.alloc(1_000));
  const withIncoming = await flows(3 * SENT + 4 + 1_000);

  // A peer that hangs: only the end of the socket is noticed.
  child.kill('SIGSTOP');
  const ends = [second, mapped].map((socket) => once(socket, 'close'));
  for (const socket of [second, mapped]) socket.resume().on('error', () => {});
  const before = tcpSockets();
  const timed = traffic(before)
    .map((each, i) => `${before[i]!.state} ${each!.roundTripMicroseconds > 0}`)
    .sort();
  const shutdowns = [
    shutdownSockets({ address: '127.0.0.1', port: port + 1 }),
    shutdownSockets({ address: '127.0.0.1', port }),
  ];
  await Promise.all(ends);
  const { state } = tcpSockets().find(({ remote }) => remote.address === '::1')!;
  const gone = before.filter(({ remote }) => remote.address === '127.0.0.1' && remote.port === port);
  const stale = [traffic(gone).map((each) => each ?? null), shutdownEach(gone)];
  for (const fd of files) closeSync(fd);
  process.stdout.write(
    JSON.stringify({ sockets, timed, afterTwo, afterThree, withIncoming, shutdowns, six: state, stale }),
  );
  process.exit();
}

async function spawnClient(port: number): Promise<ChildProcess> {
  const program = `require('node:net').connect(${port}, '127.0.0.1').resume()`;
  return spawn(process.execPath, ['--eval', program], { stdio: 'ignore' });
}
