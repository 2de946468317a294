import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Allowed, type Restricted, restrictListener } from '../../../src/native/c/listener-filter.js';
import { inNamespaces } from '../../namespaces.js';
import { runNode } from '../child.js';

const own = inNamespaces('--net');
const missing = ['ip', 'nsenter', 'setpriv'].filter((name) => spawnSync(name, ['--version']).error);
const skip = 'skip' in own ? own.skip : missing.length > 0 && `${missing.join(', ')} is not installed`;

const LOOPBACK = ['127.0.0.1', '::1'];
const [V4, V6] = ['10.198.0.1', 'fd00:198::1'] as const;
const PEER = '10.198.0.2';

/** What listens and who may connect; then to which addresses of it connections are made, from its machine and from another. */
const CASES: [{ host: string; addresses: string[]; sources?: string[] }, here: string[], there: string[]][] = [
  [{ host: '0.0.0.0', addresses: ['127.0.0.1'] }, ['127.0.0.1'], []],
  [{ host: '0.0.0.0', addresses: [V4] }, [V4], [V4]],
  [{ host: '0.0.0.0', addresses: ['0.0.0.0'] }, ['127.0.0.1', V4], [V4]],
  [{ host: '::', addresses: ['127.0.0.1'] }, ['127.0.0.1'], []],
  [{ host: '::', addresses: ['::1'] }, ['::1'], []],
  [{ host: '::', addresses: ['127.0.0.1', V4] }, ['127.0.0.1', V4], [V4]],
  [{ host: '::', addresses: ['::ffff:127.0.0.1', V6] }, ['127.0.0.1', V6], [V6]],
  [{ host: '::', addresses: ['::'] }, [...LOOPBACK, V4, V6], [V4, V6]],
  [{ host: '::', addresses: [V4, V6], sources: [PEER] }, [], [V4]],
  [{ host: '::', addresses: ['::'], sources: ['10.198.0.3', '10.198.0.2/31', 'fd00:198::2/128'] }, [], [V4, V6]],
  [{ host: '::', addresses: ['::'], sources: ['127.0.0.0/8', 'fd00:198::/127'] }, ['127.0.0.1', V6], []],
];

const program = fileURLToPath(new URL('../programs/restricted-listener.js', import.meta.url));

interface Result {
  restricted: (Restricted | string)[];
  here: string[][];
  there: string[][];
}

async function run(isPrivileged: boolean): Promise<Result> {
  const args = [program, JSON.stringify(CASES.map(([allowed]) => allowed)), String(isPrivileged)];
  const { code, stdout, stderr } = await runNode(args, {}, own as string[]);
  assert.deepEqual([code, stderr], [0, '']);
  return JSON.parse(stdout);
}

/** From the other machine, each port had one connection to the IPv4 address before. */
const ended = (allowed: readonly string[]) => (allowed.includes(V4) ? 0 : 1);
const isAll = ({ addresses, sources }: Allowed) => !sources && ['0.0.0.0', '::'].includes(addresses[0]!);

test('restrictListener() lets only allowed connections reach a listening socket', { skip }, async () => {
  const { restricted, here, there } = await run(true);
  assert.deepEqual(
    here.map((each, i) => ({ ...CASES[i]![0], here: each, there: there[i] })),
    CASES.map(([allowed, ours, theirs]) => ({ ...allowed, here: ours, there: theirs })),
  );
  assert.deepEqual(
    restricted,
    CASES.map(([allowed, , theirs]) => ({
      listeners: 1,
      ended: ended(theirs),
      waiting: 0,
      by: isAll(allowed) ? 'nothing' : 'filter',
    })),
  );
});

test('restrictListener() without privileges: the same, or loopback alone, or an error', { skip }, async () => {
  const { restricted, here, there } = await run(false);
  for (const [i, [allowed, ours, theirs]] of CASES.entries()) {
    const result = restricted[i]!;
    const loopback = allowed.host === '::' ? LOOPBACK : ['127.0.0.1'];
    if (typeof result === 'string') {
      assert.match(
        result,
        /^Cannot restrict port PORT: the system refuses the filter \(EPERM\), expected it to take one for [\d.a-f:, /]+; give the process CAP_NET_ADMIN, or/,
      );
      assert.ok(allowed.sources || allowed.addresses.includes(V4) || allowed.addresses.includes(V6), result);
    } else if (result.by === 'loopback') {
      assert.deepEqual([result.ended, here[i], there[i]], [1, loopback, []]);
    } else {
      assert.deepEqual([result.ended, here[i], there[i]], [ended(theirs), ours, theirs]);
      assert.equal(result.by, isAll(allowed) ? 'nothing' : 'filter');
    }
  }
});

test('restrictListener() says which addresses it does not take, and that nothing listens', () => {
  for (const text of ['localhost', '10.0.0.0/33', '10.0.0.0/', '::1/129', '10.0.0.0/8/8', '1.2.3', '']) {
    assert.throws(() => restrictListener(1, { addresses: ['127.0.0.1'], sources: [text] }), {
      name: 'ConfigError',
      message: `Cannot restrict port 1: ${JSON.stringify(text)} is no address, expected an IP address such as 192.168.1.5, or for sources also a network such as 10.0.0.0/8; use the address instead of a name`,
    });
  }
  assert.deepEqual(restrictListener(1, { addresses: ['127.0.0.1'] }), {
    listeners: 0,
    ended: 0,
    waiting: 0,
    by: 'nothing',
  });
});

test('restrictListener() counts connections that are not accepted yet, and ends them when they are', {
  skip: process.getuid?.() !== 0 && 'some systems let only root restrict a port',
}, async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const source = `require('node:net').connect(${port}, '127.0.0.1', () => { console.log('made'); process.stdin.resume(); })`;
  const client = spawn(process.execPath, ['-e', source], { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(client, 'close');
  const restrict = () => restrictListener(port, { addresses: ['127.0.0.1'], sources: ['127.0.0.2'] });
  const until = Date.now() + 20_000;
  // The event loop, which would accept the connection, stands still.
  while (restrictListener(port, { addresses: ['127.0.0.1'] }).waiting === 0) assert.ok(Date.now() < until);
  assert.deepEqual(restrict(), { listeners: 1, ended: 0, waiting: 1, by: 'filter' });
  const [socket] = await once(server, 'connection');
  assert.deepEqual(restrict(), { listeners: 1, ended: 1, waiting: 0, by: 'filter' });
  socket.destroy();
  client.stdin.end();
  await closed;
  server.close();
});

test('restrictListener() says that a filter would be too long', { skip: process.platform !== 'linux' }, async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sources = Array.from({ length: 2_000 }, (_, i) => `10.${i >> 8}.${i & 255}.1`);
  const { port } = server.address() as AddressInfo;
  assert.throws(() => restrictListener(port, { addresses: ['::1'], sources }), {
    name: 'ConfigError',
    message: /2001 addresses is too long, expected at most 4096 instructions, not 8\d+;/,
  });
  server.close();
});
