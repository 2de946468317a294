import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import type { Replaced, TrainModule } from '../../src/cli/services.js';
import type { Config } from '../../src/config/config.js';
import { PRESET_NAMES } from '../../src/config/schema.js';
import { DEVICES, run, trainModule } from './stand-ins.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-print-config-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'settings.json');

/** The settings with which a command would train. */
async function trainedWith(argv: readonly string[]): Promise<Config> {
  const configs: Config[] = [];
  const train: TrainModule['train'] = async (config) => {
    configs.push(config);
    return { exitCode: 0, top1: 0, steps: 0 };
  };
  const { exitCode, stderr } = await run(['train', ...argv], { loadTrain: trainModule({ train }) });
  assert.equal(exitCode, 0, stderr.text);
  return configs[0]!;
}

/** Prints the settings, and keeps them in the file. Nothing may train. */
async function print(argv: readonly string[], replaced: Replaced = {}): Promise<Record<string, unknown>> {
  const { exitCode, stdout, stderr } = await run([...argv, '--print-config'], {
    loadTrain: trainModule({}),
    ...replaced,
  });
  assert.equal(exitCode, 0, stderr.text);
  fs.writeFileSync(file, stdout.text);
  return JSON.parse(stdout.text);
}

test('train --print-config prints what --config reads: the same settings, for every preset', async () => {
  for (const preset of PRESET_NAMES) {
    const asked = ['--preset', preset, '--data', folder, '--seed', '9'];
    const printed = await print(['train', ...asked]);
    assert.equal('run' in printed, false, 'a name made of the time is of one run');
    const again = await run(['train', '--config', file, '--print-config']);
    assert.deepEqual(JSON.parse(again.stdout.text), printed, preset);
    assert.deepEqual(again.stderr.lines, [`preset ${preset}`], 'no notes about the settings of the preset itself');
    assert.deepEqual(await trainedWith(['--config', file]), await trainedWith(asked));
  }
});

test('train --print-config keeps a name that was chosen, and adds what the machine decides', async () => {
  const gpus = ['GPU:0', 'GPU:1'].map((name) => ({ ...DEVICES[0]!, name, type: 'GPU' }));
  const listDevices = async () => [...DEVICES, ...gpus];
  const { run: name, preset, devices } = await print(['train', '--run', 'mine'], { listDevices });
  assert.deepEqual([name, preset, devices], ['mine', 'fashion', ['GPU:0', 'GPU:1']]);
});

test('--print-config prints settings without images, and refuses others as a training does', async () => {
  assert.deepEqual((await print(['train', '--preset', 'imagenet'])).data, {
    ...((await print(['train', '--preset', 'imagenet', '--data', 'x'])).data as object),
    source: '',
  });
  const refused = await run(['train', '--print-config', '--lr', '-1']);
  const trained = await run(['train', '--lr', '-1']);
  assert.deepEqual([refused.exitCode, refused.stdout.text, refused.stderr.text], [2, '', trained.stderr.text]);
});

test('train --print-config --resume prints the settings of the checkpoint, and makes nothing', async () => {
  const { exitCode, stderr } = await run(['train', '--print-config', '--resume', folder]);
  assert.deepEqual([exitCode, stderr.lines.length], [2, 1]);
  assert.match(stderr.text, /^error: Cannot resume from /);
});

test('ablate and verify --print-config print their settings, and run nothing', async () => {
  const { preset, placement } = await print(['ablate', '--preset', 'fashion', '--data', folder]);
  assert.deepEqual([preset, placement], ['fashion', 'split']);
  fs.writeFileSync(file, '{"placement": "single"}');
  assert.equal((await print(['verify', '--config', file])).placement, 'split');
});
