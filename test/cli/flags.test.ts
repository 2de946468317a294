/** Each flag of a setting sets it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { FLAGS } from '../../src/config/flags.js';
import { valueAt } from '../../src/config/layers.js';
import { PRESETS } from '../../src/config/presets.js';
import { run, trainModule } from './stand-ins.js';

const TWO = ['--replicas', '2', '--devices', 'CPU:0,CPU:0,CPU:1,CPU:1'];
/** Switches: the value of their setting where it is not true or false, and flags without which it could not have it. */
const SWITCHES: Record<string, [value: unknown, ...others: string[]]> = {
  '--linear-scaling': [2, ...TWO],
  '--synthetic': ['synthetic'],
  '--new-head': [true, '--weights', 'runs/other'],
  '--upright': [true, '--data', '/images'],
  '--no-upright': [undefined, '--preset', 'photos', '--data', '/images'],
};
/** What is typed after a flag, the value that the setting then has, and flags without which it could not have it. */
const TYPED: Record<string, [text: string, value: unknown, ...others: string[]]> = {
  '--preset': ['lenet', 'lenet', '--placement', 'single'],
  '--devices': ['/device:cpu:1,CPU:0', ['CPU:1', 'CPU:0']],
  '--servers': ['10.0.0.2:2222,10.0.0.3:2222', ['10.0.0.2:2222', '10.0.0.3:2222']],
  '--wait-for-servers': ['10m', '10m', '--servers', '10.0.0.2:2222'],
  '--coordinator': ['10.0.0.1:2300', '10.0.0.1:2300'],
  '--placement': ['single', 'single'],
  '--run': ['mine', 'mine'],
  '--out': ['elsewhere', 'elsewhere'],
  '--replicas': ['3', 3, '--devices', 'CPU:0,CPU:0,CPU:0,CPU:1,CPU:1,CPU:1'],
  '--average': ['collective', 'collective', '--replicas', '2', '--devices', 'CPU:0,CPU:0,CPU:1,CPU:1'],
  '--compile': ['off', 'off'],
  '--convolutions': ['direct', 'direct'],
  '--net': ['paper', 'paper'],
  '--width': ['.5', 0.5],
  '--input-size': ['96', 96],
  '--classes': ['7', 7],
  '--activation': ['tanh', 'tanh'],
  '--data': ['/images', '/images'],
  '--limit': ['500', 500],
  '--val-share': ['0.2', 0.2, '--data', '/images'],
  '--resize': ['80', 80],
  '--mean': ['121.3,113,104', [121.3, 113, 104]],
  '--scale': ['data', 'data'],
  '--on-bad-image': ['skip', 'skip', '--data', '/images'],
  '--workers': ['3', 3],
  '--shuffle': ['window', 'window'],
  '--shuffle-window': ['512', 512, '--shuffle', 'window'],
  '--crop-group': ['8', 8],
  '--brightness': ['0.25', 0.25],
  '--contrast': ['0.25', 0.25],
  '--saturation': ['0.25', 0.25],
  '--colour-noise': ['0.05', 0.05],
  '--steps': ['12', 12],
  '--epochs': ['9', 9],
  '--batch-size': ['32', 32],
  '--lr': ['5e-3', 0.005],
  '--schedule': ['one-cycle:.2', { kind: 'one-cycle', rise: 0.2, divide: 25, finalDivide: 10_000 }],
  '--warmup-epochs': ['0.5', 0.5],
  '--momentum': ['0.8', 0.8],
  '--weight-decay': ['0', 0],
  '--head-rate': ['10', 10],
  '--freeze': ['conv1-conv2,fc6', ['conv1', 'conv2', 'fc6']],
  '--seed': ['7', 7],
  '--weights': ['runs/other', 'runs/other'],
  '--eval-every': ['50', 50],
  '--checkpoint-every': ['5m', '5m'],
  '--keep': ['4', 4],
  '--exchange': ['device', 'device'],
  '--exchange-dtype': ['float16', 'float16'],
  '--log-every': ['3', 3],
  '--log-steps': ['20', 20],
  '--metrics-port': ['0', 0],
  '--trace-steps': ['100-102', '100-102'],
};

test('each flag of a setting sets it, and nothing else has its value by default', async () => {
  for (const { name, kind, path, value } of FLAGS) {
    const typed = TYPED[name];
    assert.ok(typed || value === undefined, `${name}: there is no value for it in this test`);
    const [text, expected, ...others] = typed ?? [undefined, ...(SWITCHES[name] ?? [kind === 'on'])];
    const argv = ['train', '--print-config', name, ...(text === undefined ? [] : [text]), ...others];
    const { exitCode, stdout, stderr } = await run(argv, { loadTrain: trainModule({}) });
    assert.equal(exitCode, 0, stderr.text);
    assert.deepEqual(valueAt(JSON.parse(stdout.text), path.split('.')), expected, name);
    const byDefault = valueAt(PRESETS.mini, path.split('.'));
    if (typed) assert.notDeepEqual(byDefault, expected, `${name}: mini has the value anyway`);
  }
});
