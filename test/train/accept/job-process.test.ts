/** Child processes that answer, crash and hang, as TensorFlow may do. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { JobError, type JobProcess, JobStopped, openJobProcess } from '../../../src/train/accept/job-process.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-accept-process-'));
after(() => fs.rmSync(folder, { recursive: true }));
const file = join(folder, 'child.mjs');
/** Does what the job's `asked` says. */
fs.writeFileSync(
  file,
  `process.on('message', ({ asked: [what] }) => {
    const ok = (result) => process.send({ ok: true, result });
    if (what === 'pid') ok(process.pid);
    if (what === 'refuse') process.send({ ok: false, message: 'Cannot do it' });
    if (what === 'abort') process.stderr.write('I0 all is well\\nF0101 cuda.cc:1] Check failed\\n at 0x1\\n', () => process.abort());
    if (what === 'kill') process.kill(process.pid, 'SIGKILL');
    if (what === 'exit') process.exit(7);
    if (what === 'late abort') { ok(process.pid); setTimeout(() => process.kill(process.pid, 'SIGABRT'), 0); }
  });`,
);

const job = (what: string) => ({ kind: 'devices', asked: [what] }) as const;
const soon = { deadlineMs: 20_000 };

/** Opens a process for one test. */
function withProcess(use: (run: (what: string) => Promise<unknown>, jobs: JobProcess) => Promise<void>) {
  return async () => {
    const jobs = openJobProcess(file, new AbortController().signal);
    try {
      await use((what) => jobs.run(job(what), soon), jobs);
    } finally {
      jobs.close();
    }
  };
}

const fails = (message: RegExp) => (error: Error) => error instanceof JobError && message.test(error.message);

test(
  'jobs share a process until one fails or asks for a fresh one',
  withProcess(async (run, jobs) => {
    const first = await run('pid');
    assert.equal(await run('pid'), first);
    const fresh = await jobs.run(job('pid'), { ...soon, fresh: true });
    assert.notEqual(fresh, first);
    await assert.rejects(run('refuse'), fails(/^Cannot do it$/));
    assert.notEqual(await run('pid'), fresh);
  }),
);

test(
  'a crash is reported with the last line of stderr, and the next job gets a new process',
  withProcess(async (run) => {
    await assert.rejects(
      run('abort'),
      fails(/^its process ended by SIGABRT; its last message is: F0101 cuda\.cc:1\] Check failed$/),
    );
    await assert.rejects(run('exit'), fails(/^its process ended with exit code 7$/));
    assert.equal(typeof (await run('pid')), 'number');
  }),
);

test(
  'a crash between two jobs fails the second one, and no other',
  withProcess(async (run) => {
    const pid = (await run('late abort')) as number;
    while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
    await assert.rejects(run('pid'), fails(/^the process of the earlier checks ended by SIGABRT/));
    assert.notEqual(await run('pid'), pid);
  }),
);

test(
  'a job fails at its deadline, and its process is killed',
  withProcess(async (run, jobs) => {
    const pid = (await run('pid')) as number;
    await assert.rejects(
      jobs.run(job('hang'), { deadlineMs: 50 }),
      fails(/^there was no answer within 0 s, and its process was ended$/),
    );
    while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.notEqual(await run('pid'), pid);
  }),
);

test(
  'runToDeath() accepts no end but SIGKILL',
  withProcess(async (_, jobs) => {
    await jobs.runToDeath(job('kill'), soon);
    await assert.rejects(jobs.runToDeath(job('pid'), soon), fails(/^it ended before it was killed$/));
    await assert.rejects(jobs.runToDeath(job('abort'), soon), fails(/SIGABRT/));
    await assert.rejects(jobs.runToDeath(job('refuse'), soon), fails(/^Cannot do it$/));
  }),
);

test('a signal stops the running job and later ones', async () => {
  const controller = new AbortController();
  const jobs = openJobProcess(file, controller.signal);
  const pid = (await jobs.run(job('pid'), soon)) as unknown as number;
  const hanging = jobs.run(job('hang'), soon);
  controller.abort('SIGINT');
  await assert.rejects(hanging, JobStopped);
  await assert.rejects(jobs.run(job('pid'), soon), JobStopped);
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
});

test('a missing program fails with one sentence', async () => {
  const jobs = openJobProcess(join(folder, 'none.mjs'), new AbortController().signal);
  await assert.rejects(jobs.run(job('pid'), soon), fails(/^its process ended with exit code 1/));
});

/** Whether the process is there; Node.js reaps its children by itself. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
