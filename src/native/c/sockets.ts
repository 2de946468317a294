/**
 * The TCP sockets of this process, also those that TensorFlow's gRPC opened: which there are, what they carried, and how to
 * end them. Linux only. On other systems there are no sockets for these functions; each says what it returns.
 */
import { fstatSync, readdirSync, readFileSync } from 'node:fs';
import { SocketAddress } from 'node:net';
import { endianness } from 'node:os';
import { bind } from '../install/koffi.js';

/** An IP address in its shortest form, without a scope, and a port. An IPv4 address is one also on an IPv6 socket. */
export interface Endpoint {
  address: string;
  port: number;
}

export type TcpState = (typeof STATES)[number];

export interface TcpSocket {
  /** The number with which this process knows the socket. Another socket may get it after this one is closed. */
  fd: number;
  /** The system's number of the socket, which no other socket gets soon. */
  inode: number;
  state: TcpState;
  local: Endpoint;
  /** With port 0 if the socket listens. */
  remote: Endpoint;
  /** Bytes that were received and not read; of a socket that listens, connections that were not accepted yet. */
  waiting: number;
}

/** What a socket carried since it was opened. */
export interface Traffic {
  /** Bytes that the other side has confirmed, and one for the beginning (SYN) on the side that connected. */
  sent: number;
  /** Bytes. */
  received: number;
  /** The smoothed round-trip time; 0 if the system has measured none. */
  roundTripMicroseconds: number;
}

/** States by their numbers in the kernel's `tcp_states.h`, from 1. */
const STATES = [
  'established',
  'syn-sent',
  'syn-received',
  'fin-wait-1',
  'fin-wait-2',
  'time-wait',
  'closed',
  'close-wait',
  'last-ack',
  'listen',
  'closing',
  'new-syn-received',
] as const;

const SHUT_RDWR = 2;
export const SOL_SOCKET = 1;
const SO_PROTOCOL = 38;
const IPPROTO_TCP = 6;
const TCP_INFO = 11;

/** Offsets in `struct tcp_info` of `linux/tcp.h`. Newer kernels append fields. */
const AT_ROUND_TRIP = 68;
const AT_BYTES_ACKED = 120;
const AT_BYTES_RECEIVED = 128;
const TCP_INFO_BYTES = 136;

const PROTOTYPES = [
  'int inet_pton(int family, const char *text, _Out_ void *address)',
  'int dup(int fd)',
  'int close(int fd)',
  'int shutdown(int fd, int how)',
  'int getsockopt(int fd, int level, int option, _Out_ void *value, uint32_t *length)',
  'int setsockopt(int fd, int level, int option, const void *value, uint32_t length)',
] as const;

let bound: ReturnType<typeof bind<(typeof PROTOTYPES)[number]>> | undefined;

/** The C functions for sockets, bound at the first call. */
export function socketCalls() {
  bound ??= bind(PROTOTYPES);
  return bound;
}

/**
 * The TCP sockets of this process, of all its threads. Takes milliseconds.
 * @returns in order of their file descriptors; none on another system than Linux.
 */
export function tcpSockets(): TcpSocket[] {
  if (process.platform !== 'linux') return [];
  const known = new Map(['tcp', 'tcp6'].flatMap((name) => socketsIn(`/proc/self/net/${name}`)));
  const sockets: TcpSocket[] = [];
  for (const fd of readdirSync('/proc/self/fd').map(Number)) {
    const found = isTcp(fd) && known.get(inodeOf(fd));
    if (found) sockets.push({ fd, ...found });
  }
  return sockets.sort((a, b) => a.fd - b.fd);
}

/** The table of the process's network namespace: also sockets of other processes. */
function socketsIn(path: string): [number, Omit<TcpSocket, 'fd'>][] {
  let table: string;
  try {
    table = readFileSync(path, 'latin1');
  } catch {
    return []; // a kernel without IPv6
  }
  return table
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => {
      const fields = line.trim().split(/\s+/);
      const [local, remote, state] = fields.slice(1, 4) as [string, string, string];
      const inode = Number(fields[9]);
      const socket = {
        inode,
        state: STATES[Number.parseInt(state, 16) - 1]!,
        local: endpoint(local),
        remote: endpoint(remote),
        waiting: Number.parseInt(fields[4]!.split(':')[1]!, 16),
      };
      return [inode, socket];
    });
}

/** @param text such as `0100007F:15DF`: words in the byte order of the machine, then the port. */
function endpoint(text: string): Endpoint {
  const [words, port] = text.split(':') as [string, string];
  const bytes = Buffer.from(words, 'hex');
  if (endianness() === 'LE') bytes.swap32();
  const address =
    bytes.length === 4 ? bytes.join('.') : plainAddress(bytes.toString('hex').replace(/.{4}(?!$)/g, '$&:'));
  return { address, port: Number.parseInt(port, 16) };
}

/** An IP address as {@link Endpoint} has it. @throws TypeError if it is none. */
export function plainAddress(text: string): string {
  const bare = text.replace(/%.*$/, '');
  const { address } = new SocketAddress({ address: bare, family: bare.includes(':') ? 'ipv6' : 'ipv4' });
  return address.replace(/^::ffff:(?=\d+\.)/, '');
}

/** Asks the socket, because looking up what each of ten thousand files is takes a third of a second. */
function isTcp(fd: number): boolean {
  const protocol = new Int32Array(1);
  return (
    socketCalls().getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, protocol, new Uint32Array([4])) === 0 &&
    protocol[0] === IPPROTO_TCP
  );
}

/** 0 if the file is closed by now. */
function inodeOf(fd: number): number {
  try {
    return fstatSync(fd).ino;
  } catch {
    return 0;
  }
}

/** Whether the file descriptor still is this socket. */
function isStill(fd: number, { inode }: TcpSocket): boolean {
  return inodeOf(fd) === inode;
}

/**
 * What sockets carried.
 * @returns in the order of the sockets; undefined for one that is closed by now, and for all with a kernel before 4.1, which
 * does not count bytes, or another system than Linux.
 */
export function traffic(sockets: readonly TcpSocket[]): (Traffic | undefined)[] {
  return sockets.map((socket) => {
    if (process.platform !== 'linux' || !isStill(socket.fd, socket)) return undefined;
    const info = Buffer.alloc(TCP_INFO_BYTES);
    const length = new Uint32Array([info.length]);
    if (socketCalls().getsockopt(socket.fd, IPPROTO_TCP, TCP_INFO, info, length) !== 0) return undefined;
    if (length[0]! < TCP_INFO_BYTES) return undefined;
    const view = new DataView(info.buffer, info.byteOffset);
    const little = endianness() === 'LE';
    return {
      sent: Number(view.getBigUint64(AT_BYTES_ACKED, little)),
      received: Number(view.getBigUint64(AT_BYTES_RECEIVED, little)),
      roundTripMicroseconds: view.getUint32(AT_ROUND_TRIP, little),
    };
  });
}

/** What the process sent and received over all its connections of one kind. */
export interface Flow {
  /** The other side's address. */
  address: string;
  /** `out` if this process connected, `in` if the other side did. */
  direction: 'out' | 'in';
  /** The port of the side that was connected to: the other one's for `out`, this process's own for `in`. */
  port: number;
  /** Bytes, as in {@link Traffic}. */
  sent: number;
  received: number;
}

/**
 * Sums what TCP connections of this process carried, also of those that are closed by now. A closed one counts with what it
 * had carried at the last reading, so what it carried after that is missing, and so is a connection that was opened and
 * closed between two readings. Bytes are those of TCP: without its headers, but with those of gRPC.
 */
export class TrafficMeter {
  /** By inode. */
  readonly #open = new Map<number, Flow>();
  readonly #closed: Flow[] = [];

  /**
   * Reads the counters of all sockets now.
   * @returns what each kind of connection carried since its sockets were opened, in the order of addresses and ports; nothing
   * where {@link traffic} does not count.
   */
  read(): Flow[] {
    const sockets = tcpSockets();
    const listening = new Set(sockets.filter(({ state }) => state === 'listen').map(({ local }) => local.port));
    const connected = sockets.filter(({ state }) => state !== 'listen');
    const carried = traffic(connected);
    const open = new Set<number>();
    for (const [i, { inode, local, remote }] of connected.entries()) {
      const now = carried[i];
      if (!now || remote.port === 0) continue;
      open.add(inode);
      const last = this.#open.get(inode);
      const direction = last?.direction ?? (listening.has(local.port) ? 'in' : 'out');
      const port = direction === 'in' ? local.port : remote.port;
      this.#open.set(inode, { address: remote.address, direction, port, sent: now.sent, received: now.received });
    }
    for (const [inode, flow] of this.#open) {
      if (open.has(inode)) continue;
      this.#closed.push(flow);
      this.#open.delete(inode);
    }
    const closed = added(this.#closed);
    this.#closed.splice(0, Number.POSITIVE_INFINITY, ...closed);
    return added([...closed, ...this.#open.values()]);
  }
}

/** Flows of one kind as one, in new objects. */
function added(flows: Iterable<Flow>): Flow[] {
  const sums = new Map<string, Flow>();
  for (const flow of flows) {
    const key = `${flow.address} ${flow.direction} ${String(flow.port).padStart(5)}`;
    const sum = sums.get(key);
    if (sum) {
      sum.sent += flow.sent;
      sum.received += flow.received;
    } else sums.set(key, { ...flow });
  }
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, flow]) => flow);
}

/**
 * Ends this process's connections to `remote` in both directions, as shutdown(2) does, also those that are being made. The
 * sockets stay open, so that whoever uses one sees its end: TensorFlow's calls to a server that hangs fail.
 * @param remote an address as {@link Endpoint} has it, not the name of a host.
 * @returns how many connections it ended; 0 on another system than Linux.
 */
export function shutdownSockets(remote: Endpoint): number {
  const address = plainAddress(remote.address);
  return shutdownEach(
    tcpSockets().filter((socket) => socket.remote.address === address && socket.remote.port === remote.port),
  );
}

/** Ends these connections. @returns how many there still were; sockets that listen are left alone. */
export function shutdownEach(sockets: readonly TcpSocket[]): number {
  return sockets.filter((socket) => {
    if (socket.state === 'listen') return false;
    // Another thread may close the socket meanwhile and get its number for another file; it cannot close the duplicate.
    const fd = socketCalls().dup(socket.fd);
    if (fd < 0) return false;
    try {
      return isStill(fd, socket) && socketCalls().shutdown(fd, SHUT_RDWR) === 0;
    } finally {
      socketCalls().close(fd);
    }
  }).length;
}
