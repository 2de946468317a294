/**
 * Watches the servers of a run from the main thread. A server is lost if nothing listens at its address any more, if it does
 * not answer for the exchange's deadline, or if it was started again. Then every command that uses it fails, and its
 * connections are ended again and again: TensorFlow has no deadline, so its calls to a server that hangs end only with them.
 */
import { lookup } from 'node:dns/promises';
import { parseAddress } from '../address.js';
import { askServer } from '../cluster/cluster.js';
import { remoteDevice } from '../config/servers.js';
import { ExchangeError, NativeError, ServerError, ServerLostError, TowerError } from '../errors.js';
import type { Cluster } from '../native/c/cluster.js';
import { openContext } from '../native/c/context.js';
import { isServerTrouble, serverIncarnations } from '../native/c/rejoin.js';
import { type Endpoint, shutdownSockets } from '../native/c/sockets.js';
import { Code } from '../native/c/status.js';
import { runningTimeMs, setRunningTimeout } from '../running-time.js';
import type { TowerClient } from '../tower/client.js';
import { placeOf } from '../tower/protocol.js';

/** A server is asked again so long after its last answer. */
const ASK_AGAIN_MS = 1_000;
/** An answer that takes longer is not waited for: the next question may arrive. */
const ANSWER_MS = 5_000;
/** After a command failed, the servers have this long to answer. */
const PROBE_MS = 3_000;
/** If the towers' threads take longer to end, the servers are asked. */
const CLOSE_MS = 1_000;
const SHUTDOWN_AGAIN_MS = 250;

/** @returns the number of the server's start. @throws ServerError if it does not answer. */
export type AskServer = (address: string, timeoutMs: number) => Promise<string>;

export interface WatchOptions {
  /** How long a server may be silent, in running time. */
  silenceMs: number;
  /** For tests. */
  ask?: AskServer;
  resolve?: typeof endpointsOf;
  shutdown?: typeof shutdownSockets;
}

interface Watched {
  address: string;
  /** Looked up while it could be reached: without a network there may be no names. */
  endpoints: Promise<readonly Endpoint[]>;
  /** What the context has joined, once it is known. */
  incarnation?: string;
  answeredAt: number;
  /** How it was lost. */
  how?: string;
}

/** The servers of one team. */
export class ServerWatch {
  readonly #servers: readonly Watched[];
  readonly #silenceMs: number;
  readonly #ask: AskServer;
  readonly #shutdown: typeof shutdownSockets;
  readonly #cancels = new Set<() => void>();
  #isClosed = false;
  #first: Watched | undefined;
  /** What waits for a command. */
  readonly #onLost = new Set<() => void>();

  /** @param addresses `HOST:PORT`. */
  constructor(
    addresses: readonly string[],
    { silenceMs, ask = incarnationOf, resolve = endpointsOf, shutdown = shutdownSockets }: WatchOptions,
  ) {
    const answeredAt = runningTimeMs();
    this.#servers = addresses.map((address) => ({ address, endpoints: resolve(address), answeredAt }));
    this.#silenceMs = silenceMs;
    this.#ask = ask;
    this.#shutdown = shutdown;
    for (const server of this.#servers) this.#later(0, () => this.#follow(server));
  }

  /** @param incarnations the starts of the servers that the context has joined, by address. */
  expect(incarnations: ReadonlyMap<string, string>): void {
    for (const server of this.#servers) {
      const incarnation = incarnations.get(server.address);
      if (incarnation !== undefined) server.incarnation = incarnation;
    }
  }

  /** The same tower; a command fails with a ServerLostError as soon as a server is lost, and if that is why it failed. */
  guard(tower: TowerClient, address: string | undefined): TowerClient {
    return {
      ...tower,
      ask: async (command, memory) => {
        const place = placeOf(command);
        const answer = tower.ask(command, memory);
        try {
          return await this.#unlessLost(answer, place);
        } catch (error) {
          throw await this.#causeOf(error, place, address);
        }
      },
    };
  }

  async #unlessLost<T>(answer: Promise<T>, place: string): Promise<T> {
    answer.catch(() => {}); // after a loss nobody waits for it
    let onLost = () => {};
    const lost = new Promise<never>((_, reject) => {
      onLost = () => reject(this.#error(place));
    });
    if (this.#first) onLost();
    this.#onLost.add(onLost);
    try {
      return await Promise.race([answer, lost]);
    } finally {
      this.#onLost.delete(onLost);
    }
  }

  /** To be called before the towers are closed, which would hang if a server does. Call {@link close} after that. */
  expectClosing(): void {
    this.#later(CLOSE_MS, () => this.#probe());
  }

  close(): void {
    this.#isClosed = true;
    for (const cancel of this.#cancels) cancel();
  }

  /** Asks a server again and again. */
  async #follow(server: Watched): Promise<void> {
    await this.#askNow(server, Math.min(ANSWER_MS, this.#silenceMs));
    if (server.how === undefined) this.#later(ASK_AGAIN_MS, () => this.#follow(server));
  }

  /** @param isLast whether the server is lost if it does not answer now. */
  async #askNow(server: Watched, timeoutMs: number, isLast = false): Promise<void> {
    try {
      const incarnation = await this.#ask(server.address, timeoutMs);
      server.answeredAt = runningTimeMs();
      if (server.incarnation !== undefined && server.incarnation !== incarnation) {
        this.#lose(server, 'was started again, and has nothing of the run any more');
      }
    } catch (error) {
      const silentMs = runningTimeMs() - server.answeredAt;
      if (error instanceof ServerError && error.code === 'ECONNREFUSED') {
        this.#lose(server, 'has ended: nothing listens at its address');
      } else if (isLast || silentMs >= this.#silenceMs) {
        this.#lose(server, `has not answered for ${Math.max(1, Math.round(silentMs / 1000))} s`);
      }
    }
  }

  async #probe(): Promise<void> {
    await Promise.all(this.#servers.map((server) => this.#askNow(server, PROBE_MS, true)));
  }

  /** The error to report in place of one that may follow from the loss of a server. */
  async #causeOf(error: unknown, place: string, address: string | undefined): Promise<unknown> {
    if (error instanceof ServerLostError) return error;
    const mayFollow = error instanceof NativeError || error instanceof ExchangeError || error instanceof TowerError;
    if (!mayFollow || (error instanceof NativeError && error.code === Code.RESOURCE_EXHAUSTED)) return error;
    if (!this.#first) await this.#probe();
    if (!this.#first && error instanceof NativeError && isServerTrouble(error)) {
      const server = this.#servers.find((each) => each.address === address) ?? this.#servers[0]!;
      this.#lose(server, `answers, but a call to it failed (${reasonOf(error)})`);
    }
    return this.#first ? this.#error(place) : error;
  }

  #error(place: string): ServerLostError {
    const { address, how } = this.#first!;
    return new ServerLostError(
      `Cannot continue in ${place}: the server ${address} ${how}, expected it to serve until the end; start it again with \`alexnet-split serve\` and the run with --resume auto, or have a run wait for its servers with --wait-for-servers 10m`,
      address,
      how!,
    );
  }

  #lose(server: Watched, how: string): void {
    if (server.how !== undefined || this.#isClosed) return;
    server.how = how;
    this.#first ??= server;
    for (const onLost of this.#onLost) onLost();
    void this.#endConnections(server);
  }

  /** Until the watch is closed: TensorFlow connects again, which a process that hangs accepts. */
  async #endConnections(server: Watched): Promise<void> {
    const endpoints = await server.endpoints;
    const endNow = () => {
      for (const endpoint of endpoints) this.#shutdown(endpoint);
      this.#later(SHUTDOWN_AGAIN_MS, endNow);
    };
    if (!this.#isClosed) endNow();
  }

  #later(ms: number, action: () => unknown): void {
    if (this.#isClosed) return;
    const cancel = setRunningTimeout(
      ms,
      () => {
        this.#cancels.delete(cancel);
        void action();
      },
      { ref: false },
    );
    this.#cancels.add(cancel);
  }
}

/** What TensorFlow said. */
function reasonOf({ message }: NativeError): string {
  return /TensorFlow says ([^;)]*)/.exec(message)?.[1] ?? message;
}

/** The IP addresses and the port of `HOST:PORT`; none if the name is not resolved. */
async function endpointsOf(server: string): Promise<readonly Endpoint[]> {
  const { host, port } = parseAddress(server, 'server');
  const found = await lookup(host, { all: true }).catch(() => []);
  return found.map(({ address }) => ({ address, port }));
}

async function incarnationOf(server: string, timeoutMs: number): Promise<string> {
  return (await askServer(server, timeoutMs)).status.incarnation;
}

/**
 * Watches the servers of a team, which the context has joined; undefined if all its devices are of this machine.
 * @param devices those of the team, as the settings name them.
 */
export function watchServers(
  { servers }: Cluster,
  devices: readonly string[],
  silenceMs: number,
): ServerWatch | undefined {
  const used = [...new Set(devices.flatMap((name) => remoteDevice(name)?.server ?? []))];
  if (used.length === 0) return undefined;
  const joined = [...serverIncarnations(openContext())];
  const watch = new ServerWatch(used, { silenceMs });
  watch.expect(
    new Map(joined.flatMap(([task, incarnation]) => (servers[task] ? [[servers[task], `${incarnation}`]] : []))),
  );
  return watch;
}
