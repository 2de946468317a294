/**
 * Threads that take the process's lock: `count` (all of them increment one word), `dies` (one ends while it has the lock),
 * `late` (one has it longer than another waits), `context` (one ends with it before two others open the context). Prints the
 * results.
 */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { openContext } from '../../../src/native/c/context.js';
import { oneAtATime } from '../../../src/native/c/process-wide.js';

const THREADS = 6;
const TIMES = 300;

const start = (how: string) => new Worker(new URL(import.meta.url), { workerData: how });
const print = (text: unknown) => process.stdout.write(`${text}\n`);

/** A thread that has the lock until it is terminated. */
async function holder(): Promise<Worker> {
  const worker = start('hold');
  await once(worker, 'message');
  return worker;
}

const PARTS: Record<string, () => unknown> = {
  async count() {
    await Promise.all(Array.from({ length: THREADS }, () => once(start('add'), 'exit')));
    print(oneAtATime('count', (words) => words.context) === BigInt(THREADS * TIMES));
  },
  async dies() {
    const worker = await holder();
    // Without await: the lock is free when the thread has ended.
    worker.terminate();
    print(oneAtATime('go on', (words) => words.context));
    print(oneAtATime('go on once more', () => 'and again'));
  },
  async late() {
    const worker = await holder();
    try {
      oneAtATime('be in time', () => print('it was free'), 50);
    } catch (error) {
      const { name, code, message } = error as { name: string; code: number; message: string };
      print(`${name} ${code}: ${message}`);
    }
    await worker.terminate();
  },
  async context() {
    const worker = await holder();
    const others = [start('open'), start('open')];
    const opened = Promise.all(others.map(async (each) => (await once(each, 'message'))[0]));
    await Promise.all(others.map((each) => once(each, 'online')));
    await worker.terminate();
    const [first, second] = await opened;
    print(first === second && first > 0n);
  },

  add() {
    for (let i = 0; i < TIMES; i++) {
      oneAtATime('add', (words) => {
        const before = words.context;
        for (let wait = 0; wait < 100; wait++) Math.random();
        words.context = before + 1n;
      });
    }
  },
  hold() {
    oneAtATime('hold', (words) => {
      if (words.context !== 0n) return;
      parentPort?.postMessage('has it');
      for (;;) Math.random();
    });
  },
  open: () => parentPort?.postMessage(openContext().address),
};

await PARTS[isMainThread ? process.argv[2]! : workerData]!();
