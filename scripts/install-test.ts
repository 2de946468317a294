/**
 * Packs the package and installs it in an empty project, with install scripts allowed, an empty npm cache, and only the
 * registry reachable. Then trains five steps there: `node dist/scripts/install-test.js`. Prints the requested hosts and the
 * sizes. Ends with 1 if a step fails, or if another host was requested.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inTemporaryFolder, print } from './trainer.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Starts a proxy that forwards only requests to one host. */
async function openProxy(allowed: string): Promise<{ url: string; asked: Map<string, number>; close(): void }> {
  const asked = new Map<string, number>();
  const server = createServer((request, response) => {
    const { host } = new URL(request.url ?? '', 'http://unknown');
    asked.set(host, (asked.get(host) ?? 0) + 1);
    response.writeHead(403).end();
  });
  server.on('connect', (request, socket, head) => {
    const [host = '', port] = (request.url ?? '').split(':');
    asked.set(host, (asked.get(host) ?? 0) + 1);
    if (host !== allowed) {
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      return;
    }
    const upstream = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    const end = () => [socket, upstream].map((each) => each.destroy());
    upstream.on('error', end);
    socket.on('error', end);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, asked, close: () => server.closeAllConnections() ?? server.close() };
}

/** @returns what the program printed. @throws Error if its exit code is not 0. */
async function run(command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const start = Date.now();
  // npm sets these variables for its scripts. They would be settings of the npm under test.
  const inherited = Object.entries(process.env).filter(([name]) => !/^npm_(config|package|lifecycle)_/i.test(name));
  const child = spawn(command, args, {
    cwd,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let stdout = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  const [code] = await once(child, 'close');
  print(`${command} ${args.join(' ')}: exit code ${code}, ${((Date.now() - start) / 1000).toFixed(1)} s`);
  if (code !== 0) throw new Error(`${command} failed: ${stdout}`);
  return stdout;
}

function megabytes(path: string): string {
  const bytes = (each: string): number => {
    const stat = fs.lstatSync(each);
    if (!stat.isDirectory()) return stat.size;
    return fs.readdirSync(each).reduce((sum, name) => sum + bytes(join(each, name)), 0);
  };
  return `${(bytes(path) / 1e6).toFixed(1)} MB`;
}

async function main(temporary: string): Promise<void> {
  const project = join(temporary, 'project');
  const packed = await run('npm', ['pack', '--json', '--pack-destination', temporary], ROOT);
  const tarball = join(temporary, JSON.parse(packed)[0].filename);
  const registry = (await run('npm', ['config', 'get', 'registry'], temporary)).trim();
  const proxy = await openProxy(new URL(registry).hostname);
  try {
    fs.mkdirSync(project);
    fs.writeFileSync(join(project, 'package.json'), '{}');
    const env = { https_proxy: proxy.url, http_proxy: proxy.url, no_proxy: '' };
    const cache = ['--cache', join(temporary, 'cache')];
    await run('npm', ['install', '--ignore-scripts=false', ...cache, tarball], project, env);
    const output = await run('npx', ['alexnet-split', 'train', '--steps', '5'], project, env);
    print(output.trim().split('\n').at(-1) ?? '');
    print(`hosts: ${[...proxy.asked].map(([host, times]) => `${host} (${times})`).join(', ')}`);
    const modules = join(project, 'node_modules');
    print(`tarball: ${megabytes(tarball)}; its folder: ${megabytes(join(modules, 'alexnet-split'))}`);
    print(`node_modules: ${megabytes(modules)}, of it @tensorflow: ${megabytes(join(modules, '@tensorflow'))}`);
    const others = [...proxy.asked.keys()].filter((host) => host !== new URL(registry).hostname);
    if (others.length > 0) throw new Error(`requested ${others.join(', ')}`);
  } finally {
    proxy.close();
  }
}

try {
  await inTemporaryFolder('install', main);
} catch (error) {
  print(`failed: ${(error as Error).message}`);
  process.exitCode = 1;
}
