/** With processes that answer, crash and hang as TensorFlow may. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { JobError, JobStopped, openWorker } from '../../../src/train/accept/worker.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-accept-worker-'));
after(() => fs.rmSync(folder, { recursive: true }));
const file = join(folder, 'child.mjs');
/** Does what the job's `devices` say. */
fs.writeFileSync(
  file,
  `process.on('message', ({ devices: [what] }) => {
    const ok = (result) => process.send({ ok: true, result });
    if (what === 'pid') ok(process.pid);
    if (what === 'refuse') process.send({ ok: false, message: 'Cannot do it' });
    if (what === 'abort') process.stderr.write('I0 all is well\\nF0101 cuda.cc:1] Check failed\\n at 0x1\\n', () => process.abort());
    if (what === 'kill') process.kill(process.pid, 'SIGKILL');
    if (what === 'exit') process.exit(7);
    if (what === 'late abort') { ok(process.pid); setTimeout(() => process.kill(process.pid, 'SIGABRT'), 0); }
  });`,
);

const job = (what: string) => ({ kind: 'look', devices: [what] }) as const;
const soon = { deadlineMs: 20_000 };

/** A worker for one test, and the process that it has. */
function withWorker(
  use: (run: (what: string) => Promise<unknown>, worker: ReturnType<typeof openWorker>) => Promise<void>,
) {
  return async () => {
    const worker = openWorker(file, new AbortController().signal);
    try {
      await use((what) => worker.run(job(what), soon), worker);
    } finally {
      worker.close();
    }
  };
}

const fails = (message: RegExp) => (error: Error) => error instanceof JobError && message.test(error.message);

test(
  'jobs share a process until one of them fails, or wants one of its own',
  withWorker(async (run, worker) => {
    const first = await run('pid');
    assert.equal(await run('pid'), first);
    const fresh = await worker.run(job('pid'), { ...soon, fresh: true });
    assert.notEqual(fresh, first);
    await assert.rejects(run('refuse'), fails(/^Cannot do it$/));
    assert.notEqual(await run('pid'), fresh);
  }),
);

test(
  "a crash is told with the process's last words, and the next job has another process",
  withWorker(async (run) => {
    await assert.rejects(
      run('abort'),
      fails(/^its process ended by SIGABRT; it said: F0101 cuda\.cc:1\] Check failed$/),
    );
    await assert.rejects(run('exit'), fails(/^its process ended with exit code 7$/));
    assert.equal(typeof (await run('pid')), 'number');
  }),
);

test(
  'a crash between two jobs is told to the second, once',
  withWorker(async (run) => {
    const pid = (await run('late abort')) as number;
    while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
    await assert.rejects(run('pid'), fails(/^the process of the checks before it ended by SIGABRT/));
    assert.notEqual(await run('pid'), pid);
  }),
);

test(
  'a job that is late fails, and its process is gone',
  withWorker(async (run, worker) => {
    const pid = (await run('pid')) as number;
    await assert.rejects(
      worker.run(job('hang'), { deadlineMs: 50 }),
      fails(/^there was no answer within 0 s, and its process was ended$/),
    );
    while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.notEqual(await run('pid'), pid);
  }),
);

test(
  'runToDeath() takes SIGKILL alone for the end that was wanted',
  withWorker(async (_, worker) => {
    await worker.runToDeath(job('kill'), soon);
    await assert.rejects(worker.runToDeath(job('pid'), soon), fails(/^it ended before it could be killed$/));
    await assert.rejects(worker.runToDeath(job('abort'), soon), fails(/SIGABRT/));
    await assert.rejects(worker.runToDeath(job('refuse'), soon), fails(/^Cannot do it$/));
  }),
);

test('a signal stops the job that runs, and those after it', async () => {
  const controller = new AbortController();
  const worker = openWorker(file, controller.signal);
  const pid = (await worker.run(job('pid'), soon)) as unknown as number;
  const hanging = worker.run(job('hang'), soon);
  controller.abort('SIGINT');
  await assert.rejects(hanging, JobStopped);
  await assert.rejects(worker.run(job('pid'), soon), JobStopped);
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
});

test('a program that is not there fails in a sentence', async () => {
  const worker = openWorker(join(folder, 'none.mjs'), new AbortController().signal);
  await assert.rejects(worker.run(job('pid'), soon), fails(/^its process ended with exit code 1/));
});

/** Whether the process is there; Node.js reaps its children by itself. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
