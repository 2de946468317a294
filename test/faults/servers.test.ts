/** A server of a training is killed, hangs, or is started again. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkpointsFolder, newestCheckpoint } from '../../src/checkpoint/store.js';
import type { EventOf } from '../../src/log.js';
import { checkLog } from '../../src/report/check.js';
import { inProcess } from '../cli/in-process.js';
import { lenetFlags } from '../data/sets.js';
import { onServers, TestServer, train, weightsOf } from './servers.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-servers-'));
const servers: TestServer[] = [];
const STEPS = 30;
const ONLY_ALL = process.env.FAULTS !== 'all' && 'FAULTS=all npm test -- faults/servers runs it too';
// The first step, on a machine with other work, takes longer than a later one.
fs.writeFileSync(join(folder, 'f.json'), JSON.stringify({ exchangeTimeoutMs: 8_000 }));
const RUN = [
  ...[...lenetFlags(folder), '--workers', '1', '--config', 'f.json', '--steps', `${STEPS}`],
  ...['--eval-every', '15', '--checkpoint-every', '5', '--no-check'],
];
process.chdir(folder); // for trainings in this process
const runFolder = (run: string) => join(folder, 'runs', run);

before(async () => {
  servers.push(...(await Promise.all([TestServer.start(), TestServer.start()])));
});
after(async () => {
  await Promise.all(servers.map((server) => server.kill()));
  fs.rmSync(folder, { recursive: true, force: true });
});

test('with --wait-for-servers a run survives a server that is killed and one that hangs, and ends with the same weights', async () => {
  const alone = train(folder, [...RUN, '--devices', 'CPU:0,CPU:1', '--run', 'alone']);
  const run = train(folder, [...RUN, ...onServers(servers), '--run', 'waits', '--wait-for-servers', '1m']);
  await run.next('train_step', ({ step }) => step === 8);
  await servers[1]!.kill();
  await run.next('server_lost');
  await servers[1]!.start();
  await run.next('servers_back');
  await run.next('train_step', ({ step }) => step === 13);
  servers[0]!.signal('SIGSTOP');
  await run.next('server_lost');
  servers[0]!.signal('SIGCONT');
  const [{ code, stderr }] = await Promise.all([run.ended, alone.ended]);

  assert.equal(code, 0, stderr);
  assert.ok(!/^[EWF]\d{4}|TensorFlow/m.test(stderr), stderr);
  assert.deepEqual(weightsOf(runFolder('waits')), weightsOf(runFolder('alone')));
  const lost = run.events.filter((event) => event.event === 'server_lost');
  assert.deepEqual(
    lost.map(({ server }) => server),
    [servers[1]!.address, servers[0]!.address],
  );
  assert.match(lost[0]!.reason, /^has ended: nothing listens at its address$/);
  assert.match(lost[1]!.reason, /^has not answered for \d+ s$/);
  const back = run.events.filter((event) => event.event === 'servers_back');
  assert.deepEqual(
    back.map(({ step, times }) => ({ step: step % 5, times })),
    [
      { step: 0, times: 1 },
      { step: 0, times: 2 },
    ],
  );
  assert.equal((run.events.at(-1) as EventOf<'run_end'>).servers_lost, 2);
  const { problems } = await checkLog(join(runFolder('waits'), 'log.ndjson'));
  assert.deepEqual(problems, []);
});

test('Ctrl-C ends a run that waits for a server that hangs', { skip: ONLY_ALL }, async (t) => {
  const run = train(folder, [...RUN, ...onServers(servers), '--run', 'stopped', '--wait-for-servers', '10m']);
  await run.next('train_step', ({ step }) => step === 8);
  servers[1]!.signal('SIGSTOP');
  t.after(() => servers[1]!.signal('SIGCONT'));
  await run.next('server_lost');
  await sleep(6_000); // the towers are closed by now, and the server is asked
  run.child.kill('SIGINT');
  const { code, stderr } = await run.ended;
  assert.equal(code, 130, stderr);
  assert.ok(!stderr.includes('    at '), stderr);
  assert.equal((run.events.at(-1) as EventOf<'run_end'>).status, 'stopped');
});

test('a server that is killed ends the run with one sentence, and the run resumes when it is there again', async () => {
  const flags = onServers(servers);
  const run = train(folder, [...RUN, ...flags, '--run', 'ends']);
  await run.next('train_step', ({ step }) => step === 15); // the evaluation begins
  await servers[0]!.kill();
  const { code, stderr } = await run.ended;
  assert.equal(code, 1, stderr);
  assert.match(
    stderr,
    /^error: Cannot continue in [^\n]+: the server [\d.:]+ has ended: nothing listens[^\n]+ --resume auto[^\n]+\n$/m,
  );
  const { found } = newestCheckpoint(checkpointsFolder(runFolder('ends')));
  assert.ok(found && found.state.step >= 10, 'the last checkpoint is whole');

  const refused = await inProcess(['train', ...RUN, ...flags, '--run', 'ends', '--resume', 'auto']);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^error: Cannot reach the server [\d.:]+: nothing listens there, expected [^\n]+\n$/m);
  await servers[0]!.start();
  const resumed = await train(folder, [...RUN, ...flags, '--run', 'ends', '--resume', 'auto']).ended;
  assert.equal(resumed.code, 0, resumed.stderr);
  assert.deepEqual(weightsOf(runFolder('ends')), weightsOf(runFolder('alone')));
});
