import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import test from 'node:test';
import { parseAddress } from '../../src/address.js';
import { coordinatorAddress, routeTo } from '../../src/cluster/address.js';
import { serverStatus } from '../../src/cluster/status.js';
import { ConfigError, ServerError } from '../../src/errors.js';

/** A server on a free port of loopback that says nothing. */
async function silentServer() {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async () => {
    for (const each of sockets) each.destroy();
    server.close();
    await once(server, 'close');
  };
  return { close, address: `127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const route = (own: string, server: string) => ({ own, server });

test('parseAddress() reads a host and a port, and refuses everything else', () => {
  assert.deepEqual(parseAddress('box-a:2222', 'server'), { host: 'box-a', port: 2222 });
  assert.deepEqual(parseAddress('[fd00::2]:22', 'server'), { host: 'fd00::2', port: 22 });
  for (const text of ['', 'box-a', ':2222', 'fd00::2:22', 'a:70000', 'a:b', 'http://a:1'])
    assert.throws(() => parseAddress(text, 'server'), ConfigError, text);
});

test('coordinatorAddress() is the address of the connection to the servers, with a free port', async () => {
  const { close, address } = await silentServer();
  const routes = new Map([[address, await routeTo(address, 5000)]]);
  const own = await coordinatorAddress(undefined, routes);
  assert.match(own, /^127\.0\.0\.1:\d+$/);
  assert.notEqual(own, address);
  await assert.rejects(
    coordinatorAddress(address, routes),
    /^ConfigError: Cannot use .*: another process listens there/,
  );
  await close();
});

test('coordinatorAddress() refuses what a server cannot reach', async () => {
  const away = new Map([['10.0.0.2:2222', route('10.0.0.1', '10.0.0.2')]]);
  const mixed = new Map([...away, ['127.0.0.1:2222', route('127.0.0.1', '127.0.0.1')]]);
  const two = new Map([...away, ['10.1.0.2:2222', route('10.1.0.1', '10.1.0.2')]]);
  const cases: [string | undefined, Parameters<typeof coordinatorAddress>[1], RegExp][] = [
    ['127.0.0.1:0', away, /127\.0\.0\.1:0: the server 10\.0\.0\.2:2222 does not reach it/],
    ['localhost:0', away, /localhost:0: the server 10\.0\.0\.2:2222 does not reach it/],
    ['0.0.0.0:2300', away, /0\.0\.0\.0:2300: it is no address to which a server can connect/],
    ['192.0.2.7:0', away, /192\.0\.2\.7:0: this machine does not have it/],
    [undefined, mixed, /only this machine reaches 127\.0\.0\.1:2222/],
    [
      undefined,
      two,
      /this machine is 10\.0\.0\.1 for the server 10\.0\.0\.2:2222 and 10\.1\.0\.1 for 10\.1\.0\.2:2222/,
    ],
  ];
  for (const [asked, routes, message] of cases) {
    await assert.rejects(coordinatorAddress(asked, routes), (error) => {
      assert.ok(error instanceof ConfigError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
});

test('routeTo() and serverStatus() say what is wrong with a server, within their deadline', async () => {
  const { close, address } = await silentServer();
  await assert.rejects(
    serverStatus(address, 500),
    (error) => error instanceof ServerError && /it does not answer within 0\.5 s/.test(error.message),
  );
  await close();
  await assert.rejects(
    routeTo(address, 5000),
    (error) => error instanceof ServerError && error.server === address && /nothing listens there/.test(error.message),
  );
});
