/** `serve`: a TensorFlow server, so that trainings on other machines use the devices of this one. */
import { once } from 'node:events';
import { userInfo } from 'node:os';
import { type Address, addressText, isEvery, isLoopback } from '../address.js';
import { signalExitCode } from '../end-signals.js';
import type { Server } from '../native/c/server.js';
import { jsonText } from '../printable.js';
import { mebibytesOf } from './devices.js';
import { table } from './format.js';
import { gpuWarning, LOADING } from './machine.js';
import { type PeerEvent, watchPeers } from './peers.js';
import { machineAddresses } from './serve-address.js';
import type { Input, Services } from './services.js';
import { announce } from './silence.js';
import { stopOnSignal } from './stop.js';

/** How often the connections are read. */
const READ_MS = 1_000;

export interface ServeOptions {
  address: Address;
  /** Addresses or networks of those who may connect. */
  allow?: readonly string[];
  threads?: number;
  json?: boolean;
}

/** Writes an event: as JSON, or as the lines. */
type Write = (event: string, fields: object, ...lines: readonly string[]) => void;

/**
 * Serves until a signal ends it. The first line on stdout says that the server answers.
 * @returns the signal's exit code.
 * @throws ConfigError for an address that is not this machine's, or a port in use; SetupError without a library, or if the
 * system cannot restrict the port; SplitError if the port cannot be opened.
 */
export async function run({ options }: Input<ServeOptions>, services: Services): Promise<number> {
  const { address: asked, allow: sources, threads, json } = options;
  const write: Write = json ? eventWriter(services) : (_, __, ...lines) => services.stdout.print(...lines);
  const stop = stopOnSignal(() => {});
  let timer: NodeJS.Timeout | undefined;
  try {
    const addresses = await services.ownAddresses(asked);
    announce(services, LOADING);
    const allowed = { addresses, ...(sources && { sources }) };
    const { startServer } = await services.loadServer();
    const server = startServer({ port: asked.port, allowed, intraOpThreads: threads });
    const address = addressText({ ...asked, port: server.port });
    write('serving', startFields(address, server), ...startLines(address, server));
    services.stderr.print(reachable({ ...asked, port: server.port }, addresses, sources));
    const warning = await gpuWarning(services, { devices: server.devices.map(({ name }) => name) });
    if (warning !== undefined) services.stderr.print(`warning: ${warning}`);
    const peers = watchPeers(server.port);
    const tell = (events: readonly PeerEvent[]) => {
      for (const { event, text, ...fields } of events) write(event, fields, text);
    };
    timer = setInterval(() => tell(peers.read()), READ_MS);
    setTimeout(server.restrict, READ_MS).unref();
    if (!stop.signal.aborted) await once(stop.signal, 'abort'); // a signal may have come before the port was open
    tell(peers.close());
    const exitCode = signalExitCode(String(stop.signal.reason));
    server.exit(exitCode);
    return exitCode; // of a server that is a stand-in
  } finally {
    clearInterval(timer);
    stop.dispose();
  }
}

/** Lines as a run's log has them. */
function eventWriter({ stdout, now }: Services): Write {
  return (event, fields, msg) => {
    const line = { level: 30, time: now().getTime(), event, ...fields, msg };
    stdout.print(jsonText(line));
  };
}

function startFields(address: string, { devices, version, intraOpThreads }: Server) {
  const own = devices.map(({ name, type, memoryBytes }) => ({ name, type, memory_bytes: memoryBytes }));
  return { address, pid: process.pid, tensorflow: version, threads_per_op: intraOpThreads, devices: own };
}

function startLines(address: string, { devices, version, intraOpThreads }: Server): string[] {
  const threads = `${intraOpThreads} ${intraOpThreads === 1 ? 'thread' : 'threads'} per op`;
  const rows = devices.map((device) => [device.name, device.type, mebibytesOf({ ...device, memory: 'host' })]);
  return [
    `serving on ${address}: TensorFlow ${version}, ${threads}`,
    ...table(['device', 'type', 'memory, MiB'], rows).map((row) => `  ${row}`),
  ];
}

/** Who can reach the port, and what that means. */
function reachable(address: Address, addresses: readonly string[], sources?: readonly string[]): string {
  const can = `run any code as the user ${userName()}: TensorFlow's protocol has no authentication and no encryption`;
  if (addresses.every(isLoopback)) return `only this machine can connect; all its users can, and could ${can}`;
  const every = addresses.some(isEvery);
  const where = every
    ? `port ${address.port} of ${machineAddresses().join(', ')} (all addresses of this machine)`
    : addressText(address);
  const who = sources ? `whoever has one of the addresses ${sources.join(', ')} and reaches` : 'whoever reaches';
  return `warning: ${who} ${where} can ${can}; docs/multi-machine.md shows SSH tunnels and WireGuard`;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.()); // a container's user without an entry in /etc/passwd
  }
}
