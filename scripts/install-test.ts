/**
 * Packs the package and installs it as a stranger would: into an empty project, with install scripts allowed, an empty npm
 * cache, and no host but the registry. Then trains five steps there. `node dist/scripts/install-test.js`; ends with 1 when
 * something is otherwise, and prints which hosts were asked for, and the sizes.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const temporary = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-install-'));
const project = join(temporary, 'project');
const print = (line: string) => process.stdout.write(`${line}\n`);

/** A proxy that lets only the registry through. */
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

/** @returns what the program printed. @throws when it does not end with 0. */
async function run(command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const start = Date.now();
  // What npm sets for its scripts, this program among them, would be settings of the npm that is tried.
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

async function main(): Promise<void> {
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
    if (others.length > 0) throw new Error(`asked for ${others.join(', ')}`);
  } finally {
    proxy.close();
  }
}

try {
  await main();
} catch (error) {
  print(`failed: ${(error as Error).message}`);
  process.exitCode = 1;
} finally {
  fs.rmSync(temporary, { recursive: true, force: true });
}
