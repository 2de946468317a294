/** Addresses of the processes of a cluster: where the servers are, and where they reach this process. */
import { type AddressInfo, connect, createServer } from 'node:net';
import { type Address, addressText, isEvery, isLoopback, parseAddress } from '../address.js';
import { ConfigError, ServerError, systemMessage } from '../errors.js';

/** Both ends of a TCP connection to a server, as IP addresses. */
export interface Route {
  own: string;
  server: string;
}

/**
 * Connects to a server and closes the connection.
 * @throws ConfigError for a text that is no address; ServerError if the server does not accept the connection in time.
 */
export async function routeTo(server: string, timeoutMs: number): Promise<Route> {
  const { host, port } = parseAddress(server, 'server');
  return await new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const fail = (reason: string, code?: string) => {
      socket.destroy();
      const remedy = 'start it there with `alexnet-split serve`, correct the address, or choose other --devices';
      reject(
        new ServerError(`Cannot reach the server ${server}: ${reason}, expected a server; ${remedy}`, server, code),
      );
    };
    const timer = setTimeout(() => fail(`no answer within ${timeoutMs / 1000} s`), timeoutMs);
    socket.once('connect', () => {
      clearTimeout(timer);
      const { localAddress: own, remoteAddress: server } = socket;
      if (!own || !server) return fail('it closed the connection', 'ECONNRESET'); // it was killed just now
      resolve({ own: plain(own), server: plain(server) });
      socket.destroy();
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      fail(REASONS[error.code ?? ''] ?? systemMessage(error), error.code);
    });
  });
}

/** An IPv4 address in its own form on an IPv6 socket. */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/, '');
}

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'its name is not known',
  EAI_AGAIN: 'its name could not be looked up',
  EHOSTUNREACH: 'its machine is not reachable',
  ENETUNREACH: 'its network is not reachable',
  ETIMEDOUT: 'its machine does not answer',
};

/**
 * Chooses where the servers reach this process.
 * @param asked `HOST:PORT`; with port 0, or without an address, a free port; without an address the one from which the
 * connections to the servers come.
 * @param routes those connections, by server.
 * @returns the IP address and the port.
 * @throws ConfigError if there is no such address, or not every server can reach it.
 */
export async function coordinatorAddress(
  asked: string | null | undefined,
  routes: ReadonlyMap<string, Route>,
): Promise<string> {
  checkLoopback(routes);
  const { host, port } = asked ? parseAddress(asked, 'coordinator') : { host: commonAddress(routes), port: 0 };
  const [first] = routes.keys();
  if (isEvery(host)) {
    throw refused(asked!, 'it is no address to which a server can connect, expected an address of this machine');
  }
  const own = await bind(host, port);
  if (isLoopback(own.host) && [...routes.values()].some(({ server }) => !isLoopback(server))) {
    throw refused(asked!, `the server ${first} does not reach it, expected an address of this machine in its network`);
  }
  return addressText(own);
}

/** Servers connect to one another too, by the same addresses. */
function checkLoopback(routes: ReadonlyMap<string, Route>): void {
  const entries = [...routes];
  const here = entries.find(([, { server }]) => isLoopback(server));
  const away = entries.find(([, { server }]) => !isLoopback(server));
  if (!here || !away) return;
  throw new ConfigError(
    `Cannot use the servers ${here[0]} and ${away[0]} together: only this machine reaches ${here[0]}, expected addresses by which the servers reach each other too; name each by its address in their network`,
  );
}

/** This machine's address by which it reaches every server. */
function commonAddress(routes: ReadonlyMap<string, Route>): string {
  const [[first, { own }], ...others] = [...routes] as [[string, Route], ...[string, Route][]];
  const other = others.find(([, route]) => route.own !== own);
  if (!other) return own;
  throw new ConfigError(
    `Cannot choose the coordinator's address: this machine is ${own} for the server ${first} and ${other[1].own} for ${other[0]}, expected one address; name one that all servers reach with --coordinator`,
  );
}

function refused(asked: string, reason: string): ConfigError {
  return new ConfigError(`Cannot use the coordinator's address ${asked}: ${reason}; choose another --coordinator`);
}

/** Makes sure that this process can listen there. @returns the IP address, and the port, a free one for 0. */
async function bind(host: string, port: number): Promise<Address> {
  return await new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      const known: Record<string, string> = {
        EADDRINUSE: 'another process listens there, expected a free port',
        EADDRNOTAVAIL: 'this machine does not have it, expected one of its own addresses',
        ENOTFOUND: 'its name is not known, expected an address of this machine',
        EACCES: 'the system does not allow the port, expected one from 1024 up',
      };
      reject(refused(addressText({ host, port }), known[error.code ?? ''] ?? systemMessage(error)));
    });
    server.listen({ host, port, exclusive: true }, () => {
      const own = server.address() as AddressInfo;
      server.close(() => resolve({ host: plain(own.address), port: own.port }));
    });
  });
}
