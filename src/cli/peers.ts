/** Who uses a server: the machines that are connected to its port, by their addresses. */
import { TrafficMeter, tcpSockets } from '../native/c/sockets.js';
import { mebibytes } from '../numbers.js';

/** Bytes, over all connections with an address in both directions. */
interface Carried {
  sent: number;
  received: number;
}

/** What was carried counts from `connected` on. */
export type PeerEvent =
  | { event: 'connected'; peer: string; text: string }
  | ({ event: 'left'; peer: string; text: string } & Carried);

/**
 * Watches the connections to a port of this process. Those from one address count as one: two coordinators on one machine
 * are not told apart.
 */
export function watchPeers(port: number) {
  const meter = new TrafficMeter();
  const connected = new Set<string>();
  /** What was carried until the address was last left. */
  const told = new Map<string, Carried>();

  function totals(): Map<string, Carried> {
    const sums = new Map<string, Carried>();
    for (const { address, sent, received } of meter.read()) {
      const sum = sums.get(address);
      sums.set(address, { sent: sent + (sum?.sent ?? 0), received: received + (sum?.received ?? 0) });
    }
    return sums;
  }

  function left(peer: string, { sent, received }: Carried): PeerEvent {
    const before = told.get(peer);
    told.set(peer, { sent, received });
    const since = { sent: sent - (before?.sent ?? 0), received: received - (before?.received ?? 0) };
    const text = `${peer} has left: received ${mebibytes(since.received)} from it, sent ${mebibytes(since.sent)}`;
    return { event: 'left', peer, text, ...since };
  }

  /** @param present addresses that are connected now. */
  function changes(present: ReadonlySet<string>): PeerEvent[] {
    const sums = totals();
    const events: PeerEvent[] = [];
    for (const peer of present) {
      if (connected.has(peer)) continue;
      connected.add(peer);
      events.push({ event: 'connected', peer, text: `${peer} is connected` });
    }
    for (const peer of connected) {
      if (present.has(peer)) continue;
      connected.delete(peer);
      events.push(left(peer, sums.get(peer) ?? { sent: 0, received: 0 }));
    }
    return events;
  }

  return {
    /** What has changed since the last call. A connection that was there only between two calls is not seen. */
    read(): PeerEvent[] {
      const own = tcpSockets().filter(({ local, state }) => local.port === port && state === 'established');
      return changes(new Set(own.map(({ remote }) => remote.address)));
    },
    /** The process ends: all leave. */
    close: (): PeerEvent[] => changes(new Set()),
  };
}
