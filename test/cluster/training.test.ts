/** Trainings with towers on servers: the same bits as on this machine. Every process is a child process. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventsIn, SMALL_RUN } from '../../scripts/trainer.js';
import type { EventOf, LogEvent } from '../../src/log.js';
import { fewImages } from '../data/sets.js';
import { runNode } from '../native/child.js';
import { type Host, noNetwork, openNetwork } from '../network.js';
import { runCommand, startServer } from './servers.js';

const OUT = mkdtempSync(join(tmpdir(), 'alexnet-split-servers-'));
after(() => rmSync(OUT, { recursive: true }));

const COMMON = [...SMALL_RUN, '--data', fewImages(OUT), '--out', OUT, '--checkpoint-every', '2', '--eval-every', '4'];

/** Trains, and asserts that it ends well. @returns the events of its log, and what it printed. */
async function train(run: string, args: readonly string[], host?: Host) {
  const { code, stdout, stderr } = await runCommand(['train', ...COMMON, '--run', run, ...args], host);
  assert.equal(code, 0, stderr + stdout);
  return { events: eventsIn(join(OUT, run)) as LogEvent[], stdout, stderr };
}

const losses = (events: readonly LogEvent[]) =>
  events.flatMap((event) => (event.event === 'train_step' || event.event === 'eval' ? [event.loss] : []));
const only = <Name extends LogEvent['event']>(events: readonly LogEvent[], name: Name) =>
  events.find((event): event is EventOf<Name> => event.event === name)!;
/** The file has the tower's values and the number of its last step. */
const weights = (run: string) =>
  [0, 1].map((tower) => readFileSync(join(OUT, run, `tower-${tower}-of-2.safetensors`)).toString('base64'));

const ROOT_ONLY = process.getuid?.() !== 0 && 'some systems let only root restrict a port to one address';

test('the coordinator has the devices of servers, and is reached at one address only', {
  skip: ROOT_ONLY,
}, async (t) => {
  const server = await startServer(t);
  const program = fileURLToPath(new URL('joining.js', import.meta.url));
  const { code, stdout, stderr } = await runNode([program, `${server}/CPU:0`]);
  assert.equal(code, 0, stderr);
  const names = ['CPU:0', 'CPU:1', `${server}/CPU:0`, `${server}/CPU:1`];
  assert.deepEqual(JSON.parse(stdout), { names, winograd: true, reached: [true, false] });
});

let local: ReturnType<typeof train> | undefined;

/** The run on this machine with which the others are compared. */
function localRun() {
  local ??= train('local', ['--devices', 'CPU:0,CPU:1', '--steps', '4']);
  return local;
}

test('a run on two servers, by a file of the cluster, continues on this machine with the bits of a local run', async (t) => {
  const servers = await Promise.all([startServer(t), startServer(t)]);
  const file = join(OUT, 'cluster.json');
  writeFileSync(file, JSON.stringify({ servers }));
  const devices = servers.map((each) => `${each}/CPU:0`);
  const { events, stderr, stdout } = await train('moved', ['--cluster', file, '--steps', '2']);
  const [start, network] = [only(events, 'run_start'), only(events, 'network')];
  assert.deepEqual(
    start.towers.map((each) => [each.device, each.backing_device]),
    devices.map((each) => [each, each]),
  );
  assert.deepEqual(
    start.processes!.map((each) => [each.role, each.devices]),
    [['coordinator', []], ...devices.map((each) => ['server', [each]])],
  );
  assert.match(stdout + stderr, /tower 0 on 127\.0\.0\.1:\d+\/CPU:0, tower 1 on 127\.0\.0\.1:\d+\/CPU:0\n/);
  assert.match(stdout + stderr, /goes through this process; --exchange device sends it from server to server/);
  const images = 2 * 8 * 67 * 67 * 3 * 4;
  const [there] = network.links;
  const crossing = there!.contents.filter(({ what }) => what !== 'images').reduce((sum, { bytes }) => sum + bytes, 0);
  assert.deepEqual([network.steps, there!.contents[0]], [1, { what: 'images', bytes: images }]);
  assert.equal(there!.counted_bytes, images + crossing);
  // Once each: twice would be more by the images, and gRPC adds less than the activations.
  assert.ok(Math.abs(there!.measured_bytes! - images - crossing) < crossing, JSON.stringify(network));

  const args = ['--resume', 'auto', '--devices', 'CPU:0,CPU:1', '--steps', '4'];
  const resumed = await train('moved', args);
  assert.deepEqual(losses(resumed.events).slice(-3), losses((await localRun()).events).slice(-3));
  assert.deepEqual(weights('moved'), weights('local'));
});

test('on three hosts the towers exchange from server to server, with the bits of a local run', {
  skip: noNetwork(),
}, async (t) => {
  const network = await openNetwork({ hosts: ['coordinator', 'left', 'right'] });
  t.after(() => network.close());
  const servers = await Promise.all(['left', 'right'].map((name) => startServer(t, network.host(name))));
  const args = ['--servers', servers.join(), '--exchange', 'device', '--steps', '4'];
  const { events, stderr } = await train('hosts', args, network.host('coordinator'));
  assert.equal(stderr, '');
  assert.deepEqual(losses(events), losses((await localRun()).events));
  assert.deepEqual(weights('hosts'), weights('local'));
  const { links } = only(events, 'network');
  const between = (from: string, to: string) => links.find((each) => each.from === from && each.to === to)!;
  for (const server of servers) {
    const [other] = servers.filter((each) => each !== server);
    const [images, answers] = [between('coordinator', server), between(server, 'coordinator')];
    assert.ok(images.measured_bytes! > images.counted_bytes && images.measured_bytes! < 1.1 * images.counted_bytes);
    const crossing = between(server, other!).counted_bytes;
    assert.ok(crossing > 0 && answers.measured_bytes! < crossing, JSON.stringify(links));
    const ends = [server, other!].map((each) => (each === servers[0] ? 'left' : 'right')) as [string, string];
    assert.ok((await network.bytesBetween(...ends)) > crossing);
  }
});
