/** `--metrics-port`: serves a run's metrics on loopback, for Prometheus. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createLoopbackServer, isOwnName, listenOnLoopback } from './loopback.js';

/** A page of a text, made for each request. */
export type Text = () => Promise<{ type: string; body: string }>;

/**
 * Serves `/metrics` until it is closed. It does not keep the process alive.
 * @param port 0 for any free one.
 * @throws ConfigError if the port is in use; SplitError if it cannot be opened for another reason.
 */
export async function serveMetrics(port: number, text: Text): Promise<{ url: string; close(): void }> {
  const server = createLoopbackServer((request, response) => void answer(request, response, text));
  server.on('connection', (socket) => socket.unref());
  const address = await listenOnLoopback(server, port, 'metrics', '--metrics-port');
  server.unref();
  return {
    url: `${address}/metrics`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, text: Text): Promise<void> {
  const refuse = (status: number, why: string, headers = {}) =>
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers }).end(`${why}\n`);
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
