/**
 * A network switch in user space: one cable to each host, each with its own rate, delay and loss. `network.ts` starts it in a
 * network namespace of its own and talks to it in lines of JSON. All that it makes ends with it, and it ends with its stdin.
 * Usage: network-switch.js HOSTS (how many)
 *
 * Linux's own way, netem, is a kernel module that many systems lack. Frames are read and written by packet(7) sockets in
 * large pieces, as the sender's kernel leaves them to the network card (PACKET_VNET_HDR).
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readSync, writeSync } from 'node:fs';
import { setPriority } from 'node:os';
import { bind, loadKoffi } from '../src/native/install/koffi.js';

/** What a cable does, in each of its directions. */
export interface Link {
  up: boolean;
  /** Megabits a second; 0 for no limit. */
  rateMbit: number;
  /** Of a frame on this cable; the way to another host has two cables, and back two again. */
  delayMs: number;
  /** Of the frames. */
  lossPercent: number;
}

/** A request of `network.ts`: changes of a link, or the question for {@link Counts}. */
export type Request = { host?: number } & Partial<Link>;

/** Bytes of Ethernet frames that the switch delivered: `counts[from][to]`. */
export type Counts = number[][];

interface Frame {
  bytes: Uint8Array;
  from: number;
  to: number;
  /** When it is at the end of the queue, in ms. */
  at: number;
}

/** One direction of a cable. Its frames stay in order. */
interface Direction {
  queue: Frame[];
  /** Until when the cable is sending, in ms. */
  busyUntil: number;
}

interface Port {
  fd: number;
  link: Link;
  up: Direction;
  down: Direction;
}

const AF_PACKET = 17;
const SOCK_RAW = 3;
/** `ETH_P_ALL` in network byte order. */
const ALL_PROTOCOLS = 0x300;
const SOL_SOCKET = 1;
const SO_RCVBUF_FORCE = 33;
const SOL_PACKET = 263;
const PACKET_ADD_MEMBERSHIP = 1;
const PACKET_VNET_HDR = 15;
const PACKET_IGNORE_OUTGOING = 23;
const MSG_DONTWAIT = 0x40;
const POLLIN = 1;

/** `struct virtio_net_hdr`, before each frame. */
const PREFIX = 10;
/** The largest piece of TCP, and its headers. */
const FRAME_BYTES = 70_000;
const RECEIVE_BUFFER = 16 * 2 ** 20;
/** Frames that would wait longer for the cable are lost, as with a router's full buffer; but some always fit. */
const MOST_WAIT_MS = 100;
const SOME_BYTES = 256 * 1024;
/** The frames of one port that are read before the others have their turn. */
const BATCH = 32;

const koffi = loadKoffi();
const c = bind([
  'int socket(int domain, int type, int protocol)',
  'int bind(int fd, const void *address, uint32_t length)',
  'int setsockopt(int fd, int level, int option, const void *value, uint32_t length)',
  'int64_t recv(int fd, _Out_ void *buffer, size_t length, int flags)',
  'int64_t send(int fd, const void *buffer, size_t length, int flags)',
  'int ppoll(int *fds, size_t count, uint64_t *seconds, const void *mask)',
  'int if_nametoindex(const char *name)',
] as const);

const ports: Port[] = [];
const counts: Counts = [];
const holders: ChildProcess[] = [];
/** The beginning of a request whose end has not come. */
let unread = '';
let isSplit = false;

process.on('exit', () => {
  for (const { pid } of holders) process.kill(pid!, 'SIGKILL');
});
try {
  // Other processes of the test must not slow the network down.
  setPriority(-20);
} catch {
  // Only root may.
}
await plugIn(Number(process.argv[2]));
say({ hosts: holders.map(({ pid }, i) => ({ pid, address: addressOf(i) })) });
run();

/** Makes the hosts' namespaces, each held by a process, and the cables: `p0` here is `eth0` in host 0. */
async function plugIn(hosts: number): Promise<void> {
  for (let i = 0; i < hosts; i++) {
    holders.push(spawn('unshare', ['--net', 'sh', '-c', 'echo; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] }));
  }
  await Promise.all(holders.map(({ stdout }) => once(stdout!, 'data')));
  const commands = holders.flatMap(({ pid }, i) => {
    const here = `ip link add p${i} type veth peer name eth0 address ${macOf(i)} netns ${pid} && ip link set p${i} up`;
    // IPv6 would make traffic of its own.
    const there = `echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6 || true; ip link set lo up && ip addr add ${addressOf(i)}/24 dev eth0 && ip link set eth0 up`;
    return [`${here} && nsenter --net --target=${pid} sh -c '${there}'`];
  });
  const made = spawnSync('sh', ['-ec', commands.join('\n')], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`Cannot make the cables: ${made.stderr.trim()}`);
  for (let i = 0; i < hosts; i++) {
    counts.push(Array.from({ length: hosts }, () => 0));
    ports.push({
      fd: openPort(`p${i}`),
      link: { up: true, rateMbit: 0, delayMs: 0, lossPercent: 0 },
      up: { queue: [], busyUntil: 0 },
      down: { queue: [], busyUntil: 0 },
    });
  }
}

function macOf(host: number): string {
  return `02:00:00:00:00:${(host + 1).toString(16).padStart(2, '0')}`;
}

function addressOf(host: number): string {
  return `10.198.0.${host + 1}`;
}

function openPort(name: string): number {
  const index = c.if_nametoindex(name);
  const fd = c.socket(AF_PACKET, SOCK_RAW, 0);
  const set = (level: number, option: number, value: Int32Array) =>
    check(`set option ${option}`, c.setsockopt(fd, level, option, value, value.byteLength));
  check('open a packet socket', fd);
  set(SOL_PACKET, PACKET_VNET_HDR, Int32Array.of(1));
  set(SOL_PACKET, PACKET_IGNORE_OUTGOING, Int32Array.of(1));
  // struct packet_mreq: the interface, and PACKET_MR_PROMISC.
  set(SOL_PACKET, PACKET_ADD_MEMBERSHIP, Int32Array.of(index, 1, 0, 0));
  // Refused in a user namespace; the default then has to do.
  c.setsockopt(fd, SOL_SOCKET, SO_RCVBUF_FORCE, Int32Array.of(RECEIVE_BUFFER), 4);
  const address = new Uint8Array(20);
  new Uint16Array(address.buffer).set([AF_PACKET, ALL_PROTOCOLS]);
  new Int32Array(address.buffer)[1] = index;
  check('bind', c.bind(fd, address, address.length));
  return fd;
}

function check(doing: string, result: number): void {
  if (result < 0) throw new Error(`Cannot ${doing} for the switch: error ${koffi.errno()}`);
}

/** Forwards until stdin ends. Nothing else runs in this process, so it need not return to Node.js's loop. */
function run(): never {
  const polled = Int32Array.from([0, ...ports.map(({ fd }) => fd)].flatMap((fd) => [fd, POLLIN]));
  const timeout = new BigUint64Array(2);
  const buffer = new Uint8Array(FRAME_BYTES);
  for (;;) {
    const next = deliver();
    const wait = Math.max(0, Math.min(next - performance.now(), 1_000)) * 1e6;
    timeout[1] = BigInt(Math.floor(wait % 1e9));
    timeout[0] = BigInt(Math.floor(wait / 1e9));
    c.ppoll(polled, polled.length / 2, timeout, null);
    if (polled[1]! >> 16 !== 0) obey();
    for (const [from, { fd }] of ports.entries()) {
      for (let i = 0; i < BATCH && polled[2 * from + 3]! >> 16 !== 0; i++) {
        const length = Number(c.recv(fd, buffer, buffer.length, MSG_DONTWAIT));
        if (length <= PREFIX) break;
        accept(from, buffer.subarray(0, length));
      }
    }
  }
}

/** A frame that a host sent goes onto its cable, once for each host that gets it. */
function accept(from: number, frame: Uint8Array): void {
  const isForAll = (frame[PREFIX]! & 1) === 1;
  const one = frame[PREFIX + 5]! - 1;
  const { link, up } = ports[from]!;
  const at = enter(link, up, frame.length - PREFIX, performance.now());
  if (at === undefined) return;
  for (const to of ports.keys()) {
    if (to === from || !(isForAll || to === one)) continue;
    if (at === 0) forward({ bytes: frame, from, to, at: performance.now() });
    else up.queue.push({ bytes: frame.slice(), from, to, at });
  }
}

/** A frame that arrived at the switch goes onto the other host's cable. */
function forward(frame: Frame): void {
  const { link, down } = ports[frame.to]!;
  const at = enter(link, down, frame.bytes.length - PREFIX, frame.at);
  if (at === undefined) return;
  if (at === 0) send(frame);
  else down.queue.push({ ...frame, bytes: frame.bytes.slice(), at });
}

function send({ bytes, from, to }: Frame): void {
  if (c.send(ports[to]!.fd, bytes, bytes.length, MSG_DONTWAIT) < 0) return;
  counts[from]![to]! += bytes.length - PREFIX;
}

/** @returns when the frame is at the end of the cable, 0 if immediately; undefined if it is lost. */
function enter(link: Link, direction: Direction, bytes: number, now: number): number | undefined {
  if (!link.up || Math.random() * 100 < link.lossPercent) return undefined;
  if (link.rateMbit === 0 && link.delayMs === 0 && direction.queue.length === 0) return 0;
  const millisecondsFor = (count: number) => (link.rateMbit === 0 ? 0 : (count * 8) / (link.rateMbit * 1e3));
  const start = Math.max(now, direction.busyUntil);
  if (start - now > Math.max(MOST_WAIT_MS, millisecondsFor(SOME_BYTES))) return undefined;
  direction.busyUntil = start + millisecondsFor(bytes);
  // After a change of the delay the order stays.
  return Math.max(direction.busyUntil + link.delayMs, direction.queue.at(-1)?.at ?? 0);
}

/** Moves on what has reached the end of a cable. @returns when the next frame does. */
function deliver(): number {
  const now = performance.now();
  let next = Number.POSITIVE_INFINITY;
  const drain = (queue: Frame[], onward: (frame: Frame) => void) => {
    while (queue.length > 0 && queue[0]!.at <= now) onward(queue.shift()!);
    next = Math.min(next, queue[0]?.at ?? next);
  };
  for (const { up } of ports) drain(up.queue, forward);
  for (const { down } of ports) drain(down.queue, send);
  return next;
}

/** Reads requests and answers each with a line. */
function obey(): void {
  const buffer = Buffer.alloc(65_536);
  const length = readSync(0, buffer);
  if (length === 0) process.exit();
  const lines = (unread + buffer.toString('utf8', 0, length)).split('\n');
  unread = lines.pop()!;
  for (const line of lines) {
    const { host, ...change } = JSON.parse(line) as Request;
    if (host !== undefined) changeLink(host, change);
    say({ counts });
  }
}

function changeLink(host: number, change: Partial<Link>): void {
  const port = ports[host]!;
  const wasUp = port.link.up;
  port.link = { ...port.link, ...change };
  if (port.link.up !== wasUp) {
    // As if the cable were pulled out: the host sees that, too.
    const { status, stderr } = spawnSync('ip', ['link', 'set', `p${host}`, port.link.up ? 'up' : 'down']);
    if (status !== 0) throw new Error(`Cannot change a cable: ${stderr}`);
    for (const direction of [port.up, port.down]) direction.queue.length = 0;
  }
  if (ports.some(({ link }) => link.lossPercent > 0)) splitFrames();
}

/** Frames of 1,500 bytes instead of large pieces, so that a loss is one of a packet. */
function splitFrames(): void {
  if (isSplit) return;
  isSplit = true;
  for (const { pid } of holders) {
    const command = ['--net', `--target=${pid}`, 'ip', 'link', 'set', 'eth0', 'gso_max_segs', '1'];
    const { status, stderr } = spawnSync('nsenter', command, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`Cannot set the size of frames: ${stderr}`);
  }
}

/** To standard output, at once. */
function say(message: object): void {
  writeSync(1, `${JSON.stringify(message)}\n`);
}
