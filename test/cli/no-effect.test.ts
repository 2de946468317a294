/** Options that do nothing, as each command answers them. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import type { TrainModule } from '../../src/cli/services.js';
import { TOLERANCES } from '../../src/train/verify.js';
import { folderOf } from '../data/sets.js';
import { run, Screen, trainModule } from './stand-ins.js';
import { lenetRun } from './weights-runs.js';

test('a flag without effect is refused in one sentence with exit code 2', async () => {
  const single = 'with --placement single: one device has nothing to exchange; leave it out';
  const cases: [argv: string[], message: string][] = [
    [
      ['train', '--placement', 'single', '--devices', 'CPU:0,CPU:1'],
      'Cannot use --devices: it has no effect beyond CPU:0 with --placement single: the whole net is on one device; leave it out',
    ],
    [['train', '--placement', 'single', '--exchange', 'device'], `Cannot use --exchange: it has no effect ${single}`],
    [
      ['train', '--exchange', 'device', '--exchange-checksum'],
      'Cannot use --exchange-checksum: it has no effect with --exchange device, which sends no messages; leave it out',
    ],
    [['ablate', '--placement', 'single', '--exchange', 'device'], `Cannot use --exchange: it has no effect ${single}`],
    [['train', '--quiet', '--log-every', '5'], "option '--log-every <steps>' cannot be used with option '--quiet'"],
    [['train', '--json', '--log-every', '5'], "option '--log-every <steps>' cannot be used with option '--json'"],
    [
      ['verify', '--golden', 'g.json', '--seed', '5'],
      "option '--golden <file>' cannot be used with option '--seed <n>'",
    ],
    [
      ['verify', '--golden', 'g.json', '--steps', '5'],
      "option '--golden <file>' cannot be used with option '--steps <steps>'",
    ],
    [
      ['data', 'prepare', 'd', '--shard-size', '5'],
      'Cannot use --shard-size: it has no effect without --pack; leave it out, or add --pack',
    ],
  ];
  for (const [argv, message] of cases) {
    const { exitCode, stdout, stderr } = await run(argv, { loadTrain: trainModule({}) });
    assert.deepEqual([exitCode, stdout.text, stderr.text], [2, '', `error: ${message}\n`]);
  }
});

test('verify --golden accepts the flags that it uses', async () => {
  const verifyGolden: TrainModule['verifyGolden'] = async () => ({ passed: true, rows: [] });
  const flags = ['--devices', 'CPU:0,CPU:0', '--exchange', 'msgpack', '--exchange-checksum', '--compile', 'off'];
  const argv = ['verify', '--golden', 'g.json', ...flags, '--convolutions', 'direct'];
  assert.equal((await run(argv, { loadTrain: trainModule({ verifyGolden }) })).exitCode, 0);
});

test('a setting without effect in a config file gets a note', async (t) => {
  const out = folderOf(t, {});
  const file = join(out, 'two.json');
  fs.writeFileSync(file, JSON.stringify({ devices: ['CPU:0', 'CPU:1'], exchange: { checksum: true } }));
  const single = await run(['train', '--config', file, '--placement', 'single', '--out', out, '--run', 's']);
  assert.deepEqual([single.exitCode, single.stderr.text], [0, '']);
  const said = single.stdout.lines.filter((line) => line.includes('has no effect'));
  assert.deepEqual(said, [
    `devices in ${file} has no effect beyond CPU:0 with --placement single: the whole net is on one device`,
    `exchange.checksum in ${file} has no effect with --placement single: one device has nothing to exchange`,
  ]);
  const split = await run(['train', '--config', file, '--out', out, '--run', 't']);
  assert.doesNotMatch(split.stdout.text, /has no effect/);
  fs.writeFileSync(file, JSON.stringify({ placement: 'single' }));
  const verify: TrainModule['verify'] = async () => ({ passed: true, tolerances: TOLERANCES, losses: [], rows: [] });
  const compared = await run(['verify', '--config', file], { loadTrain: trainModule({ verify }) });
  assert.match(compared.stdout.text, /^placement in .*two\.json has no effect: verify compares the split with/m);
});

test('--log-every gets a note on a terminal', async (t) => {
  const out = folderOf(t, {});
  for (const command of ['train', 'ablate']) {
    for (const isTTY of [true, false]) {
      const only = command === 'ablate' ? ['--variants', 'no-norm'] : [];
      const argv = [command, '--out', out, '--log-every', '5', '--run', `${command}-${isTTY}`, ...only];
      const screen = new Screen(isTTY);
      await run(argv, { stdout: screen });
      assert.equal(
        /^--log-every has no effect on a terminal, where the view shows every step/m.test(screen.text),
        isTTY,
        command,
      );
    }
  }
});

test('summary prints the note on stderr', async () => {
  const { exitCode, stderr } = await run(['summary', '--net', 'lenet', '--no-norm']);
  assert.deepEqual(
    [exitCode, stderr.text],
    [0, '--no-norm has no effect with the net lenet, which has no such layer\n'],
  );
});

test('--out beside the path of a run gets a note', async (t) => {
  const folder = await lenetRun(folderOf(t, {}), 'r');
  const evaluateRun: TrainModule['evaluateRun'] = async () => ({ images: 1, loss: 0, top1: 0, top5: 0 });
  const predictFiles: TrainModule['predictFiles'] = async () => [];
  for (const argv of [['eval'], ['predict', 'a.jpg']]) {
    const loadTrain = trainModule({ evaluateRun, predictFiles });
    const { exitCode, stderr } = await run([...argv, '--run', folder, '--out', 'runs'], { loadTrain });
    assert.deepEqual([exitCode, stderr.text], [0, `--out has no effect with --run ${folder}, which is a path\n`]);
  }
});
