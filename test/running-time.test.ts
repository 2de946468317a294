/** The clock that stands still while the process does: with a stand-in for the wall's, and in a process that is stopped. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import test from 'node:test';
import { collect } from '../scripts/trainer.js';
import { POLL_MS, RunningClock, setRunningTimeout } from '../src/running-time.js';

test('RunningClock counts the time between readings, and almost nothing for a pause', () => {
  let wall = 1_000;
  const clock = new RunningClock(() => wall);
  for (let i = 0; i < 10; i++) {
    wall += POLL_MS;
    clock.now();
  }
  assert.deepEqual([clock.now(), clock.paused()], [10 * POLL_MS, 0]);
  wall += 3_600_000;
  const counted = clock.now() - 10 * POLL_MS;
  assert.ok(counted > 0 && counted < POLL_MS, `${counted}`);
  assert.equal(clock.paused(), 3_600_000 - counted);
  wall += POLL_MS / 2;
  assert.equal(clock.now(), 10.5 * POLL_MS + counted);
});

test('setRunningTimeout() calls the function after the time, unless it is cancelled', async () => {
  const started = performance.now();
  let calls = 0;
  const callOff = setRunningTimeout(1, () => calls++);
  callOff();
  await new Promise<void>((resolve) => {
    setRunningTimeout(50, resolve);
  });
  assert.ok(performance.now() - started >= 49);
  assert.equal(calls, 0);
});

test('a deadline and a wait for a message pass only while the process runs', { timeout: 60_000 }, async () => {
  const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  const [limit, pause] = [2_000, 3_000];
  // Stopped twice, once while its thread blocks, for longer than either may take.
  const program = `
    import { spawn } from 'node:child_process';
    import { createMailboxes, Mailbox } from ${url('../src/exchange/mailbox.js')};
    import { withDeadline } from ${url('../src/train/waiting.js')};
    const stopSoon = () => spawn('sh', ['-c', 'sleep 0.2; kill -STOP $0; sleep ${pause / 1000}; kill -CONT $0', process.pid], { stdio: 'ignore' });
    const waited = async (wait) => {
      const started = performance.now();
      stopSoon();
      try { await wait(); } catch (error) { console.log(performance.now() - started, error.message); }
    };
    await waited(() => withDeadline(new Promise(() => {}), ${limit}, () => new Error('late')));
    const mailbox = new Mailbox(createMailboxes(8), 0, ${limit});
    await waited(() => mailbox.receive({ site: 'conv3', step: 1, direction: 'forward' }, () => {}));`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { stdout } = await collect(child).ended;
  const lines = stdout.trimEnd().split('\n');
  assert.equal(lines.length, 2, stdout);
  assert.match(lines[0]!, /late$/);
  assert.match(lines[1]!, /tower 1 did not respond for 2 s/);
  // Timers may come a moment early, and a look may have been that long ago.
  for (const line of lines) assert.ok(Number.parseFloat(line) > limit + pause - 3 * POLL_MS, line);
});
