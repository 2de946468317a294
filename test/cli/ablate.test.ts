/** `ablate`, with a stand-in for the training. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Ablation } from '../../src/cli/ablation.js';
import { lockNow } from '../../src/cli/run-lock.js';
import type { TrainModule } from '../../src/cli/services.js';
import type { Config } from '../../src/config/config.js';
import { CheckpointError } from '../../src/errors.js';
import { putCheckpoint } from '../checkpoint/put-checkpoint.js';
import { EVAL, RUN_END, RUN_START, trainStep } from '../events.js';
import { type Outcome, run, SCORES, trainModule } from './stand-ins.js';

const base = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-ablate-'));
after(() => fs.rmSync(base, { recursive: true, force: true }));
let folders = 0;
const newOut = () => fs.mkdtempSync(join(base, `${folders++}-`));

const GENERATED = 'ablate-mini-20260203-040506';

/** Accuracies by the run's name, or by the variant; trains three steps. `seen` gets the configs. */
function training(accuracies: Record<string, number>, seen: Config[] = []): TrainModule['train'] {
  return async (asked, { report, begin }) => {
    const config = begin?.(asked) ?? asked;
    seen.push(config);
    const top1 = accuracies[config.run] ?? accuracies[config.run.replace(/-seed.*$/, '')] ?? 0.5;
    report({ ...RUN_START, run: config.run, config, placement: config.placement });
    for (const step of [1, 2, 3]) report(trainStep(step));
    report({ ...EVAL, top1, top5: 0.9 });
    report(RUN_END);
    return { exitCode: 0, top1, steps: 3 };
  };
}

/** The training module of these trainings; every training error is 10 %. */
function moduleOf(train: TrainModule['train'], evaluateRun: TrainModule['evaluateRun'] = async () => SCORES) {
  return trainModule({ train, evaluateRun });
}

function ablate(
  out: string,
  argv: readonly string[],
  train: TrainModule['train'],
  evaluateRun?: TrainModule['evaluateRun'],
): Promise<Outcome> {
  return run(['ablate', '--out', out, '--run', 'a', '--quiet', ...argv], { loadTrain: moduleOf(train, evaluateRun) });
}

const pageOf = (out: string) => fs.readFileSync(join(out, 'a', 'ablation.md'), 'utf8');
const jsonOf = (out: string) => JSON.parse(fs.readFileSync(join(out, 'a', 'ablation.json'), 'utf8')) as Ablation;

test('ablate trains each variant as a run of its own, and compares them with the baseline in a table', async () => {
  const out = newOut();
  const seen: Config[] = [];
  const train = training({ baseline: 0.8, 'no-norm': 0.75, columns: 0.9 }, seen);
  const { exitCode, stdout, stderr } = await ablate(out, ['--variants', 'no-norm,columns', '--seed', '3'], train);
  assert.deepEqual([exitCode, stderr.text], [0, '']);
  assert.deepEqual(
    seen.map((config) => [config.run, config.seed, config.net.norm, config.net.table]),
    [
      ['baseline-seed3', 3, undefined, 'original'],
      ['no-norm-seed3', 3, false, 'original'],
      ['columns-seed3', 3, undefined, 'columns'],
    ],
  );
  const lines = stdout.lines.map((line) => line.replace(/ {2,}/g, '  '));
  assert.ok(lines.includes('baseline  nothing  2  30  20.00 %  10.00 %'), stdout.text);
  assert.ok(lines.includes('no-norm  no response normalization  2  30  25.00 %  +5.00  10.00 %  +0.00'));
  assert.ok(lines.includes('columns  columns meet in the last layer alone  2  30  10.00 %  -10.00  10.00 %  +0.00'));
  assert.match(stdout.text, /^One seed proves nothing: /m);
  assert.doesNotMatch(stdout.text, /verdict|worse|better|no difference/);
  for (const name of ['baseline', 'no-norm', 'columns']) {
    assert.deepEqual(fs.readdirSync(join(out, 'a', `${name}-seed3`)).sort(), ['config.json', 'log.ndjson']);
  }
  const row = '| no-norm | no response normalization | 2 | 30 | 25.00 % | +5.00 | 10.00 % | +0.00 |';
  assert.ok(pageOf(out).split('\n').includes(row), pageOf(out));
  assert.match(
    pageOf(out),
    /Preset mini: net original at 0\.25 of its width, 67 pixels, data embedded; 6 epochs of 64/,
  );
  assert.equal(jsonOf(out).rows[2]!.result!.top1Error, 1 - 0.9);
});

test('ablate --seeds compares each variant with the baseline of the same seed, and says what the pairs show', async () => {
  const out = newOut();
  const seen: Config[] = [];
  const accuracies = {
    ...{ 'baseline-seed1': 0.8, 'baseline-seed2': 0.7, 'baseline-seed3': 0.9 },
    ...{ 'no-norm-seed1': 0.75, 'no-norm-seed2': 0.65, 'no-norm-seed3': 0.84 },
    ...{ 'columns-seed1': 0.82, 'columns-seed2': 0.68, 'columns-seed3': 0.9 },
    ...{ 'tanh-seed1': 0.9, 'tanh-seed2': 0.8, 'tanh-seed3': 0.99, sigmoid: 0.1 },
  };
  const argv = ['--variants', 'columns,no-norm,tanh,sigmoid', '--seeds', '3'];
  const { exitCode, stdout } = await ablate(out, argv, training(accuracies, seen));
  assert.equal(exitCode, 0);
  assert.deepEqual(
    seen.slice(4, 7).map((config) => [config.run, config.seed, config.check, config.evalEvery]),
    [
      ['tanh-seed1', 1, true, 1_000_000_000],
      ['baseline-seed2', 2, false, 1_000_000_000],
      ['no-norm-seed2', 2, false, 1_000_000_000],
    ],
    'all variants of a seed, then of the next; a check and an evaluation no oftener than needed',
  );
  const lines = stdout.lines.map((line) => line.replace(/ {2,}/g, '  '));
  const start = (name: string) => lines.find((line) => line.startsWith(`${name}  `));
  assert.equal(start('baseline'), 'baseline  nothing  2  30  3  20.00 %');
  assert.match(start('no-norm')!, / {2}3 {2}25\.33 % {2}\+5\.33 {2}\+3\.90 to \+6\.77 {2}worse$/);
  assert.match(start('columns')!, / {2}20\.00 % {2}\+0\.00 {2}-4\.97 to \+4\.97 {2}no difference seen$/);
  assert.match(start('tanh')!, / {2}-9\.67 {2}-11\.10 to -8\.23 {2}better$/);
  assert.match(start('sigmoid')!, / {2}90\.00 % {2}\+70\.00 .* worse$/);
  assert.match(
    stdout.text,
    /deviation of about 1\.54 points between seeds \(median of the variants\)\. So 3 seeds show .*; 1 point takes about \d+ seeds/,
  );
  assert.match(stdout.text, /tested on the same 1,000 images\. The interval does not cover/);
  assert.equal(stdout.lines.at(-1), `ablation of seeds 1, 2, 3 in ${join(out, 'a')}/ablation.md`);
  assert.match(pageOf(out), /^\| tanh \| 2 \| tanh-seed2 \| 20\.00 % \| 10\.00 % \|$/m);
  const { version, statistics } = jsonOf(out);
  assert.equal(version, 2);
  assert.deepEqual(
    statistics.variants.map(({ variant, seeds, measures }) => [
      variant,
      seeds.length,
      measures.top1Error?.difference?.verdict,
    ]),
    [
      ['baseline', 3, undefined],
      ['no-norm', 3, 'worse'],
      ['columns', 3, 'no difference seen'],
      ['sigmoid', 3, 'worse'],
      ['tanh', 3, 'better'],
    ],
  );

  // More seeds of one variant: the others keep what they have.
  const more: Config[] = [];
  const added = await ablate(out, ['--variants', 'no-norm', '--seeds', '2-4'], training({ baseline: 0.8 }, more));
  assert.deepEqual(
    more.map((config) => config.run),
    ['baseline-seed4', 'no-norm-seed4'],
  );
  assert.match(added.stdout.text, /^no-norm .* 4 +31\.50 %/m);
  assert.match(added.stdout.text, /^tanh .* 3 +10\.33 % .* better$/m);
  // Without --seeds, those that it has.
  await ablate(out, ['--variants', 'no-dropout'], training({}, more));
  assert.deepEqual(
    more.slice(2).map(({ seed }) => seed),
    [1, 2, 3, 4],
  );
});

test('ablate --set gives a variant its own settings, also one of a new name, and keeps them', async () => {
  const out = newOut();
  const seen: Config[] = [];
  const set = ['--set', 'tanh.lr=0.005', '--set', 'slow.optimizer.learningRate=0.001'];
  assert.equal((await ablate(out, ['--variants', 'tanh,slow', ...set], training({}, seen))).exitCode, 0);
  assert.deepEqual(
    seen.map(({ net, optimizer: { learningRate, momentum } }) => [net.activation, learningRate, momentum]),
    [
      [undefined, 0.02, 0.9],
      ['tanh', 0.005, 0.9],
      [undefined, 0.001, 0.9],
    ],
  );
  assert.deepEqual(
    jsonOf(out).variants.map(({ name, change }) => `${name}: ${change}`),
    ['baseline: nothing', 'tanh: tanh everywhere, lr 0.005', 'slow: optimizer.learningRate 0.001'],
  );
  await ablate(out, ['--variants', 'tanh,slow', '--seeds', '2'], training({}, seen));
  assert.deepEqual(
    seen.slice(3).map(({ run: name, optimizer }) => [name, optimizer.learningRate]),
    [
      ['baseline-seed2', 0.02],
      ['tanh-seed2', 0.005],
      ['slow-seed2', 0.001],
    ],
  );
  const refused: [argv: string[], message: RegExp][] = [
    [
      ['--variants', 'tanh', '--set', 'tanh.lr=1'],
      /its ablation trained tanh with other settings \(tanh everywhere, lr 0.005\)/,
    ],
    [['--variants', 'no-norm', '--set', 'tanh.lr=1'], /^error: Cannot use --set tanh\.lr: no variant of that name is/],
    [
      ['--set', 'baseline.lr=1'],
      /^error: Cannot use --set baseline\.lr: the baseline has the settings of all; use a flag/,
    ],
    [['--set', 'tanh.seed=2'], /^error: Cannot use --set tanh\.seed: all variants have the same seed; use a flag/],
    [['--set', 'tanh.data=x'], /^error: Cannot use --set tanh\.data: all variants have the same data; use a flag/],
    [['--set', 'tanh.data.valShare=0.5'], /^error: Cannot use --set tanh\.data\.valShare: all variants have the same/],
    [['--set', 'tanh'], /^error: --set is "tanh", expected VARIANT\.SETTING=VALUE, such as /],
    [
      ['--variants', 'no-norm', '--set', 'no-norm.lr=-1'],
      /^error: optimizer\.learningRate in the variant no-norm is -1, /,
    ],
    [['--variants', 'wide'], /expected names among .*, or one of your own with its settings, such as --set wide\.lr=/],
    [['--variants', '../x', '--set', '../x.lr=1'], /^error: --(set|variants) /],
    [['--seeds', '0'], /^error: --seeds is "0", expected a number of seeds from 1 to 1000, or a list such as/],
    [['--seeds', '3-1'], /^error: --seeds is "3-1", expected/],
    [
      ['--seeds', '2', '--seed', '4294967295'],
      /^error: Cannot use the seed 4294967296: expected seeds up to 4294967295/,
    ],
  ];
  for (const [argv, message] of refused) {
    const { exitCode, stderr } = await ablate(out, argv, training({}));
    assert.match(stderr.text, message);
    assert.equal(exitCode, 2, stderr.text);
  }
});

test('ablate measures the training error of each finished training, once, and compares it too', async () => {
  const out = newOut();
  const asked: string[] = [];
  const errors = {
    ...{ 'baseline-seed1': 0.1, 'baseline-seed2': 0.12 },
    ...{ 'tanh-seed1': 0.05, 'tanh-seed2': 0.071 },
  };
  const evaluateRun: TrainModule['evaluateRun'] = async ({ run: name }, folder, options) => {
    asked.push(`${name} ${options?.on}`);
    if (name === 'tanh-seed2' && asked.length < 5) throw new CheckpointError('Cannot find the weights', folder);
    return { ...SCORES, images: 500, top1: 1 - errors[name as keyof typeof errors] };
  };
  const argv = ['--variants', 'tanh', '--seeds', '2'];
  const first = await ablate(out, argv, training({}), evaluateRun);
  assert.equal(first.exitCode, 0);
  assert.match(
    first.stderr.text,
    /^warning: the training error of tanh-seed2 is not known: Cannot find the weights\n$/,
  );
  assert.match(first.stdout.text, /^tanh +2 +5\.00 % +-5\.00 +one seed$/m);
  const { stdout } = await ablate(out, argv, training({}), evaluateRun);
  assert.deepEqual(
    asked,
    ['baseline-seed1', 'tanh-seed1', 'baseline-seed2', 'tanh-seed2', 'tanh-seed2'].map((name) => `${name} train`),
  );
  assert.match(stdout.text, /^variant +seeds +training error +points +95 % interval +verdict$/m);
  assert.match(stdout.text, /^tanh +2 +6\.05 % +-4\.95 +-6\.75 to -3\.15 +better$/m);
  assert.match(stdout.text, /on 500 training images, the same for all, without augmentation/);
  const limited = await ablate(newOut(), [...argv, '--limit', '1000'], training({}), evaluateRun);
  assert.match(limited.stdout.text, /on 500 training images, the same for all variants of a seed, without/);
  assert.match(stdout.text, /finished net on 500 training images, the same for all, without augmentation and dropout/);
  const { trainTop1Error, trainImages } = jsonOf(out).rows[1]!.result!;
  assert.deepEqual([trainTop1Error!.toFixed(3), trainImages], ['0.050', 500]);
});

test('ablate --until-error compares the epochs to a training error, also of finished trainings, from their logs', async () => {
  const out = newOut();
  // Four images a step and three steps an epoch; 12 training images make the mean, so three steps.
  const steps: Record<string, number[]> = {
    ...{ 'baseline-seed1': [0.5, 0.5, 0.5, 0.9, 0.9, 0.9], 'baseline-seed2': [0.8, 0.8, 0.8, 0.8, 0.8, 0.8] },
    ...{ 'tanh-seed1': [0.5, 0.5, 0.5, 0.5, 0.5, 0.5], 'tanh-seed2': [0.8, 0.8, 0.1, 0.1, 0.8, 0.8] },
    ...{ 'no-norm-seed1': [0.1, 0.1, 0.1, 0.9, 0.9, 0.9], 'no-norm-seed2': [0.1, 0.8, 0.8, 0.8, 0.8, 0.8] },
  };
  const train: TrainModule['train'] = async (asked, { report, begin }) => {
    const { run: name } = begin?.(asked) ?? asked;
    const dataset = { ...RUN_START.dataset, train_images: 12 };
    report({ ...RUN_START, run: name, dataset });
    for (const [i, top1] of steps[name]!.entries()) report(trainStep(i + 1, { top1 }));
    report({ ...EVAL, step: 6 });
    report({ ...RUN_END, steps: 6 });
    return { exitCode: 0, top1: 0.5, steps: 6 };
  };
  await ablate(out, ['--variants', 'tanh', '--seeds', '2', '--steps', '6'], train);
  assert.equal(jsonOf(out).statistics.until, null);
  const again = ['--variants', 'tanh,no-norm', '--seeds', '2', '--steps', '6', '--until-error', '0.3'];
  const { stdout, stderr } = await ablate(out, again, train);
  assert.equal(stderr.text, '');
  assert.match(stdout.text, /^variant +seeds +epochs to 30 % training error +ratio +95 % interval +verdict$/m);
  // 5 steps (0.5, 0.9, 0.9) and 3; geometric mean of 5/3 and 1 epochs.
  assert.match(stdout.text, /^baseline +2 +1\.29$/m);
  // 6 steps and 4: ratios 6/5 and 4/3. A step more or less is a third of 3 steps, so the interval is wide.
  assert.match(stdout.text, /^no-norm +2 +1\.63 +1\.26 +0\.10 to 16\.77 +no difference seen$/m);
  assert.match(stdout.text, /^tanh +2 +not within 6 steps$/m);
  const { untilError, rows } = jsonOf(out);
  assert.equal(untilError, 0.3);
  assert.deepEqual(rows[0]!.result!.until, { error: 0.3, epochs: 5 / 3, stepEpochs: 1 / 3 });
  const wrong = await ablate(out, ['--until-error', '30'], train);
  assert.deepEqual([wrong.exitCode, /^error: --until-error is 30, expected/.test(wrong.stderr.text)], [2, true]);
});

test('ablate says how many trainings there are, how long the rest takes, and what seeds can show', async () => {
  const { stdout } = await ablate(newOut(), ['--variants', 'tanh', '--seeds', '3'], training({ 'tanh-seed2': 0.6 }));
  assert.match(
    stdout.text,
    /^6 trainings: the baseline and 1 variant, 3 seeds each; how long they take is known after/m,
  );
  assert.match(
    stdout.text,
    /^3 seeds show differences from 3\.3 points if their standard deviation between seeds is 1 point, which is assumed; after/m,
  );
  assert.match(stdout.text, /^about \S+ s left, for 5 trainings$/m);
  assert.equal(
    stdout.text.match(/^Differences have a standard deviation of/gm)?.length,
    2,
    'after seed 2, and at the end',
  );
});

test('ablate takes the whole Fashion-MNIST if it is there, unless the user chose, and keeps to what it began with', async () => {
  const out = newOut();
  const seen: Config[] = [];
  const go = (argv: readonly string[], found: boolean) =>
    run(['ablate', '--out', out, '--quiet', '--variants', 'tanh', ...argv], {
      loadTrain: moduleOf(training({}, seen)),
      hasFashionMnist: async () => found,
    });
  const sample = await go(['--run', 'a'], false);
  assert.match(
    sample.stdout.text,
    /^data embedded: with its 1,000 test images alone, .* `alexnet-split data fetch fashion-mnist`/m,
  );
  const whole = await go(['--run', 'b'], true);
  assert.match(
    whole.stdout.text,
    /^data fashion-mnist: 10,000 test images, instead of the 1,000 of the sample; --data emb/m,
  );
  const chosen = await go(['--run', 'c', '--data', 'embedded'], true);
  assert.doesNotMatch(chosen.stdout.text, /^data /m);
  assert.equal((await go(['--run', 'a', '--seeds', '1-2'], true)).exitCode, 0);
  assert.match(sample.stdout.text, /^All variants are tested on the same 1,000 images\./m);
  assert.deepEqual(
    seen.map(({ data }) => data.source),
    ['embedded', 'embedded', 'fashion-mnist', 'fashion-mnist', ...Array<string>(4).fill('embedded')],
  );
});

test('ablate --speed measures the variants in turn with the baseline, and keeps the rounds', async () => {
  const out = newOut();
  const compared: string[] = [];
  const go = (...argv: string[]) =>
    run(['ablate', '--out', out, '--run', 'a', '--quiet', '--variants', 'tanh,one-gpu,columns', ...argv], {
      loadTrain: trainModule({
        train: training({}),
        evaluateRun: async () => SCORES,
        compareSpeeds: async (baseline, changed) => {
          compared.push(`${baseline.run} ${changed.run} ${changed.placement}`);
          if (changed.run.startsWith('columns')) throw new CheckpointError('Cannot run the op', 'f');
          const of = (...ms: number[]) => ({ baseline: [2, 4, 2], changed: ms });
          // In each process the rounds agree well; of one-gpu, the processes do not.
          return changed.run.startsWith('tanh')
            ? [of(1, 2, 1), of(1.1, 2.2, 1.1), of(1, 2, 1.1)]
            : [of(2, 4, 2), of(2.2, 4.4, 2.2), of(1.8, 3.6, 1.8)];
        },
      }),
    });
  const { exitCode, stdout, stderr } = await go('--speed');
  assert.equal(exitCode, 0);
  assert.deepEqual(compared, [
    'baseline-seed1 one-gpu-seed1 single',
    'baseline-seed1 columns-seed1 split',
    'baseline-seed1 tanh-seed1 split',
  ]);
  assert.equal(stderr.text, 'warning: the speed of columns is not known: Cannot run the op\n');
  assert.match(stdout.text, /^variant +towers +images\/s +baseline's +speed +95 % interval +verdict$/m);
  assert.match(stdout.text, /^tanh +2 +909 +500 +1\.94 +1\.69 to 2\.22 +faster$/m);
  assert.match(stdout.text, /^one-gpu +1 +455 +500 +1\.00 +0\.78 to 1\.29 +no difference seen$/m);
  assert.match(
    stdout.text,
    /in 3 processes with 3 rounds each of a variant and the baseline, in turn\. .* Every op may use \d+ thread/,
  );
  assert.deepEqual(jsonOf(out).speed?.variants[1]?.processes[1]?.changed, [1.1, 2.2, 1.1]);
  const again = await go(); // not measured again, and not lost
  assert.equal(compared.length, 3);
  assert.match(again.stdout.text, /^tanh +2 +909 +500 +1\.94/m);

  // As earlier versions wrote it: rounds of one process.
  const file = join(out, 'a', 'ablation.json');
  const old = jsonOf(out) as unknown as { speed: { variants: unknown[] } };
  old.speed.variants = [{ variant: 'tanh', towers: 2, baseline: [2, 4, 2], changed: [1, 2, 1] }];
  fs.writeFileSync(file, JSON.stringify(old));
  const { stdout: kept } = await go();
  assert.match(kept.text, /^tanh +2 +1000 +500 +2\.00 +one process$/m);
  assert.match(kept.text, /in one process, with 3 rounds of a variant and the baseline in turn: without an interval/);
});

test('ablate says how a variant gets a lower rate, which is not by continuing the run', async () => {
  const out = newOut();
  const advice: Record<string, string | undefined> = {};
  const train: TrainModule['train'] = async (asked, ui) => {
    advice[asked.run] = ui.lowerRate?.(0.02, 2);
    return training({})(asked, ui);
  };
  await ablate(out, ['--variants', 'tanh,slow', '--set', 'slow.lr=0.001'], train);
  const another = (flag: string) =>
    `try a lower rate in another ablation, with --run a-lower ${flag} beside the other flags`;
  assert.deepEqual(advice, {
    'baseline-seed1': another('--lr 0.002'),
    'tanh-seed1': another('--set tanh.lr=0.002'),
    'slow-seed1': another('--set slow.lr=0.002'),
  });
});

test('ablate keeps a training that was killed, or failed, when a later command leaves its variant out', async () => {
  const out = newOut();
  await ablate(out, ['--variants', 'tanh,slow', '--set', 'slow.lr=0.001', '--seeds', '2'], training({}));
  const file = join(out, 'a', 'ablation.json');
  const begun = jsonOf(out);
  for (const row of begun.rows) {
    if (row.seed === 2 && row.variant === 'tanh') row.result = null;
    if (row.variant === 'slow') row.result = { ...row.result!, status: 'failed', error: 'Cannot continue: NaN' };
  }
  fs.writeFileSync(file, JSON.stringify(begun));
  const seen: Config[] = [];
  const { exitCode, stdout } = await ablate(out, ['--variants', 'no-norm', '--seeds', '2'], training({}, seen));
  assert.equal(exitCode, 0);
  assert.deepEqual(
    seen.map((config) => config.run),
    ['no-norm-seed1', 'no-norm-seed2'],
  );
  assert.match(stdout.text, /^5 trainings: the baseline and 2 variants, 2 seeds each, 3 of them done; about/m);
  assert.match(
    stdout.text,
    /^begun by an earlier command and not done: slow-seed1, tanh-seed2, slow-seed2; to finish, name these variants and seeds with --run a$/m,
  );
  const kept = jsonOf(out).rows.filter(({ variant }) => variant === 'slow' || variant === 'tanh');
  assert.deepEqual(
    kept.map(({ run: name, result }) => [name, result?.status]),
    [
      ['tanh-seed1', 'done'],
      ['slow-seed1', 'failed'],
      ['tanh-seed2', undefined],
      ['slow-seed2', 'failed'],
    ],
  );
  const again = await ablate(out, ['--variants', 'tanh,slow,no-norm'], training({}, seen));
  assert.deepEqual(
    seen.slice(2).map(({ run: name, optimizer }) => [name.replace(/-2$/, ''), optimizer.learningRate]),
    [
      ['slow-seed1', 0.001],
      ['tanh-seed2', 0.02],
      ['slow-seed2', 0.001],
    ],
  );
  assert.doesNotMatch(again.stdout.text, /not done/);
});

test('ablate --until-error gives a ratio an interval that is not narrower than a step', async () => {
  const out = newOut();
  // Whatever the seed, the baseline gets there after three steps and tanh after four.
  const train: TrainModule['train'] = async (asked, { report, begin }) => {
    const { run: name } = begin?.(asked) ?? asked;
    report({ ...RUN_START, run: name, dataset: { ...RUN_START.dataset, train_images: 12 } });
    const top1s = name.startsWith('tanh') ? [0.1, 1, 1, 1] : [1, 1, 1, 1];
    for (const [i, top1] of top1s.entries()) report(trainStep(i + 1, { top1 }));
    report(EVAL);
    report(RUN_END);
    return { exitCode: 0, top1: 0.5, steps: 4 };
  };
  const { stdout } = await ablate(out, ['--variants', 'tanh', '--seeds', '2', '--until-error', '0.2'], train);
  // 12.706 * ln(4/3) / sqrt(2) around ln(4/3).
  assert.match(stdout.text, /^tanh +2 +1\.33 +1\.33 +0\.10 to 17\.68 +no difference seen$/m);
});

test('ablate estimates what seeds can show by an earlier ablation of the same kind', async () => {
  const out = newOut();
  const measured = training({ 'tanh-seed1': 0.6, 'tanh-seed2': 0.61 });
  await ablate(out, ['--variants', 'tanh', '--seeds', '2'], measured);
  const other = async (...argv: string[]) =>
    (
      await run(['ablate', '--out', out, '--quiet', '--variants', 'tanh', '--seeds', '3', ...argv], {
        loadTrain: moduleOf(training({})),
      })
    ).stdout.text;
  assert.match(
    await other('--run', 'b'),
    /^3 seeds show differences from 3\.4 points if .* between seeds is 1\.0 points, as in \S+\/a; after the second/m,
  );
  assert.match(await other('--run', 'c', '--epochs', '2'), /^3 seeds show .* is 1 point, which is assumed; after the/m);
});

test('ablate continues an ablation of version 1, whose runs have no seed in their names', async () => {
  const out = newOut();
  await ablate(out, ['--variants', 'tanh', '--seed', '3'], training({ baseline: 0.8 }));
  const { settings, rows, missing } = jsonOf(out);
  const old = rows.map(({ seed: _, run: name, ...row }) => ({ ...row, run: name!.replace('-seed3', '') }));
  for (const [i, { run: name }] of old.entries()) fs.renameSync(join(out, 'a', rows[i]!.run!), join(out, 'a', name));
  old[1]!.result = null;
  fs.writeFileSync(join(out, 'a', 'ablation.json'), JSON.stringify({ settings, rows: old, missing }));
  const seen: Config[] = [];
  const { exitCode } = await ablate(out, ['--variants', 'tanh', '--seeds', '3,4'], training({ tanh: 0.7 }, seen));
  assert.equal(exitCode, 0);
  assert.deepEqual(
    jsonOf(out).rows.map((row) => [row.variant, row.seed, row.run, row.result!.top1Error]),
    [
      ['baseline', 3, 'baseline', 1 - 0.8],
      ['tanh', 3, 'tanh-seed3', 1 - 0.7],
      ['baseline', 4, 'baseline-seed4', 0.5],
      ['tanh', 4, 'tanh-seed4', 1 - 0.7],
    ],
  );
});

test('ablate prints the top-5 error if there are enough classes', async () => {
  const config = join(newOut(), 'c.json');
  fs.writeFileSync(config, JSON.stringify({ net: { classes: 100 } }));
  const { stdout } = await ablate(newOut(), ['--variants', 'tanh', '--config', config], training({}));
  assert.match(stdout.text, /top-1 error +points +top-5 error +points +training error +points$/m);
  assert.doesNotMatch((await ablate(newOut(), ['--variants', 'tanh'], training({}))).stdout.text, /top-5/);
});

test('ablate says what is missing after an interruption, and resumes under the same name', async () => {
  const out = newOut();
  const stopping: TrainModule['train'] = async (config, ui) => {
    if (config.run !== 'tanh-seed1') return training({})(config, ui);
    ui.report({ ...RUN_START, run: config.run });
    ui.report(trainStep(1));
    ui.report({ ...RUN_END, status: 'stopped', exit_code: 130, steps: 1 });
    return { exitCode: 130, top1: Number.NaN, steps: 1 };
  };
  const argv = ['--variants', 'tanh,no-dropout'];
  const first = await ablate(out, argv, stopping);
  assert.equal(first.exitCode, 130);
  assert.doesNotMatch(first.stdout.text, /^about .* left, for 1 training$/m, 'nothing goes on');
  assert.match(first.stdout.text, /^One seed proves nothing/m);
  assert.match(first.stdout.text, /^tanh .* stopped$/m);
  assert.match(first.stdout.text, /^no-dropout .* not run$/m);
  assert.equal(
    first.stdout.lines.at(-1),
    'not done: tanh-seed1, no-dropout-seed1; repeat the command with --run a to finish',
  );
  const seen: Config[] = [];
  const second = await ablate(out, argv, training({}, seen));
  assert.equal(second.exitCode, 0);
  assert.deepEqual(
    seen.map((config) => config.run),
    ['tanh-seed1-2', 'no-dropout-seed1'],
  );
  assert.deepEqual(
    jsonOf(out).rows.map(({ variant, run: name, result }) => [variant, name, result?.status]),
    [
      ['baseline', 'baseline-seed1', 'done'],
      ['tanh', 'tanh-seed1-2', 'done'],
      ['no-dropout', 'no-dropout-seed1', 'done'],
    ],
  );
  // A third one adds to the table, and loses nothing.
  const third = await ablate(out, ['--variants', 'no-norm'], training({}));
  assert.equal(third.exitCode, 0);
  assert.deepEqual(
    jsonOf(out).rows.map(({ variant }) => variant),
    ['baseline', 'no-norm', 'tanh', 'no-dropout'],
  );
});

test('ablate resumes a killed run from its log and its checkpoints', async () => {
  const out = newOut();
  const folder = join(out, 'a', 'baseline-seed1');
  const killed: TrainModule['train'] = async (config, { report }) => {
    report({ ...RUN_START, run: config.run });
    for (const step of [1, 2, 3]) report(trainStep(step));
    report({ ...EVAL, top1: 0.7 });
    putCheckpoint(folder, 3, { config: { ...config } });
    throw new Error('as if it were killed');
  };
  assert.equal((await ablate(out, ['--variants', 'tanh'], killed)).exitCode, 1);
  assert.deepEqual(
    jsonOf(out).rows.map(({ run: name, result }) => [name, result]),
    [
      ['baseline-seed1', null],
      [null, null],
    ],
  );
  const olderKind = '{"event":"warning","message":"a warning that is gone","kind":"rate","step":0}';
  fs.appendFileSync(
    join(folder, 'log.ndjson'),
    `{"event":"eval","step":3}\n${olderKind}\nno line of ours\n{"event":"train_st`,
  );
  // Every step was done: nothing is left but to end.
  const ending: TrainModule['train'] = async (config, ui) => {
    if (!ui.resume) return training({})(config, ui);
    assert.deepEqual([config.run, ui.resume.checkpoint.state.step], ['baseline-seed1', 3]);
    ui.report({ ...RUN_START, run: config.run });
    ui.report(RUN_END);
    return { exitCode: 0, top1: 0.7, steps: 3 };
  };
  const { exitCode } = await ablate(out, ['--variants', 'tanh'], ending);
  assert.equal(exitCode, 0);
  const { result } = jsonOf(out).rows[0]!;
  assert.deepEqual([result!.status, result!.top1Error, result!.testImages], ['done', 1 - 0.7, 1000]);
});

test('ablate resumes after it was killed in its first run', async () => {
  const out = newOut();
  const killed = await ablate(out, ['--variants', 'tanh'], () => Promise.reject(new Error('as if it were killed')));
  assert.equal(killed.exitCode, 1);
  assert.equal((await ablate(out, ['--variants', 'tanh'], training({}))).exitCode, 0);
});

test('ablate gives a variant that was never begun other settings, and times only whole trainings', async () => {
  const out = newOut();
  const killed: TrainModule['train'] = async (config, { report }) => {
    report({ ...RUN_START, run: config.run });
    throw new Error('as if it were killed');
  };
  const argv = ['--variants', 'slow', '--set'];
  assert.equal((await ablate(out, [...argv, 'slow.lr=0.001'], killed)).exitCode, 1);
  const seen: Config[] = [];
  const { exitCode, stderr } = await ablate(out, [...argv, 'slow.lr=0.002'], training({}, seen));
  assert.deepEqual([exitCode, stderr.text], [0, '']);
  assert.equal(seen[1]!.optimizer.learningRate, 0.002);
  const { rows, variants } = jsonOf(out);
  assert.deepEqual(
    rows.map(({ result }) => typeof result!.seconds),
    ['undefined', 'number'], // an earlier process trained a part of the baseline
  );
  assert.equal(variants[1]!.change, 'lr 0.002');
});

test('ablate continues after a variant that fails, and exits with 1', async () => {
  const out = newOut();
  const failing: TrainModule['train'] = async (config, ui) => {
    if (config.run !== 'no-norm-seed1') return training({})(config, ui);
    ui.report({ ...RUN_START, run: config.run });
    ui.report({ ...RUN_END, status: 'failed', exit_code: 1, steps: 0, error: 'Cannot continue: the loss is NaN' });
    return { exitCode: 1, top1: Number.NaN, steps: 0 };
  };
  const { exitCode, stdout, stderr } = await ablate(out, ['--variants', 'no-norm,tanh'], failing);
  assert.deepEqual([exitCode, stderr.text], [1, 'error: Cannot continue: the loss is NaN\n']);
  assert.match(stdout.text, /^no-norm .* failed/m);
  assert.equal(stdout.lines.at(-1), 'failed: no-norm-seed1; the command with --run a tries again');
  assert.match(stdout.text, /^tanh .* 50\.00 %/m);
  assert.match(pageOf(out), /^- no-norm, seed 1: Cannot continue: the loss is NaN$/m);
});

test('ablate refuses unknown variants, and other settings under the same name', async () => {
  const out = newOut();
  const train = training({});
  const cases: [argv: string[], message: RegExp][] = [
    [['--variants', 'norm'], /^error: --variants has "norm", expected names among no-norm, no-overlap, one-gpu, .*\n$/],
    [['--variants', 'relu'], /^error: Cannot ablate relu: the baseline has it; leave it out of --variants\n$/],
    [['--only', 'norm'], /^error: --variants has "norm"/], // its name of before
    [
      ['--only', 'tanh', '--variants', 'tanh'],
      /^error: option '--only <names>' cannot be used with option '--variants/,
    ],
    [['--batch-size', '0'], /^error: --batch-size is 0/],
  ];
  for (const [argv, message] of cases) {
    const { exitCode, stderr } = await ablate(out, argv, train);
    assert.equal(exitCode, 2);
    assert.match(stderr.text, message);
  }
  assert.deepEqual(fs.readdirSync(out), [], 'nothing is left of what was refused');
  await ablate(out, ['--variants', 'tanh'], train);
  const other = await ablate(out, ['--variants', 'tanh', '--momentum', '0.5'], train);
  assert.equal(other.exitCode, 2);
  assert.match(
    other.stderr.text,
    /its ablation had another optimizer, expected the same settings; choose another --run/,
  );
  fs.mkdirSync(join(out, 'b'));
  fs.writeFileSync(join(out, 'b', 'file'), '');
  const taken = await run(['ablate', '--out', out, '--run', 'b'], { loadTrain: moduleOf(train) });
  assert.match(taken.stderr.text, /^error: Cannot use .* for a new run: it exists already/);
});

test('ablate --json prints only the result, with NaN as a string', async () => {
  const out = newOut();
  const argv = ['ablate', '--json', '--out', out, '--variants', 'tanh'];
  const { stdout } = await run(argv, { loadTrain: moduleOf(training({ baseline: Number.NaN })) });
  const { rows, settings } = JSON.parse(stdout.text) as Ablation;
  assert.deepEqual(
    rows.map(({ variant, result }) => [variant, result!.top1Error]),
    [
      ['baseline', 'NaN'],
      ['tanh', 0.5],
    ],
  );
  assert.equal(settings.preset, 'mini');
  assert.deepEqual(fs.readdirSync(out), [GENERATED]);
});

test('ablate without a name gets its own folder if another one started in the same second', async () => {
  const out = newOut();
  const during: Outcome[] = [];
  const argv = ['ablate', '--quiet', '--out', out, '--variants', 'tanh'];
  const train: TrainModule['train'] = async (config, ui) => {
    if (during.length === 0) during.push(await run(argv, { loadTrain: moduleOf(training({})) }));
    return training({})(config, ui);
  };
  const first = await run(argv, { loadTrain: moduleOf(train) });
  assert.deepEqual([first.exitCode, during[0]!.exitCode, during[0]!.stderr.text], [0, 0, '']);
  for (const name of [GENERATED, `${GENERATED}-2`])
    assert.deepEqual(fs.readdirSync(join(out, name)).sort(), [
      'ablation.json',
      'ablation.md',
      'baseline-seed1',
      'tanh-seed1',
    ]);
  assert.match(during[0]!.stdout.text, /^ablation of seed \d in .*ablate-mini-\d+-\d+-2\/ablation\.md$/m);
  const { out: place } = JSON.parse(
    fs.readFileSync(join(out, `${GENERATED}-2`, 'tanh-seed1', 'config.json'), 'utf8'),
  ) as Config;
  assert.equal(place, join(out, `${GENERATED}-2`));
});

test('ablate refuses a folder that another process uses, and releases its own lock', async () => {
  const out = newOut();
  const during: Outcome[] = [];
  const train: TrainModule['train'] = async (config, ui) => {
    assert.ok(fs.existsSync(join(out, 'a', 'lock.json')));
    if (during.length === 0) during.push(await ablate(out, ['--variants', 'tanh'], training({})));
    return training({})(config, ui);
  };
  const { exitCode } = await ablate(out, ['--variants', 'tanh'], train);
  assert.deepEqual([exitCode, during[0]!.exitCode], [0, 2]);
  const message = new RegExp(
    `^error: Cannot train in .*a: process ${process.pid} on \\S+ trains there since .*--run\n$`,
  );
  assert.match(during[0]!.stderr.text, message);
  assert.deepEqual(
    jsonOf(out).rows.map(({ variant, result }) => [variant, result?.status]),
    [
      ['baseline', 'done'],
      ['tanh', 'done'],
    ],
  );
  assert.ok(!fs.existsSync(join(out, 'a', 'lock.json')));
});

test('ablate reads the rows of another process once that has released its lock', async () => {
  const out = newOut();
  await ablate(out, ['--variants', 'tanh'], training({}));
  const file = join(out, 'a', 'ablation.json');
  const whole = fs.readFileSync(file, 'utf8');
  const lock = lockNow(join(out, 'a'));
  const ablation = JSON.parse(whole) as Ablation;
  ablation.rows[1]!.result = null;
  fs.writeFileSync(file, JSON.stringify(ablation));
  const seen: Config[] = [];
  const second = ablate(out, ['--variants', 'tanh'], training({}, seen));
  await sleep(100); // it waits a while for whoever may be ending
  fs.writeFileSync(file, whole);
  lock.release();
  assert.equal((await second).exitCode, 0);
  assert.deepEqual(seen, []);
});
