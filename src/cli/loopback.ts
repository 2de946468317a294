/** HTTP on this machine's loopback address, which other machines cannot reach. */
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ConfigError, SplitError, systemMessage } from '../errors.js';

const HOST = '127.0.0.1';
const MAX_CONNECTIONS = 16;
/** A client that opens connections and sends nothing shuts others out for this long. */
const LIMITS = { requestTimeout: 10_000, headersTimeout: 10_000, connectionsCheckingInterval: 5000 };

/** A server for {@link listenOnLoopback}, which does not wait long for its clients. */
export function createLoopbackServer(answer: RequestListener): Server {
  return createServer(LIMITS, answer);
}

/**
 * Opens the port of a server.
 * @param port 0 for any free one.
 * @param what for the message: "Cannot serve metrics on port 9100". @param flag with which the user chose the port.
 * @returns the address without a path.
 * @throws ConfigError if the port is in use; SplitError if it cannot be opened for another reason.
 */
export async function listenOnLoopback(server: Server, port: number, what: string, flag: string): Promise<string> {
  server.maxConnections = MAX_CONNECTIONS;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(port, HOST, resolve);
    });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') {
      throw new ConfigError(
        `Cannot serve ${what} on port ${port}: another program uses it; choose another ${flag}, or 0 for any free one`,
      );
    }
    const advice = code === 'EACCES' ? 'choose one from 1024 up' : `choose another ${flag}`;
    throw new SplitError(`Cannot serve ${what} on port ${port}: ${systemMessage(error as Error)}; ${advice}`);
  }
  server.on('error', () => {}); // such as no free descriptor for a connection: the training goes on
  return `http://${HOST}:${(server.address() as AddressInfo).port}`;
}

/** Whether a request names this machine. A web page of elsewhere can have a name that leads to the loopback address. */
export function isOwnName({ headers: { host = '' }, socket }: IncomingMessage): boolean {
  return [HOST, 'localhost'].some((name) => host.toLowerCase() === `${name}:${socket.localPort}`);
}
