import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { environment } from './native/child.js';
import { type Host, noNetwork, openNetwork } from './network.js';

const skip = noNetwork();
const PORT = 7000;

/** Answers each line with the same line. */
const SERVER = `require('node:net').createServer((socket) => socket.pipe(socket))
  .listen(${PORT}, () => console.log('ready'));`;

/** Connects within 1.5 s; then sends what comes on stdin and prints what comes back. */
const CLIENT = (address: string) => `const socket = require('node:net').connect(${PORT}, '${address}');
  const timer = setTimeout(() => process.exit(9), 1500);
  socket.on('error', ({ code }) => console.log(code)).on('connect', () => {
    clearTimeout(timer);
    console.log('connected');
    process.stdin.pipe(socket).pipe(process.stdout);
  });`;

type Lines = AsyncIterator<string>;

function run(host: Host, program: string): { child: ChildProcess; lines: Lines } {
  const child = host.spawn(process.execPath, ['--eval', program], { stdio: ['pipe', 'pipe', 'inherit'] });
  return { child, lines: createInterface(child.stdout!)[Symbol.asyncIterator]() };
}

async function line(lines: Lines): Promise<string | undefined> {
  return (await lines.next()).value;
}

async function serve(host: Host): Promise<void> {
  assert.equal(await line(run(host, SERVER).lines), 'ready');
}

/** The exit code: 0 after a connection, 9 without. */
async function connects(from: Host, address: string): Promise<boolean> {
  const { child } = run(from, CLIENT(address));
  child.stdin!.end();
  child.stdout!.resume();
  const [code] = await once(child, 'exit');
  assert.ok(code === 0 || code === 9, String(code));
  return code === 0;
}

test('hosts of a network: who reaches whom, bytes, a cable that is pulled out and loses', { skip }, async (t) => {
  const network = await openNetwork({ hosts: ['a', 'b', 'c'] });
  t.after(() => network.close());
  const [a, b, c] = network.hosts as [Host, Host, Host];
  assert.deepEqual(
    network.hosts.map(({ name, address }) => [name, address]),
    [
      ['a', '10.198.0.1'],
      ['b', '10.198.0.2'],
      ['c', '10.198.0.3'],
    ],
  );
  await Promise.all([serve(a), serve(b)]);
  const own = await Promise.all([connects(a, '127.0.0.1'), connects(c, b.address)]);
  assert.deepEqual(own, [true, true]);
  const toC = await network.bytesBetween('a', 'c');

  const { child, lines } = run(a, CLIENT(b.address));
  assert.equal(await line(lines), 'connected');
  const text = 'x'.repeat(1_000_000);
  child.stdin!.write(`${text}\n`);
  assert.equal(await line(lines), text);
  // Some frames may be sent again, and headers take less than a tenth.
  const between = await Promise.all([network.bytesBetween('a', 'b'), network.bytesBetween('b', 'a')]);
  const { sent, received } = network.bytes('a');
  for (const bytes of [...between, sent, received]) assert.ok(bytes > 1e6 && bytes < 1.2e6, String(bytes));
  assert.ok((await network.bytesBetween('a', 'c')) < toC + 1_000);

  await network.setLink('b', { up: false });
  const carrier = async () => /NO-CARRIER/.test((await b.exec('ip', ['link', 'show', 'eth0'])).stdout);
  assert.equal(await carrier(), true);
  child.stdin!.write('late\n');
  assert.deepEqual(await Promise.all([connects(c, b.address), connects(c, a.address)]), [false, true]);
  await network.setLink('b', { up: true });
  assert.equal(await line(lines), 'late');
  assert.equal(await carrier(), false);

  await network.setLink('c', { lossPercent: 100 });
  assert.equal(await connects(c, b.address), false);
  await network.setLink('c', { lossPercent: 0 });
  assert.equal(await connects(c, b.address), true);
  await assert.rejects(network.setLink('d', {}), /Cannot find the host d, expected one of a,b,c/);

  const { code, stdout } = await c.exec('cat', ['/proc/net/dev']);
  assert.deepEqual([code, stdout.match(/\w+(?=:)/g)?.sort()], [0, ['eth0', 'lo']]);
  const running = run(c, 'setInterval(() => {}, 1000)').child;
  await network.close();
  if (running.signalCode === null) await once(running, 'exit');
  assert.equal(running.signalCode, 'SIGKILL');
});

/** A slow machine takes longer, but nothing may be faster than the cable. */
test('a cable delays frames, and lets through only so many bytes a second', { skip }, async (t) => {
  const network = await openNetwork({ hosts: ['a', 'b'], delayMs: 30 });
  t.after(() => network.close());
  const [a, b] = network.hosts as [Host, Host];
  await serve(b);
  const { child, lines } = run(a, CLIENT(b.address));
  assert.equal(await line(lines), 'connected');
  const answered = async (text: string) => {
    const start = performance.now();
    child.stdin!.write(`${text}\n`);
    assert.equal(await line(lines), text);
    return performance.now() - start;
  };
  const delayed = await answered('delayed');
  assert.ok(delayed >= 4 * 30, String(delayed));

  await network.setLink('a', { delayMs: 0, rateMbit: 4 });
  await network.setLink('b', { delayMs: 0 });
  const limited = await answered('x'.repeat(500_000));
  assert.ok(limited >= 1000, String(limited));
});

test('a network ends with the process that made it, also after SIGKILL', { skip, timeout: 60_000 }, async () => {
  const { href } = new URL('network.js', import.meta.url);
  const program = `const { openNetwork } = await import(${JSON.stringify(href)});
    const { hosts } = await openNetwork({ hosts: ['a', 'b'] });
    console.log(JSON.stringify(hosts.map(({ holder }) => holder)));`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    env: environment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const holders: number[] = JSON.parse(String((await once(child.stdout, 'data'))[0]));
  const alive = () => holders.filter((pid) => existsSync(`/proc/${pid}/ns/net`) && existsSync(`/proc/${pid}/exe`));
  assert.equal(alive().length, 2);
  child.kill('SIGKILL');
  while (alive().length > 0) await setTimeout(10);
});
