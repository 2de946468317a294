import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError, ServerError } from '../../src/errors.js';
import { untilThere } from '../../src/train/until-there.js';
import { Stopped } from '../../src/train/waiting.js';

const refused = () => new ServerError('Cannot reach the server 10.0.0.2:2222', '10.0.0.2:2222', 'ECONNREFUSED');

test('untilThere() tries again while a server is missing, and says so once', async () => {
  const notes: string[] = [];
  let tries = 0;
  const action = async () => {
    tries++;
    if (tries < 3) throw refused();
    return 'there';
  };
  assert.equal(await untilThere(action, { waitForServers: '10m', note: (text) => notes.push(text) }), 'there');
  assert.deepEqual(notes, ['waiting for the servers, up to 10m: Cannot reach the server 10.0.0.2:2222']);
});

test('untilThere() gives up at the deadline, at a signal, for another error, and at once if it is not to wait', async () => {
  let tries = 0;
  const missing = async () => {
    tries++;
    throw refused();
  };
  await assert.rejects(untilThere(missing, { waitForServers: null }), ServerError);
  assert.equal(tries, 1);
  await assert.rejects(untilThere(missing, { waitForServers: '0.01s' }), ServerError);
  const signal = AbortSignal.timeout(20);
  await assert.rejects(untilThere(missing, { waitForServers: '10m', signal }), ServerError);
  const silent = untilThere(() => new Promise<never>(() => {}), {
    waitForServers: '10m',
    signal: AbortSignal.timeout(20),
  });
  await assert.rejects(Promise.race([silent, sleep(5_000)]), Stopped);
  const other = async () => Promise.reject(new ConfigError('Cannot use it'));
  await assert.rejects(untilThere(other, { waitForServers: '10m' }), ConfigError);
});
