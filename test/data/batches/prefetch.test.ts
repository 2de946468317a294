import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { createPrefetcher, type PrefetchOptions } from '../../../src/data/batches/prefetch.js';

/** A prefetcher whose fills end when the test ends them. */
function controlledPrefetcher(options: Partial<PrefetchOptions> = {}) {
  const started: [number: number, slot: number][] = [];
  const ends = new Map<number, { resolve(): void; reject(error: Error): void }>();
  const fill = (number: number, slot: number) => {
    started.push([number, slot]);
    return new Promise<void>((resolve, reject) => {
      ends.set(number, { resolve, reject });
    });
  };
  const prefetcher = createPrefetcher({
    slots: [0, 1, 2],
    last: Number.POSITIVE_INFINITY,
    ahead: true,
    fill,
    ...options,
  });
  return { prefetcher, started, end: (number: number) => ends.get(number)!.resolve(), ends };
}

/** Whether the promise is still pending after everything else had its turn. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let pending = true;
  const settle = () => {
    pending = false;
  };
  promise.then(settle, settle);
  await turn();
  return pending;
}

test('take() fills the next batches ahead, only into free slots', async () => {
  const { prefetcher, started, end } = controlledPrefetcher();
  const first = prefetcher.take(1);
  await turn();
  assert.deepEqual(started, [
    [1, 0],
    [2, 1],
    [3, 2],
  ]);
  assert.ok(await isPending(first));
  end(1);
  assert.equal(await first, 0);
  end(2);
  assert.equal(await prefetcher.take(2), 1);
  await turn();
  assert.equal(started.length, 3); // slot 0 is lent
  prefetcher.release(0, 1);
  assert.deepEqual(started[3], [4, 0]);
});

test('take() waits while every slot is in use', async () => {
  const { prefetcher, started, end } = controlledPrefetcher();
  for (const number of [1, 2, 3]) {
    const taken = prefetcher.take(number);
    await turn();
    end(number);
    await taken;
  }
  const [fourth, fifth] = [prefetcher.take(4), prefetcher.take(5)];
  assert.ok(await isPending(fourth));
  assert.equal(started.length, 3);
  prefetcher.release(1, 2);
  await turn();
  assert.deepEqual(started.slice(3), [[4, 1]]);
  prefetcher.release(0, 1);
  await turn();
  assert.deepEqual(started.slice(3), [
    [4, 1],
    [5, 0],
  ]);
  end(4);
  end(5);
  assert.deepEqual(await Promise.all([fourth, fifth]), [1, 0]);
});

test('take() after a jump reuses the slots that were filled ahead, after their filling has ended', async () => {
  const { prefetcher, started, end } = controlledPrefetcher();
  const first = prefetcher.take(1);
  await turn();
  end(1);
  await first;
  const jumped = prefetcher.take(500);
  await turn();
  assert.equal(started.length, 3); // 2 and 3 are still being written
  end(3);
  await turn();
  assert.deepEqual(started[3], [500, 2]);
  end(500);
  assert.equal(await jumped, 2);
  end(2);
  await turn();
  assert.deepEqual(started[4], [501, 1]);
});

test('take() of a batch that is already in use takes another slot', async () => {
  const { prefetcher, end } = controlledPrefetcher();
  const first = prefetcher.take(1);
  await turn();
  for (const number of [1, 2, 3]) end(number);
  assert.equal(await first, 0);
  const again = prefetcher.take(1);
  await turn();
  end(1);
  assert.notEqual(await again, 0);
});

test('concurrent take() out of order loses no slot', async () => {
  const { prefetcher, end } = controlledPrefetcher({ slots: [0, 1] });
  const taken = [prefetcher.take(5), prefetcher.take(4)];
  await turn();
  for (const number of [4, 5]) end(number);
  const slots = await Promise.all(taken);
  assert.deepEqual(slots.sort(), [0, 1]);
  prefetcher.release(slots[0]!, 5);
  prefetcher.release(slots[1]!, 4);
  const again = [prefetcher.take(10), prefetcher.take(11)];
  for (const number of [5, 6, 10, 11]) {
    await turn();
    end(number);
  }
  assert.deepEqual((await Promise.all(again)).sort(), [0, 1]);
});

test('take() fills nothing after the last batch, and nothing ahead without `ahead`', async () => {
  const short = controlledPrefetcher({ last: 2 });
  short.prefetcher.take(1);
  await turn();
  assert.deepEqual(short.started, [
    [1, 0],
    [2, 1],
  ]);
  const plain = controlledPrefetcher({ ahead: false });
  plain.prefetcher.take(1);
  await turn();
  assert.deepEqual(plain.started, [[1, 0]]);
});

test('take() rejects when its fill fails, now or ahead, and frees the slot', async () => {
  const { prefetcher, started, ends, end } = controlledPrefetcher();
  const first = prefetcher.take(1);
  await turn();
  ends.get(2)!.reject(new Error('lost'));
  end(1);
  await first;
  await turn();
  await assert.rejects(prefetcher.take(2), /lost/);
  const again = prefetcher.take(2);
  for (const number of [3, 4]) end(number); // those ahead give way
  await turn();
  assert.equal(started.filter(([number]) => number === 2).length, 2);
  end(2);
  assert.ok([1, 2].includes(await again));
});

test('release() refuses a slot that is not in use for that batch', async () => {
  const { prefetcher, end } = controlledPrefetcher();
  const first = prefetcher.take(1);
  await turn();
  end(1);
  const slot = await first;
  assert.throws(() => prefetcher.release(slot, 2), { name: 'AssertionError' });
  prefetcher.release(slot, 1);
  assert.throws(() => prefetcher.release(slot, 1), { name: 'AssertionError' });
});

test('close() rejects pending and later calls', async () => {
  const { prefetcher, end } = controlledPrefetcher({ slots: [0] });
  const first = prefetcher.take(1);
  await turn();
  end(1);
  await first;
  const second = prefetcher.take(2);
  prefetcher.close((number) => new Error(`${number} is not filled`));
  await assert.rejects(second, /2 is not filled/);
  await assert.rejects(prefetcher.take(3), /3 is not filled/);
});

test('ready() has the slots whose batches are filled and not taken yet', async () => {
  const { prefetcher, end, ends } = controlledPrefetcher();
  const first = prefetcher.take(1);
  await turn();
  assert.deepEqual(prefetcher.ready(), []);
  for (const number of [1, 3]) end(number);
  assert.equal(await first, 0);
  assert.deepEqual(prefetcher.ready(), [2]);
  ends.get(2)!.reject(new Error('unreadable'));
  await turn();
  assert.deepEqual(prefetcher.ready(), [2]);
  await assert.rejects(prefetcher.take(2));
  await prefetcher.take(3);
  assert.deepEqual(prefetcher.ready(), []);
});

test('prepare() fills the first batches, which take() then finds; without filling ahead it does nothing', async () => {
  const { prefetcher, started, end } = controlledPrefetcher({ slots: [0, 1], last: 5 });
  prefetcher.prepare(0);
  prefetcher.prepare(0);
  const expected = [
    [0, 0],
    [1, 1],
  ];
  assert.deepEqual(started, expected);
  const first = prefetcher.take(0);
  end(0);
  assert.equal(await first, 0);
  assert.deepEqual(started, expected);
  const lazy = controlledPrefetcher({ ahead: false });
  lazy.prefetcher.prepare(0);
  assert.deepEqual(lazy.started, []);
});
