/** `ablate` with real trainings. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import type { Ablation } from '../../src/cli/ablation.js';
import type { TrainModule } from '../../src/cli/services.js';
import { main } from '../../src/cli.js';
import type { LogEvent } from '../../src/log.js';
import { Screen, threeSteps } from '../cli/stand-ins.js';
import { lenetFlags } from '../data/sets.js';
import { DEVICES } from './teams.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-ablate-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const LENET = lenetFlags(folder);

test('ablate prints its table, and each variant is a run that can be evaluated', async () => {
  const [stdout, stderr] = [new Screen(), new Screen()];
  const small = ['--preset', 'mini', '--width', '0.05', '--steps', '3', '--batch-size', '8', '--quiet', '--no-check'];
  // The trainings measure these, and put the numbers into their config.json.
  const measured = ['--mean', 'data', '--scale', 'data'];
  const argv = [
    'ablate',
    ...small,
    ...measured,
    '--data',
    LENET.at(-1)!,
    '--devices',
    DEVICES.join(','),
    '--out',
    folder,
    '--run',
    'a',
  ];
  const exitCode = await main([...argv, '--variants', 'one-gpu,columns'], { stdout, stderr });
  assert.deepEqual([exitCode, stderr.text], [0, '']);
  assert.match(stdout.text, /^variant +changed +towers +parameters +top-1 error +points +training error +points$/m);
  for (const [name, towers] of Object.entries({ 'one-gpu': 1, columns: 2 })) {
    const row = new RegExp(`^${name} .* ${towers} +[\\d,]+ +[\\d.]+ % +[+-][\\d.]+ +[\\d.]+ % +[+-][\\d.]+$`, 'm');
    assert.match(stdout.text, row);
  }
  const errorsBy = async (...flags: string[]) => {
    const evaluated = new Screen();
    const where = ['--out', join(folder, 'a'), '--run', 'one-gpu-seed1', ...flags];
    assert.equal(await main(['eval', ...where], { stdout: evaluated, stderr }), 0);
    return /top-1 ([\d.]+) .*, ([\d,]+ \w+ images)/.exec(evaluated.text.replace('(', ', '))!.slice(1);
  };
  const percent = (top1: string) => `${((1 - Number(top1)) * 100).toFixed(2)} %`;
  const [test1, tested] = await errorsBy();
  const [train1, trained] = await errorsBy('--on', 'train');
  assert.match(stdout.text, new RegExp(`^one-gpu .* ${percent(test1!)} .* ${percent(train1!)} `, 'm'));
  assert.deepEqual([tested!.split(' ')[1], trained!.split(' ')[1]], ['test', 'training']);
  assert.ok(stdout.text.includes(`the finished net on ${trained!.replace(' images', '')} images`), trained);
});

test('ablate continues with an interrupted variant, and gets the same result', async () => {
  const argv = ['ablate', ...LENET, '--steps', '4', '--checkpoint-every', '1', '--no-check'];
  const where = ['--placement', 'single', '--devices', DEVICES[0], '--variants', 'tanh', '--out', folder, '--json'];
  const started: [run: string, resumed: number | undefined][] = [];
  /** Stops the first training after its second step. */
  const stopping = (isOn: boolean) => async (): Promise<TrainModule> => {
    const module = await import('../../src/train/index.js');
    const train: TrainModule['train'] = (config, ui) => {
      const controller = new AbortController();
      started.push([config.run, ui.resume?.checkpoint.state.step]);
      if (config.run === 'tanh-seed1') return threeSteps(config, ui); // the other one is what this is about
      const report = (event: LogEvent) => {
        ui.report(event);
        if (isOn && event.event === 'train_step' && event.step === 2) controller.abort('SIGTERM');
      };
      return module.train(config, { ...ui, report, signal: controller.signal });
    };
    return { ...module, train };
  };
  const ablate = async (name: string, isStopped: boolean) => {
    const [stdout, stderr] = [new Screen(), new Screen()];
    const services = { stdout, stderr, loadTrain: stopping(isStopped) };
    const exitCode = await main([...argv, ...where, '--run', name], services);
    const { rows } = JSON.parse(stdout.text) as Ablation;
    return { exitCode, rows, said: stderr.text };
  };
  const whole = await ablate('whole', false);
  const stopped = await ablate('stopped', true);
  assert.deepEqual([stopped.exitCode, stopped.rows.map(({ result }) => result?.status)], [143, ['stopped', undefined]]);
  const again = await ablate('stopped', false);
  assert.deepEqual(started.slice(2), [
    ['baseline-seed1', undefined],
    ['baseline-seed1', 2],
    ['tanh-seed1', undefined],
  ]);
  assert.match(again.said, /^resuming after step 2 from .*baseline-seed1.checkpoints.0000000002$/m);
  const results = ({ rows }: typeof whole) => rows.map(({ run, result }) => ({ run, ...result, seconds: 0 }));
  assert.deepEqual(results(again), results(whole));
  assert.deepEqual(fs.readdirSync(join(folder, 'stopped')).sort(), [
    ...['ablation.json', 'ablation.md', 'baseline-seed1', 'tanh-seed1'],
  ]);
});
