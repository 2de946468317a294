/** The simulation against cases worked out by hand. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { lengthOf, type Resource, simulate, type Task } from '../../src/plan/schedule.js';

function task(ms: number, uses: readonly Resource[], after: readonly Task[] = [], delayMs = 0): Task {
  return { kind: 'compute', ms, delayMs, uses, after };
}

const device = (slots = 1): Resource => ({ name: 'device', slots });

test('tasks on one device run one after another, those that are ready first before the others', () => {
  const cpu = device();
  const first = task(3, [cpu]);
  const late = task(5, [cpu], [task(0, [], [], 1)]);
  const second = task(2, [cpu], [first]);
  const times = simulate([first, late.after[0]!, late, second]);
  // first 0-3; late is ready at 1 and waits for the device: 3-8; second is ready at 3, after late: 8-10.
  assert.deepEqual(times.get(late), { ready: 1, start: 3, end: 8, done: 8 });
  assert.deepEqual(times.get(second), { ready: 3, start: 8, end: 10, done: 10 });
  assert.equal(lengthOf(times), 10);
});

test('two tasks run at once on two slots, and the third waits for the first that ends', () => {
  const cpu = device(2);
  const tasks = [task(4, [cpu]), task(6, [cpu]), task(1, [cpu])];
  const times = simulate(tasks);
  assert.deepEqual(
    tasks.map((each) => times.get(each)!.end),
    [4, 6, 5],
  );
});

test('a message occupies both ends of a link, and its delay none', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((name) => ({ name, slots: 1 })) as [Resource, Resource, Resource];
  const first = task(10, [a, b], [], 7);
  const second = task(10, [a, c]); // waits for a
  const third = task(1, [b], [first]);
  const times = simulate([first, second, third]);
  assert.equal(times.get(first)!.done, 17);
  assert.equal(times.get(second)!.start, 10);
  assert.equal(times.get(third)!.start, 17);
  assert.equal(lengthOf(times), 20);
});

test('a task waits for all that come before it', () => {
  const [short, long] = [task(1, []), task(9, [], [], 2)];
  const last = task(1, [], [short, long]);
  assert.equal(simulate([short, long, last]).get(last)!.ready, 11);
});

test('many tasks are taken in the order in which they are ready', () => {
  const cpu = device();
  const delays = Array.from({ length: 200 }, (_, i) => (i * 7919) % 200);
  const starts = delays.map((ms) => task(0, [], [], ms));
  const tasks = starts.map((start) => task(1, [cpu], [start]));
  const times = simulate([...starts, ...tasks]);
  assert.deepEqual(
    tasks.map((each) => times.get(each)!.start),
    delays,
  );
});
