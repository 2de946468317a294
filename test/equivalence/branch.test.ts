/** A branch: a run resumed under another name, with another rate, schedule, momentum and decay. */
import '../faults/workers.js';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { checkpointsFolder, newestCheckpoint, readCheckpoint, stepsIn } from '../../src/checkpoint/store.js';
import { main } from '../../src/cli.js';
import { configHash } from '../../src/train/resume.js';
import { Screen } from '../cli/stand-ins.js';
import { fewImages } from '../data/sets.js';
import { withFault } from '../faults/fault.js';
import { losses, newest, of, trainLenet } from './resumed-runs.js';
import { DEVICES, SINGLE } from './teams.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-branch-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));
const FEW = fewImages(out);
const run = (values: Record<string, unknown>, resume = undefined as Parameters<typeof trainLenet>[3]) =>
  trainLenet(out, FEW, values, resume);

const OPTIMIZER = { learningRate: 0.1, momentum: 0.9, weightDecay: 0.001 };
const trunk = await run({ run: 'trunk', evalEvery: 2, optimizer: OPTIMIZER, ...SINGLE });
const AT_2 = join(checkpointsFolder(join(out, 'trunk')), '0000000002');
const at2 = () => ({ checkpoint: readCheckpoint(AT_2), skipped: [] });

test('a branch continues with another optimizer, which its note, log and checkpoints name', async () => {
  const optimizer = {
    learningRate: 0.01,
    momentum: 0,
    weightDecay: 0,
    schedule: { kind: 'plateau', factor: 0.1, patience: 3, least: 1e-5 },
  };
  const { config, events, notes } = await run({ run: 'lower', steps: 5, optimizer, ...SINGLE }, at2());
  const [start] = of(events, 'run_start');
  assert.deepEqual([start!.branch!.checkpoint, start!.branch!.step], [AT_2, 2]);
  const changed = Object.fromEntries(start!.branch!.changes.map(({ setting, was, now }) => [setting, [was, now]]));
  assert.deepEqual(changed['optimizer.learningRate'], ['0.1', '0.01']);
  assert.deepEqual(changed['optimizer.momentum'], ['0.9', '0']);
  assert.deepEqual(changed['optimizer.weightDecay'], ['0.001', '0']);
  assert.ok(changed['optimizer.schedule.kind']);
  assert.match(
    notes.join('\n'),
    /^branch of .*0000000002: optimizer\.learningRate changes from 0\.1 to 0\.01, .*; velocities are kept, and step 3 uses the learning rate 0\.01$/m,
  );
  const [before, now] = [losses(trunk.events), losses(events)];
  assert.equal(now[0], before[2], 'the first step begins with the same weights');
  assert.notEqual(now[1], before[3], 'and updates them otherwise');
  assert.deepEqual(
    of(events, 'train_step').map(({ learning_rate: rate }) => rate),
    [0.01, 0.01, 0.01],
  );
  const { state } = newest(join(out, 'lower')).checkpoint;
  assert.deepEqual([state.configHash, state.scheduleStart], [configHash(config), { epoch: 1, factor: 1 }]);
  assert.equal((state.best?.step ?? 0) > 2, true, 'the best of what is in its folder');
  assert.deepEqual(stepsIn(checkpointsFolder(join(out, 'trunk'))), [2, 4], 'the other run is as it was');
});

test('a branch of a run without momentum may have momentum', async () => {
  const { result } = await run({ run: 'to', steps: 6, optimizer: OPTIMIZER, ...SINGLE }, newest(join(out, 'lower')));
  assert.deepEqual([result.exitCode, result.steps], [0, 6]);
});

test('a run resumed at its end says that no step is left, and a branch then names no rate', async () => {
  const optimizer = { ...OPTIMIZER, learningRate: 0.01 };
  const { events, notes } = await run({ run: 'ended', steps: 2, optimizer, ...SINGLE }, at2());
  assert.deepEqual(losses(events), []);
  const ended =
    'no step is left to train: the checkpoint is of step 2, and the run has 2 steps; make it longer with a larger --steps or --epochs';
  assert.equal(notes.at(-1), ended);
  assert.match(
    notes.at(-2)!,
    /^branch of \S+0000000002: optimizer\.learningRate changes from 0\.1 to 0\.01; velocities are kept$/,
  );
  const again = await run({ run: 'ended', steps: 2, optimizer, ...SINGLE }, newest(join(out, 'ended')));
  assert.deepEqual(again.notes.slice(-1), [ended], 'no branch');
});

test('another optimizer under the same name is refused, before anything is written', async () => {
  await assert.rejects(
    run({ run: 'trunk', optimizer: { ...OPTIMIZER, learningRate: 0.01 } }, at2()),
    (error: Error) => {
      const text = `optimizer.learningRate is 0.1 there, and 0.01 now; leave that setting out, or continue in a new run, which may change it and keeps weights and velocities: alexnet-split train --resume ${AT_2} --run trunk-branch --out ${out} --devices ${DEVICES.join(',')} --placement split --lr 0.01 --eval-every 0`;
      return error.name === 'ConfigError' && error.message.endsWith(text);
    },
  );
});

test('an older checkpoint is refused in a folder with newer ones, and nothing changes there', async () => {
  await assert.rejects(
    run({ run: 'trunk', steps: 3, evalEvery: 2, optimizer: OPTIMIZER, ...SINGLE }, at2()),
    (error: Error) => error.message.includes(`step 4 is there too, expected the newest checkpoint`),
  );
  assert.deepEqual(stepsIn(checkpointsFolder(join(out, 'trunk'))), [2, 4]);
});

/** The command line in this process. */
async function command(...argv: string[]) {
  const [stdout, stderr] = [new Screen(), new Screen()];
  const exitCode = await main(argv, { stdout, stderr });
  return { exitCode, stdout: stdout.text, stderr: stderr.text };
}

test('the flags advised at the end of a failed training work as they are', async () => {
  const flags = `--preset lenet --batch-size 80 --lr 0.5 --steps 4 --checkpoint-every 1 --placement single --devices ${DEVICES[0]}`;
  const where = ['--out', out, '--run', 'nan', '--data', FEW];
  const failed = await withFault('nan@conv2:3', () => command('train', ...flags.split(' '), ...where));
  assert.equal(failed.exitCode, 1);
  const [, line] = /; continue with (--resume .*)\n$/.exec(failed.stderr)!;
  assert.equal(
    line,
    `--resume ${join(out, 'nan', 'checkpoints', '0000000002')} --run nan-lower --out ${out} --lr 0.05`,
  );
  const { exitCode, stdout, stderr } = await command('train', ...line!.split(' '));
  assert.deepEqual([exitCode, stderr], [0, '']);
  assert.match(stdout, /^branch of \S+0000000002: optimizer\.learningRate changes from 0\.5 to 0\.05; /m);
  assert.equal(newestCheckpoint(checkpointsFolder(join(out, 'nan-lower'))).found!.state.step, 4);
});
