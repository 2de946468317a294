/**
 * Each way to lose a server, in each phase of a training: `node dist/test/faults/server-faults.js table [fault …]` prints the
 * table of docs/reliability.md. `node dist/test/faults/server-faults.js kills [number] [seed]` kills servers at random moments
 * of one training with `--wait-for-servers`, and compares its weights with those of an undisturbed one.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { inTemporaryFolder, isEntry, print } from '../../scripts/trainer.js';
import { checkpointsFolder, newestCheckpoint } from '../../src/checkpoint/store.js';
import type { LogEvent } from '../../src/log.js';
import { draw, PURPOSE, unit } from '../../src/random.js';
import { checkLog } from '../../src/report/check.js';
import { lenetFlags } from '../data/sets.js';
import { noNetwork, openNetwork } from '../network.js';
import { onServers, TestServer, type Training, train, weightsOf } from './servers.js';

const TIMEOUT_MS = 3_000;
const STEPS = 40;

/** When the fault strikes: before the training starts, or at an event. */
const PHASES: Record<string, ((event: LogEvent) => boolean) | undefined> = {
  connect: undefined,
  check: (event) => event.event === 'run_start',
  step: (event) => event.event === 'train_step' && event.step === 12,
  evaluation: (event) => event.event === 'train_step' && event.step === 20,
  checkpoint: (event) => event.event === 'train_step' && event.step === 15,
  close: (event) => event.event === 'run_end',
};

interface Fault {
  strike(server: TestServer): Promise<unknown>;
  undo(server: TestServer): Promise<unknown>;
}

/** The settings of the trainings in a folder. */
function runFlags(folder: string): string[] {
  writeFileSync(join(folder, 'f.json'), JSON.stringify({ exchangeTimeoutMs: TIMEOUT_MS }));
  const every = ['--eval-every', '20', '--checkpoint-every', '5', '--steps', `${STEPS}`];
  return [...lenetFlags(folder), '--workers', '1', '--config', 'f.json', ...every];
}

async function whenStruck(training: Training, phase: string): Promise<void> {
  const isIt = PHASES[phase];
  if (isIt) await Promise.race([training.when(isIt), training.ended]);
}

async function faultTable(only: readonly string[]): Promise<void> {
  const skip = noNetwork();
  if (skip) throw new Error(`Cannot make the table: ${skip}`);
  const network = await openNetwork({ hosts: ['coordinator', 'a', 'b'] });
  const [place, a, b] = ['coordinator', 'a', 'b'].map((name) => network.host(name)) as [never, never, never];
  const faults: Record<string, Fault> = {
    kill: { strike: (server) => server.kill(), undo: (server) => server.start() },
    stop: {
      strike: async (server) => server.signal('SIGSTOP'),
      undo: async (server) => server.signal('SIGCONT'),
    },
    'cut off': {
      strike: () => network.setLink('b', { up: false }),
      undo: () => network.setLink('b', { up: true }),
    },
    restart: { strike: (server) => server.kill().then(() => server.start()), undo: async () => {} },
  };
  try {
    await inTemporaryFolder('server-faults', async (folder) => {
      const servers = await Promise.all([TestServer.start(a), TestServer.start(b)]);
      const flags = [...runFlags(folder), ...onServers(servers, place)];
      const weights = (run: string) => weightsOf(join(folder, 'runs', run));
      const reference = await train(folder, [...flags, '--run', 'reference'], place).ended;
      assert.equal(reference.code, 0, reference.stderr);
      print('| fault | phase | seconds | exit code | last checkpoint | after --resume | message |');
      print('|---|---|---|---|---|---|---|');
      for (const [name, { strike, undo }] of Object.entries(faults)) {
        if (only.length > 0 && !only.includes(name)) continue;
        for (const phase of Object.keys(PHASES)) {
          const run = `${name}-${phase}`.replace(' ', '-');
          if (phase === 'connect') await Promise.race([strike(servers[1]!), sleep(50)]);
          const training = train(folder, [...flags, '--run', run], place);
          await whenStruck(training, phase);
          const struck = performance.now();
          const striking = phase === 'connect' ? undefined : strike(servers[1]!);
          const { code, stderr } = await training.ended;
          const seconds = ((performance.now() - struck) / 1000).toFixed(1);
          await striking;
          await undo(servers[1]!);
          await sleep(500);
          const { found, skipped } = newestCheckpoint(checkpointsFolder(join(folder, 'runs', run)));
          assert.deepEqual(skipped, []);
          const again = await train(folder, [...flags, '--run', run, '--resume', 'auto'], place).ended;
          const same = again.code === 0 && isDeepStrictEqual(weights(run), weights('reference'));
          const error = /^error: (.*)$/m.exec(stderr)?.[1] ?? '';
          const stray = stderr.split('\n').filter((line) => /^[EWF]\d{4}/.test(line)).length;
          const result = same ? 'same weights' : `code ${again.code}: ${again.stderr}`;
          const message = `${error}${stray > 0 ? ` (and ${stray} lines of TensorFlow's)` : ''}`;
          print(
            `| ${name} | ${phase} | ${seconds} | ${code} | ${found?.state.step ?? 'none'} | ${result} | ${message} |`,
          );
        }
      }
      await Promise.all(servers.map((server) => server.kill()));
    });
  } finally {
    await network.close();
  }
}

/** @throws AssertionError if the run does not end with the undisturbed one's weights. */
async function randomKills(kills: number, seed: number): Promise<void> {
  await inTemporaryFolder('server-kills', async (folder) => {
    const servers = await Promise.all([TestServer.start(), TestServer.start()]);
    try {
      const steps = ['--steps', `${100 + 20 * kills}`];
      const base = [...runFlags(folder), ...steps, '--no-check'];
      const reference = await train(folder, [...base, ...onServers(servers), '--run', 'reference']).ended;
      assert.equal(reference.code, 0, reference.stderr);
      const training = train(folder, [...base, ...onServers(servers), '--run', 'killed', '--wait-for-servers', '5m']);
      await training.when((event) => event.event === 'train_step');
      for (let kill = 0; kill < kills; kill++) {
        const [wait, which, down, kind] = draw(seed, PURPOSE.sample, 0, 0, kill);
        // One in four comes while the run recovers from the one before.
        const isEarly = kind % 4 === 0;
        await sleep(unit(wait) * (isEarly ? 4_000 : 1_500));
        const server = servers[which % 2]!;
        const isBack = training.when(({ event }) => event === 'servers_back');
        await server.kill();
        await sleep(unit(down) * 1_000);
        await server.start();
        const last = training.events.at(-1)!;
        print(
          `kill ${kill + 1} of ${kills}: server ${which % 2}; last event ${last.event} ${'step' in last ? last.step : ''}`,
        );
        if (isEarly && kill + 1 < kills) isBack.catch(() => {});
        else await isBack;
      }
      const { code, stderr } = await training.ended;
      assert.equal(code, 0, stderr);
      const same = isDeepStrictEqual(
        ...(['killed', 'reference'].map((run) => weightsOf(join(folder, 'runs', run))) as [object, object]),
      );
      const { problems } = await checkLog(join(folder, 'runs', 'killed', 'log.ndjson'));
      const lost = training.events.filter(({ event }) => event === 'server_lost').length;
      print(
        `${kills} kills, ${lost} losses noticed; weights ${same ? 'equal' : 'DIFFER'}; problems of the log: ${problems.length}`,
      );
      assert.ok(same);
      assert.deepEqual(problems, []);
    } finally {
      await Promise.all(servers.map((server) => server.kill()));
    }
  });
}

if (isEntry(import.meta.url)) {
  const [what, ...args] = process.argv.slice(2);
  if (what === 'table') await faultTable(args);
  else if (what === 'kills') await randomKills(Number(args[0] ?? 20), Number(args[1] ?? 7));
  else throw new Error('expected table or kills');
}
