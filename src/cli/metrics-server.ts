/** `--metrics-port`: serves a run's metrics on loopback, for Prometheus. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ConfigError, SplitError, systemMessage } from '../errors.js';

const HOST = '127.0.0.1';

/** A page of a text, made for each request. */
export type Text = () => Promise<{ type: string; body: string }>;

/**
 * Serves `/metrics` until it is closed. It does not keep the process alive.
 * @param port 0 for any free one.
 * @throws ConfigError if the port is in use; SplitError if it cannot be opened for another reason.
 */
export async function serveMetrics(port: number, text: Text): Promise<{ url: string; close(): void }> {
  const server = createServer((request, response) => void answer(request, response, text));
  server.maxConnections = 16;
  server.on('connection', (socket) => socket.unref());
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(port, HOST, resolve);
    });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') {
      throw new ConfigError(
        `Cannot serve metrics on port ${port}: another program uses it; choose another --metrics-port, or 0 for any free one`,
      );
    }
    const advice = code === 'EACCES' ? 'choose one from 1024 up' : 'choose another --metrics-port';
    throw new SplitError(`Cannot serve metrics on port ${port}: ${systemMessage(error as Error)}; ${advice}`);
  }
  server.unref();
  return {
    url: `http://${HOST}:${(server.address() as AddressInfo).port}/metrics`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, text: Text): Promise<void> {
  const refuse = (status: number, why: string, headers = {}) =>
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers }).end(`${why}\n`);
  // A web page of elsewhere could otherwise read the metrics, with a name that leads to this address.
  if (!isOwnName(request)) return void refuse(403, 'expected the host name 127.0.0.1 or localhost');
  if (request.method !== 'GET') return void refuse(405, 'expected GET', { allow: 'GET' });
  if (request.url?.split('?')[0] !== '/metrics') return void refuse(404, 'expected /metrics');
  try {
    const { type, body } = await text();
    response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
  } catch (error) {
    refuse(500, (error as Error).message);
  }
}

function isOwnName({ headers: { host = '' }, socket }: IncomingMessage): boolean {
  return [HOST, 'localhost'].some((name) => host.toLowerCase() === `${name}:${socket.localPort}`);
}
