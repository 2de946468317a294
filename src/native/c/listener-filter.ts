/**
 * Restricts who reaches a port on which this process listens. TensorFlow's server listens on all interfaces, whatever address
 * it is told. A classic BPF filter on its socket drops packets to other addresses, and the sockets of its connections inherit
 * it. Some kernels want CAP_NET_ADMIN for that; there, a user without it can only bind the socket to the loopback interface.
 */
import { isIP } from 'node:net';
import { endianness } from 'node:os';
import { isLoopback } from '../../address.js';
import { ConfigError, SetupError } from '../../errors.js';
import { loadKoffi } from '../install/koffi.js';
import { plainAddress, SOL_SOCKET, shutdownEach, socketCalls, type TcpSocket, tcpSockets } from './sockets.js';

export interface Allowed {
  /** Addresses of this machine to which others may connect. `0.0.0.0` or `::` stands for all of them. */
  addresses: readonly string[];
  /** Addresses, or networks such as `10.0.0.0/8`, from which others may connect; all if undefined. */
  sources?: readonly string[];
}

export interface Restricted {
  /** Sockets of this process that listen on the port. If it is 0, nothing is restricted. */
  listeners: number;
  /** Connections that came before the restriction and were ended by it. */
  ended: number;
  /** Connections that came before and that nobody has accepted yet: another call ends them when they are. */
  waiting: number;
  /**
   * `filter`: only what is allowed. `loopback`: the system refuses the filter, so the socket is bound to the loopback
   * interface, which allows this machine to connect to 127.0.0.0/8 and ::1. `nothing`: all is allowed, or nothing listens.
   */
  by: 'filter' | 'loopback' | 'nothing';
}

/** `code`, `jt`, `jf` and `k` of `struct sock_filter` (`linux/filter.h`). */
type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, k: number];

/** An address or a network as 32-bit words, one of IPv4 or four of IPv6, with the mask of each. */
interface Network {
  words: number[];
  masks: number[];
}

const LOAD_BYTE = 0x30;
const LOAD_WORD = 0x20;
const AND = 0x54;
const JUMP_IF_EQUAL = 0x15;
const JUMP = 0x05;
const RETURN = 0x06;
const INSTRUCTION_BYTES = 8;
/** `BPF_MAXINSNS` */
const MOST_INSTRUCTIONS = 4096;

const ACCEPT: Instruction = [RETURN, 0, 0, 0xffffffff];
const DROP: Instruction = [RETURN, 0, 0, 0];

/** `SKF_NET_OFF`: offsets from the beginning of the IP header, as unsigned numbers. */
const IP_HEADER = 0xfff00000;
/** Offsets in the IP header, for addresses of one word (IPv4) and of four (IPv6). */
const SOURCE_AT: Record<number, number> = { 1: 12, 4: 8 };
const DESTINATION_AT: Record<number, number> = { 1: 16, 4: 24 };

const AF_INET = 2;
const AF_INET6 = 10;
/** For getsockopt(2) this number is `SO_GET_FILTER`. */
const SO_ATTACH_FILTER = 26;
const SO_DETACH_FILTER = 27;
const SO_BINDTODEVICE = 25;

/**
 * Lets only allowed packets reach the sockets of this process that listen on `port`; others are dropped, as a firewall does,
 * so a connection to another address is not made and its client waits. Connections from before that are not allowed are
 * ended. One that is accepted only later is not seen: call this directly after the server is made, and again until none is
 * `waiting`. Each call replaces the filter of the one before; a socket on the loopback interface stays there.
 * @returns on another system than Linux no listeners.
 * @throws ConfigError if an address is none; SetupError if the system refuses the filter, and the allowed addresses are not
 * all of loopback.
 */
export function restrictListener(port: number, allowed: Allowed): Restricted {
  const addresses = allowed.addresses.map((text) => network(text, port));
  const sources = allowed.sources?.map((text) => network(text, port));
  const listeners = tcpSockets().filter(({ local, state }) => local.port === port && state === 'listen');
  const isAny = addresses.some(({ words }) => words.every((word) => word === 0));
  const destinations = isAny ? undefined : addresses;
  if (listeners.length === 0 || (isAny && !sources)) {
    for (const { fd } of listeners) socketCalls().setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, new Int32Array(1), 4);
    return { listeners: listeners.length, ended: 0, waiting: 0, by: 'nothing' };
  }
  const program = programOf(destinations, sources);
  if (program.length > MOST_INSTRUCTIONS) {
    throw new ConfigError(
      `Cannot restrict port ${port}: a filter for ${addresses.length + (sources?.length ?? 0)} addresses is too long, expected at most ${MOST_INSTRUCTIONS} instructions, not ${program.length}; allow networks such as 10.0.0.0/8 instead`,
    );
  }
  const complaint = listeners.map(({ fd }) => attach(fd, program)).find((each) => each !== undefined);
  if (complaint !== undefined) restrictToLoopback(listeners, port, complaint, allowed);
  // Those that came between the reading above and the filter count too.
  const now = tcpSockets().filter(({ local }) => local.port === port);
  const isFine = ({ local, remote }: TcpSocket): boolean =>
    complaint === undefined
      ? has(destinations, local.address) && has(sources, remote.address)
      : isLoopback(local.address);
  return {
    listeners: listeners.length,
    ended: shutdownEach(now.filter((each) => each.state !== 'listen' && !isFine(each))),
    waiting: now.reduce((sum, { state, waiting }) => sum + (state === 'listen' ? waiting : 0), 0),
    by: complaint === undefined ? 'filter' : 'loopback',
  };
}

/** @throws SetupError with the complaint, if that would allow too much or too little. */
function restrictToLoopback(listeners: readonly TcpSocket[], port: number, complaint: string, allowed: Allowed): void {
  const name = Buffer.from('lo\0');
  const isBound =
    !allowed.sources &&
    allowed.addresses.every((text) => isIP(text) !== 0 && isLoopback(plainAddress(text))) &&
    listeners.every(({ fd }) => socketCalls().setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, name.length) === 0);
  if (isBound) return;
  throw new SetupError(
    `Cannot restrict port ${port}: ${complaint}, expected it to take one for ${[...allowed.addresses, ...(allowed.sources ?? [])].join(', ')}; give the process CAP_NET_ADMIN, or allow all addresses (0.0.0.0) and restrict the port with a firewall`,
  );
}

function has(networks: readonly Network[] | undefined, address: string): boolean {
  if (!networks) return true;
  const words = wordsOf(address);
  return networks.some(
    (each) =>
      each.words.length === words.length && each.words.every((word, i) => (words[i]! & each.masks[i]!) >>> 0 === word),
  );
}

function network(text: string, port: number): Network {
  const [address, bits, ...more] = text.split('/') as [string, ...string[]];
  const size = isIP(address.replace(/%.*$/, '')) === 6 ? 128 : 32;
  const length = Number(bits ?? size);
  if (
    isIP(address) === 0 ||
    more.length > 0 ||
    bits === '' ||
    !(Number.isInteger(length) && length >= 0 && length <= size)
  ) {
    throw new ConfigError(
      `Cannot restrict port ${port}: ${JSON.stringify(text)} is no address, expected an IP address such as 192.168.1.5, or for sources also a network such as 10.0.0.0/8; use the address instead of a name`,
    );
  }
  const words = wordsOf(address);
  // IPv4 in IPv6 (::ffff:10.0.0.0/104) is IPv4, whose prefix is 96 bits shorter.
  const own = Math.max(0, length - (size - 32 * words.length));
  const masks = words.map((_, i) => maskOf(Math.min(32, Math.max(0, own - 32 * i))));
  return { words: words.map((word, i) => (word & masks[i]!) >>> 0), masks };
}

function maskOf(bits: number): number {
  return bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
}

function wordsOf(address: string): number[] {
  const plain = plainAddress(address);
  const isV6 = plain.includes(':');
  const bytes = Buffer.alloc(isV6 ? 16 : 4);
  socketCalls().inet_pton(isV6 ? AF_INET6 : AF_INET, plain, bytes);
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readUInt32BE(4 * i));
}

/** @param destinations @param sources allow all if undefined. */
function programOf(destinations?: readonly Network[], sources?: readonly Network[]): Instruction[] {
  const family = (words: number): Instruction[] => [
    ...(destinations ? oneOf(destinations, words, DESTINATION_AT[words]!) : []),
    ...(sources ? oneOf(sources, words, SOURCE_AT[words]!) : []),
    ACCEPT,
  ];
  const v4 = family(1);
  return [
    [LOAD_BYTE, 0, 0, IP_HEADER],
    [AND, 0, 0, 0xf0],
    [JUMP_IF_EQUAL, 0, 1, 0x60],
    [JUMP, 0, 0, v4.length],
    ...v4,
    ...family(4),
  ];
}

/** Goes on after its end if the address is in one of the networks; drops the packet otherwise. */
function oneOf(networks: readonly Network[], words: number, at: number): Instruction[] {
  let rest: Instruction[] = [DROP];
  for (const each of networks.filter((network) => network.words.length === words).reverse()) {
    let rule: Instruction[] = [[JUMP, 0, 0, rest.length]];
    for (let i = words - 1; i >= 0; i--) {
      if (each.masks[i] === 0) continue;
      rule = [
        [LOAD_WORD, 0, 0, IP_HEADER + at + 4 * i],
        [AND, 0, 0, each.masks[i]!],
        [JUMP_IF_EQUAL, 0, rule.length, each.words[i]!],
        ...rule,
      ];
    }
    rest = [...rule, ...rest];
  }
  return rest;
}

/** @returns why the socket has no filter. */
function attach(fd: number, program: readonly Instruction[]): string | undefined {
  const koffi = loadKoffi();
  const bytes = Buffer.alloc(program.length * INSTRUCTION_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const little = endianness() === 'LE';
  for (const [i, [code, ifTrue, ifFalse, k]] of program.entries()) {
    const at = i * INSTRUCTION_BYTES;
    view.setUint16(at, code, little);
    view.setUint8(at + 2, ifTrue);
    view.setUint8(at + 3, ifFalse);
    view.setUint32(at + 4, k, little);
  }
  // struct sock_fprog: the number of instructions, and after padding their address.
  const filter = new BigUint64Array([BigInt(program.length), koffi.address(bytes)]);
  const { setsockopt, getsockopt } = socketCalls();
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, filter, filter.byteLength) !== 0) {
    return `the system refuses the filter (${errorName(koffi.errno())})`;
  }
  // Systems that only imitate Linux may accept the option and do nothing.
  const length = new Uint32Array(1);
  getsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, Buffer.alloc(8), length);
  return length[0] === program.length ? undefined : 'the system accepts the filter and forgets it';
}

function errorName(code: number): string {
  return Object.entries(loadKoffi().os.errno).find(([, each]) => each === code)?.[0] ?? `error ${code}`;
}
