/** A tower in its thread, as the coordinator sees it. */
import assert from 'node:assert/strict';
import { after, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSlot, floatLayout, slotViews } from '../../src/data/index.js';
import {
  CheckpointError,
  ConfigError,
  ExchangeError,
  NativeError,
  NonFiniteError,
  SplitError,
  TowerError,
} from '../../src/errors.js';
import { createMailboxes, isAborted } from '../../src/exchange/mailbox.js';
import { slotBytesFor } from '../../src/exchange/transport.js';
import type { NetOptions } from '../../src/model/net.js';
import { bytesToAlignment } from '../../src/native/c/copy.js';
import { startTower, type TowerClient } from '../../src/tower/client.js';
import type { Command, TowerSetup } from '../../src/tower/protocol.js';
import { ONLY } from '../../src/tower/replica.js';

const BATCH = 4;
const NET: NetOptions = {
  ...{ table: 'lenet', width: 1, inputSize: 28, inputChannels: 1, classes: 10, init: 'xavier', dropout: true },
};
const STEP: Extract<Command, { kind: 'step' }> = {
  ...{ kind: 'step', slot: 0, count: BATCH, step: 1, epoch: 1, learningRate: 0.1, update: true, keep: true },
};
const LEAVING = new URL('./leaving-worker.js', import.meta.url).href;

/** A batch slot of gray images with the labels 0, 1, 2, 3. */
const LAYOUT = floatLayout(BATCH, 28, 1);

function slotOf(pixel = 0.5): SharedArrayBuffer {
  const slot = createSlot(LAYOUT, bytesToAlignment);
  const { images, labels } = slotViews(slot, LAYOUT);
  images.fill(pixel);
  labels.set([0, 1, 2, 3]);
  return slot;
}

function setupOf(change: Partial<TowerSetup> = {}): TowerSetup {
  return {
    part: 'whole',
    replica: ONLY,
    device: 'CPU:1',
    context: {},
    net: NET,
    optimizer: {
      ...{ learningRate: 0.1, momentum: 0.9, weightDecay: 0, biasRateFactor: 1, biasDecay: 0 },
      schedule: { kind: 'constant' },
    },
    ops: 'native',
    compile: 'off',
    convolutions: 'auto',
    exchange: { transport: 'msgpack', dtype: 'float32', checksum: false },
    seed: 1,
    batchSize: BATCH,
    slots: [slotOf()],
    layout: LAYOUT,
    exchangeTimeoutMs: 60_000,
    ...change,
  };
}

/** A tower that is closed when the test ends. */
function start(t: TestContext, change: Partial<TowerSetup> = {}, file?: string): TowerClient {
  const tower = startTower(setupOf(change), file);
  t.after(() => tower.close());
  return tower;
}

/** The whole net; slot 1 has NaN. */
const whole = startTower(setupOf({ slots: [slotOf(), slotOf(Number.NaN)] }));
after(() => whole.close());

let peers = 0;
const peerOf = () => ({
  name: `client_test_${peers++}`,
  device: 'CPU:0',
  mailboxes: createMailboxes(slotBytesFor(BATCH * 28 * 28 * 6 * 4)),
});

/** Asserts that it rejects with that class; returns the error. */
async function rejection<E extends Error>(promise: Promise<unknown>, type: new (...args: never[]) => E): Promise<E> {
  const error = await promise.then(
    () => assert.fail(`expected ${type.name}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof type, String(error));
  return error;
}

test('startTower() makes a tower that opens, steps, lists and evaluates', async () => {
  const opened = await whole.ask({ kind: 'open' });
  assert.match(opened.backingDevice, /^\S+CPU:1$/);
  // LeNet in two halves that all reach both: 156 + 2,416 + 48,120 + 10,164 + 850.
  assert.equal(opened.parameters, 61_706);
  const reply = await whole.ask(STEP);
  assert.ok(Number.isFinite(reply.loss));
  assert.deepEqual([reply.exchangeBytes, reply.exchangeMs, reply.waitMs], [0, 0, 0]);
  const list = await whole.ask({ kind: 'list' });
  const kernel = list.find(({ name, kind }) => name === 'tower0/fc5/kernel' && kind === 'gradient');
  assert.deepEqual(kernel?.shape, [84, 10]);
  const evaluated = await whole.ask({ kind: 'evaluate', slot: 0, count: BATCH, step: 1 });
  assert.ok(evaluated.loss! > 0 && evaluated.top5! >= evaluated.top1!);
});

test('ask() sends and returns parameters through shared memory', async () => {
  const memory = new SharedArrayBuffer(4 * 10);
  new Float32Array(memory).set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  await whole.ask({ kind: 'put', name: 'tower0/fc5/bias' }, memory);
  const back = new SharedArrayBuffer(4 * 10);
  assert.equal(await whole.ask({ kind: 'fetch', what: 'parameter', name: 'tower0/fc5/bias' }, back), null);
  assert.deepEqual(new Float32Array(back), new Float32Array(memory));
});

test('ask() throws the error of the tower as its class, with its fields', async (t) => {
  const missing = start(t, { device: 'CPU:9' });
  const native = await rejection(missing.ask({ kind: 'open' }), NativeError);
  assert.deepEqual([native.name, native.code, native.op, native.exitCode], ['NativeError', 5, undefined, 1]);
  assert.match(native.message, /^Cannot use the device CPU:9: TensorFlow has CPU:0, CPU:1/);
  assert.match(native.stack!, /NativeError: Cannot use the device/);

  const config = await rejection(start(t, { net: { ...NET, inputSize: 5 } }).ask({ kind: 'open' }), ConfigError);
  assert.deepEqual([config.name, config.exitCode], ['ConfigError', 2]);
  assert.match(config.message, /conv2/);

  const checkpoint = await rejection(whole.ask({ kind: 'load', files: ['/nowhere/x.safetensors'] }), CheckpointError);
  assert.deepEqual([checkpoint.path, checkpoint.exitCode], ['/nowhere/x.safetensors', 1]);
  const memory = new SharedArrayBuffer(4);
  const other = await rejection(whole.ask({ kind: 'fetch', what: 'gradient', name: 'x' }, memory), Error);
  assert.deepEqual([other instanceof SplitError, other.message], [false, 'this tower has kept no gradient x']);
  // It is still there after them.
  assert.equal((await whole.ask({ kind: 'open' })).parameters, 61_706);
});

test('ask() throws if the loss is not finite, and does not change the weights', async () => {
  const kernel = async () => {
    const memory = new SharedArrayBuffer(4 * 840);
    await whole.ask({ kind: 'fetch', what: 'parameter', name: 'tower0/fc5/kernel' }, memory);
    return new Float32Array(memory).slice();
  };
  await whole.ask(STEP);
  const before = await kernel();
  const error = await rejection(whole.ask({ ...STEP, slot: 1, step: 2 }), SplitError);
  assert.match(error.message, /the loss of step 2 is NaN at learning rate 0\.1/);
  assert.deepEqual(await kernel(), before);
});

test('ask() of a tower without its peer throws where, when and who, and ends all waiting', async (t) => {
  const peer = peerOf();
  const tower = start(t, { part: 1, peer, exchangeTimeoutMs: 50 });
  const error = await rejection(tower.ask({ ...STEP, step: 3 }), ExchangeError);
  assert.deepEqual([error.tower, error.site, error.step], [1, 'conv2', 3]);
  assert.match(error.message, /^Cannot exchange at conv2 \(forward, step 3\) in tower 1: tower 0 did not respond/);
  assert.equal(isAborted(peer.mailboxes), true);
});

test('ask() of a tower that fails ends the wait of its peer', async (t) => {
  const peer = peerOf();
  const [first, second] = [start(t, { part: 0, peer, device: 'CPU:0' }), start(t, { part: 1, peer, slots: [] })];
  await Promise.all([first.ask({ kind: 'open' }), second.ask({ kind: 'open' })]);
  const waiting = rejection(first.ask(STEP), ExchangeError);
  await rejection(second.ask(STEP), Error);
  assert.match((await waiting).message, /the other tower stopped/);
});

test('ask() keeps numbers that JSON cannot represent', async (t) => {
  const command = { kind: 'evaluate', slot: Number.NaN, count: Number.NEGATIVE_INFINITY, step: 2 ** 53 - 1 } as const;
  assert.deepEqual(await start(t, {}, LEAVING).ask(command), command);
});

test('ask() throws a TowerError when the thread ends, and at each later call', async (t) => {
  const peer = peerOf();
  const tower = start(t, { part: 1, peer }, LEAVING);
  assert.deepEqual(await tower.ask({ kind: 'open' }), { kind: 'open' });
  const error = await rejection(tower.ask(STEP), TowerError);
  assert.deepEqual([error.tower, error.exitCode], [1, 1]);
  assert.match(error.message, /^Cannot continue: the thread of tower 1 on CPU:1 ended \(.*exited with code: 7\)/);
  assert.equal(isAborted(peer.mailboxes), true);
  assert.equal(await rejection(tower.ask({ kind: 'open' }), TowerError), error);
});

test('ask() throws a TowerError after the thread ended between two commands, because a new thread has no weights', {
  timeout: 60_000,
}, async (t) => {
  for (const [kind, text] of [
    ['list', /ended \(between two commands\)/],
    ['save', /ended \(out of luck\)/],
  ] as const) {
    const peer = peerOf();
    const tower = start(t, { part: 0, peer }, LEAVING);
    const leave = new SharedArrayBuffer(4);
    await tower.ask(kind === 'save' ? { kind, file: '', step: 1 } : { kind }, leave);
    Atomics.store(new Int32Array(leave), 0, 1);
    while (!isAborted(peer.mailboxes)) await sleep(5);
    const error = await rejection(tower.ask({ kind: 'open' }), TowerError);
    assert.match(error.message, text);
  }
});

test('close() ends a tower that waits for its peer', { timeout: 60_000 }, async (t) => {
  const peer = peerOf();
  const tower = start(t, { part: 0, peer, exchangeTimeoutMs: 3_600_000 });
  const asked = rejection(tower.ask(STEP), Error);
  // It has sent its half, and waits for the other.
  const words = new Int32Array(peer.mailboxes.boxes[0].words);
  while (Atomics.load(words, 0) === 0) await sleep(5);
  await tower.close();
  await asked;
  const error = await rejection(tower.ask({ kind: 'open' }), TowerError);
  assert.match(error.message, /tower 0 for open: it was closed/);
});

test('step makes no update if the loss is finite but a gradient is not', async (t) => {
  const tower = start(t, { slots: [slotOf(1e38)] });
  // The input does not reach the loss, but the gradient of the kernel is made of it.
  const [shape] = (await tower.ask({ kind: 'list' })).filter(({ name }) => name === 'tower0/conv1/kernel');
  const bytes = 4 * shape!.shape.reduce((a, b) => a * b, 1);
  for (const name of ['tower0/conv1/kernel', 'tower1/conv1/kernel']) {
    await tower.ask({ kind: 'put', name }, new SharedArrayBuffer(bytes));
  }
  const fc = { kind: 'fetch', what: 'parameter', name: 'tower0/fc3/bias' } as const;
  const [before, after] = [new SharedArrayBuffer(4 * 60), new SharedArrayBuffer(4 * 60)];
  await tower.ask(fc, before);
  const error = await rejection(tower.ask({ ...STEP, step: 3 }), NonFiniteError);
  assert.match(
    error.message,
    /the gradient of step 3 is too large for a float32, most of all in tower\d\/conv1\/kernel, at learning rate 0\.1,/,
  );
  await tower.ask(fc, after);
  assert.deepEqual(new Float32Array(after), new Float32Array(before));
});
