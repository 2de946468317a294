/**
 * Forwards connections: each argument `FROM=TO` listens at FROM and connects to TO, each of which is `ADDRESS:PORT` or the path
 * of a Unix socket. Two of these, on two hosts, do what `ssh -L` and `ssh -R` do. Prints a line when all listen.
 */
import { once } from 'node:events';
import { connect, createServer, type NetConnectOpts } from 'node:net';

function endpoint(text: string): NetConnectOpts {
  if (text.startsWith('/')) return { path: text };
  const [host, port] = text.split(':') as [string, string];
  return { host, port: Number(port) };
}

for (const argument of process.argv.slice(2)) {
  const [from, to] = argument.split('=').map((text) => endpoint(text)) as [NetConnectOpts, NetConnectOpts];
  const server = createServer((socket) => {
    const other = connect(to);
    socket.on('error', () => other.destroy()).pipe(other);
    other.on('error', () => socket.destroy()).pipe(socket);
  });
  await once(server.listen(from), 'listening');
}
process.stdout.write('forwarding\n');
