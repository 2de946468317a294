import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import test from 'node:test';
import { listenOnLoopback } from '../../src/cli/loopback.js';

test('a server that cannot take a connection, for example without a free descriptor, goes on', async () => {
  const server = createServer();
  const address = await listenOnLoopback(server, 0, 'a test', '--port');
  try {
    assert.match(address, /^http:\/\/127\.0\.0\.1:\d+$/);
    for (let i = 0; i < 3; i++) server.emit('error', new Error('accept EMFILE'));
    assert.ok(server.listening);
  } finally {
    server.close();
  }
});
