/**
 * Many threads load TensorFlow at the same moment, while the main thread writes the numbers from 0 on to stderr, one in each
 * line. After that C writes `C` there. Prints the errors of the threads and the count of numbers, one in each line.
 */
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import koffi from 'koffi';
import { openLibrary } from '../../../src/native/c/load.js';

const THREADS = 8;

if (isMainThread) {
  const ready = new Int32Array(new SharedArrayBuffer(4));
  let running = THREADS;
  for (let i = 0; i < THREADS; i++) {
    const worker = new Worker(new URL(import.meta.url), { workerData: ready });
    worker.on('message', (message) => fs.writeSync(1, `${message}\n`));
    worker.on('exit', () => running--);
  }
  let written = 0;
  for (; running > 0; await sleep(1)) fs.writeSync(2, `${written++}\n`);
  const c = koffi.load(null);
  const stderr = new BigUint64Array(1);
  c.func('void *memcpy(void *to, const void *from, size_t bytes)')(stderr, c.symbol('stderr'), 8);
  c.func('int fputs(const char *text, void *stream)')('C\n', stderr[0]);
  fs.writeSync(1, `${written}\n`);
} else {
  const ready = workerData as Int32Array;
  const before = Atomics.add(ready, 0, 1);
  if (before === THREADS - 1) Atomics.notify(ready, 0);
  else for (let seen = before + 1; seen < THREADS; seen = Atomics.load(ready, 0)) Atomics.wait(ready, 0, seen);
  try {
    openLibrary();
  } catch (error) {
    parentPort?.postMessage((error as Error).message);
  }
}
