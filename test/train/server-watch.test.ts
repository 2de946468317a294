import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ExchangeError, NativeError, NonFiniteError, ServerError, ServerLostError } from '../../src/errors.js';
import { Code } from '../../src/native/c/status.js';
import type { TowerClient } from '../../src/tower/client.js';
import type { Command } from '../../src/tower/protocol.js';
import { type AskServer, ServerWatch } from '../../src/train/server-watch.js';

const STEP = { kind: 'step', step: 7 } as Extract<Command, { kind: 'step' }>;
const SERVER = '127.0.0.1:2222';

/** A watch of one server, and a tower on it that answers with `answer`. */
function watched(t: TestContext, ask: AskServer, answer: () => Promise<unknown>) {
  const ended: string[] = [];
  let hasNames = true;
  const watch = new ServerWatch([SERVER], {
    ...{ silenceMs: 300, ask },
    resolve: async () => (hasNames ? [{ address: '127.0.0.1', port: 2222 }] : []),
    shutdown: ({ address, port }) => {
      ended.push(`${address}:${port}`);
      return 1;
    },
  });
  hasNames = false; // as in a network that is down
  const alive = setInterval(() => {}, 1_000); // as the towers' threads keep the process
  t.after(() => {
    clearInterval(alive);
    watch.close();
  });
  const tower = watch.guard({ ask: answer } as unknown as TowerClient, SERVER);
  return { watch, tower, ended };
}

const healthy: AskServer = async () => '1';
const silent: AskServer = async () => {
  throw new ServerError('Cannot use the server: it does not answer', SERVER);
};
const never = () => new Promise<never>(() => {});

test('a server that stays silent ends the command that waits for it, and its connections again and again', async (t) => {
  const { tower, ended } = watched(t, silent, never);
  await assert.rejects(tower.ask(STEP), {
    name: 'ServerLostError',
    message:
      /^Cannot continue in step 7: the server 127\.0\.0\.1:2222 has not answered for \d+ s, expected it to serve until the end; .*--resume auto.*--wait-for-servers 10m$/,
  });
  while (ended.length < 2) await sleep(20);
  assert.deepEqual(new Set(ended), new Set([SERVER]));
  await assert.rejects(tower.ask(STEP), ServerLostError, 'a later command fails at once');
});

test('a server that was started again is lost, though it answers', async (t) => {
  const { watch, tower } = watched(t, healthy, never);
  watch.expect(new Map([[SERVER, '2']]));
  await assert.rejects(tower.ask(STEP), { name: 'ServerLostError', how: /was started again/ });
});

test('a silence that ends before the deadline is survived', async (t) => {
  let asked = 0;
  const ask: AskServer = async () => {
    if (asked++ < 2) throw new ServerError('Cannot reach the server', SERVER, 'ENETUNREACH');
    return '1';
  };
  const { tower, ended } = watched(t, ask, () => sleep(50, 'reply'));
  assert.equal(await tower.ask(STEP), 'reply');
  assert.deepEqual(ended, []);
});

test("TensorFlow's error is the loss of the server if the server is gone, and stays if it is there", async (t) => {
  const gone: AskServer = async () => {
    throw new ServerError('Cannot reach the server', SERVER, 'ECONNREFUSED');
  };
  const nativeError = (code: number, text: string) => async () => {
    throw new NativeError(`Cannot run a compiled function: TensorFlow says ${text}`, code);
  };
  const peer = async () => {
    throw new ExchangeError('Cannot exchange at conv3', 0, 'conv3', 7, true);
  };
  const unavailable = nativeError(Code.UNAVAILABLE, 'UNAVAILABLE: Socket closed');
  const forgotten = nativeError(
    Code.INVALID_ARGUMENT,
    'INVALID_ARGUMENT: Unable to find a context_id matching the specified one (5)',
  );
  for (const answer of [unavailable, forgotten, peer]) {
    await assert.rejects(watched(t, gone, answer).tower.ask(STEP), { name: 'ServerLostError', how: /has ended/ });
  }
  // The connection broke, or the server has freed what the run held: it answers.
  for (const answer of [unavailable, forgotten]) {
    await assert.rejects(watched(t, healthy, answer).tower.ask(STEP), {
      name: 'ServerLostError',
      how: /a call to it failed/,
    });
  }
  const own = [
    { answer: peer, name: 'ExchangeError' },
    { answer: nativeError(Code.INVALID_ARGUMENT, 'INVALID_ARGUMENT: no such shape'), name: 'NativeError' },
    { answer: nativeError(Code.RESOURCE_EXHAUSTED, 'RESOURCE_EXHAUSTED: OOM'), name: 'NativeError' },
    { answer: async () => Promise.reject(new NonFiniteError('Cannot continue: NaN', 7)), name: 'NonFiniteError' },
  ];
  for (const { answer, name } of own) await assert.rejects(watched(t, healthy, answer).tower.ask(STEP), { name });
});
