/** The cluster that this process drives. A process has one, because its TensorFlow context has one. */
import { parseAddress } from '../address.js';
import { ConfigError, ServerError, SetupError } from '../errors.js';
import { type Cluster, SERVER_JOB } from '../native/c/cluster.js';
import type { Device } from '../native/c/context.js';
import { coordinatorAddress, type Route, routeTo } from './address.js';
import { type ServerStatus, serverStatus } from './status.js';

/** For each of: reaching a server, its answer, and connecting TensorFlow's context to all. */
const TIMEOUT_MS = 10_000;
const KEEP_ALIVE_SECONDS = 60;

/** A cluster, and what is known about its servers, in the order of their tasks. */
export interface FoundCluster extends Cluster {
  /** What they said about themselves. */
  statuses: readonly ServerStatus[];
  /** The IP addresses of their machines. */
  machines: readonly string[];
}

let current: Promise<FoundCluster> | undefined;
let names: readonly string[] = [];

/**
 * Asks the servers who they are, and chooses where they reach this process. The context that is made with the result connects
 * to them. The first call in a process decides; later ones may ask for the same servers, or for some of them.
 * @param servers `HOST:PORT` each, at least one, in the order of their tasks.
 * @param coordinator where the servers reach this process, as `HOST:PORT`; undefined for an address of this machine and a free
 * port.
 * @throws ServerError for a server that cannot be reached, or runs another version of TensorFlow; ConfigError for addresses
 * that cannot be used, two addresses of one server, or servers beside those of the first call.
 */
export async function findCluster(servers: readonly string[], coordinator?: string | null): Promise<FoundCluster> {
  if (!current) {
    names = servers;
    current = find(servers, coordinator).catch((error: unknown) => {
      current = undefined;
      throw error;
    });
  }
  const other = servers.find((each) => !names.includes(each));
  if (other === undefined) return await current;
  throw new ConfigError(
    `Cannot use the server ${other}: this process uses ${names.join(', ')} already, and TensorFlow connects once; name all of them from the start`,
  );
}

let restricted: string | undefined;

/**
 * Lets others reach this process at the coordinator's address only: TensorFlow listens on every address of the machine. To be
 * called when the context is made; a second call ends connections that came before the first.
 * @returns a sentence if the system does not allow it.
 */
export async function restrictCoordinator({ coordinator }: Cluster): Promise<string | undefined> {
  const { restrictListener } = await import('../native/c/listener-filter.js');
  const { host, port } = parseAddress(coordinator, 'coordinator');
  try {
    restrictListener(port, { addresses: [host] });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    restricted ??= `whoever reaches this machine can connect to port ${port} on all its addresses (${error.message}); keep others away by a firewall`;
  }
  return restricted;
}

/** The devices of servers, as the context that is connected to them has them. @throws as {@link findCluster}. */
export async function serverDevices(servers: readonly string[], coordinator?: string): Promise<Device[]> {
  const { statuses } = await findCluster(servers, coordinator);
  return statuses.flatMap(({ address, devices }, task) =>
    devices.map(({ name, type, memoryBytes }): Device => {
      const fullName = `/job:${SERVER_JOB}/replica:0/task:${task}/device:${name}`;
      return { name: `${address}/${name}`, fullName, type, memory: 'remote', memoryBytes };
    }),
  );
}

async function find(servers: readonly string[], asked: string | null | undefined): Promise<FoundCluster> {
  const found = await Promise.all(servers.map((each) => askServer(each)));
  const statuses = found.map(({ status }) => status);
  const own = (await import('../native/c/load.js')).tensorflowVersion();
  for (const status of statuses) checkVersion(status, own);
  checkDifferent(statuses);
  const coordinator = await coordinatorAddress(asked, new Map(found.map(({ route }, i) => [servers[i]!, route])));
  const machines = found.map(({ route }) => route.server);
  return { servers, coordinator, timeoutMs: TIMEOUT_MS, keepAliveSeconds: KEEP_ALIVE_SECONDS, statuses, machines };
}

/** Asks a server who it is. @throws ServerError if it cannot be reached or does not answer; its `code` says why, if there is one. */
export async function askServer(
  server: string,
  timeoutMs = TIMEOUT_MS,
): Promise<{ route: Route; status: ServerStatus }> {
  const route = await routeTo(server, timeoutMs);
  return { route, status: await serverStatus(server, timeoutMs) };
}

/** Waits for the answers of all servers, which may be others than before at their addresses. @throws as {@link findCluster}. */
export async function askAgain({ servers }: Cluster): Promise<void> {
  const found = await Promise.all(servers.map((each) => askServer(each)));
  const own = (await import('../native/c/load.js')).tensorflowVersion();
  for (const { status } of found) checkVersion(status, own);
}

/** A server with two names would be two tasks, which TensorFlow refuses without a name. @throws ConfigError. */
export function checkDifferent(statuses: readonly Pick<ServerStatus, 'address' | 'incarnation'>[]): void {
  for (const [i, { address, incarnation }] of statuses.entries()) {
    const same = statuses.slice(0, i).find((each) => each.incarnation === incarnation);
    if (!same) continue;
    throw new ConfigError(
      `Cannot use the servers ${same.address} and ${address} together: both addresses lead to the same server, expected one address for each server; use one of them for all its devices, or correct the tunnel that leads to the wrong one`,
    );
  }
}

function checkVersion({ address, tensorflow }: ServerStatus, own: string): void {
  if (tensorflow === own.replace(/\W/g, '.')) return; // as a server's name can have it
  throw new ServerError(
    `Cannot use the server ${address}: it runs TensorFlow ${tensorflow}, expected ${own} as here; install the same version of alexnet-split on both machines`,
    address,
  );
}
