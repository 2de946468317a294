/** How settings come together. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { devicesOf, type Machine, resolveConfig, tableOf } from '../../src/config/config.js';
import { cpuNames, cpusFor, opThreads } from '../../src/config/devices.js';
import type { ConfigLayer } from '../../src/config/layers.js';
import { PRESETS } from '../../src/config/presets.js';
import { ConfigError } from '../../src/errors.js';
import { flags, machineWith } from './machines.js';

const CPU = machineWith('CPU:0', 'CPU:1');

function resolve(layers: readonly ConfigLayer[], machine: Machine = CPU) {
  return resolveConfig(layers, machine);
}

test('resolveConfig() lets flags beat the file, and the file the preset', () => {
  const file: ConfigLayer = { file: 'run.json', values: { batchSize: 20, seed: 7, optimizer: { learningRate: 0.5 } } };
  const { config } = resolve([file, flags({ batchSize: 30, optimizer: { momentum: 0.1 } })]);
  assert.equal(config.batchSize, 30);
  assert.equal(config.seed, 7);
  assert.deepEqual(config.optimizer, { ...PRESETS.mini.optimizer, learningRate: 0.5, momentum: 0.1 });
  assert.equal(config.epochs, PRESETS.mini.epochs);
});

test('resolveConfig() uses the preset of the last layer that names one', () => {
  const file: ConfigLayer = { file: 'run.json', values: { preset: 'lenet' } };
  assert.equal(resolve([file]).config.net.table, 'lenet');
  assert.equal(resolve([file, flags({ preset: 'tutorial' })]).config.net.table, 'tutorial');
  assert.equal(resolve([file, flags({ preset: 'auto' })]).config.preset, 'mini');
});

test('tableOf() finds the same table as resolveConfig(), without a machine', () => {
  const cases: ConfigLayer[][] = [
    [],
    [flags({ preset: 'auto' })],
    [flags({ preset: 'imagenet-one-gpu' })],
    [flags({ preset: 'imagenet-one-gpu' }), flags({ preset: 'mini' })],
    [flags({ preset: 'mini', net: { table: 'lenet' } })],
    [flags({ net: { table: 'lenet' } }), flags({ preset: 'mini', net: { width: 0.5 } })],
  ];
  const found = cases.map((layers) => tableOf(layers));
  assert.deepEqual(found, ['original', 'original', 'one-gpu', 'original', 'lenet', 'lenet']);
  assert.deepEqual(
    found,
    cases.map((layers) => resolveConfig(layers, CPU, false).config.net.table),
  );
  // What makes no config is refused later, with the machine.
  assert.equal(tableOf([flags({ preset: 'toString' })]), 'original');
  assert.equal(tableOf([flags({ net: { table: 7 } })]), 7);
});

test('resolveConfig() accepts every spelling of a device, and does not confuse the device of another process with it', () => {
  for (const name of ['cpu:1', '/device:CPU:1', 'device:cpu:1', '/job:localhost/replica:0/task:0/device:CPU:1']) {
    const { config } = resolve([flags({ preset: 'mini', devices: ['CPU:0', name] })]);
    assert.deepEqual(config.devices, ['CPU:0', 'CPU:1'], name);
  }
  const remote = '/job:tower/replica:0/task:1/device:CPU:1';
  assert.throws(
    () => resolve([flags({ preset: 'mini', devices: ['CPU:0', remote] })]),
    (error) => error instanceof ConfigError && error.message.includes(remote),
  );
});

test('opThreads() returns half of the cores for a net of two columns, and 0 for one column', () => {
  assert.deepEqual(
    [1, 2, 3, 16].map((cores) => opThreads('original', cores)),
    [1, 1, 1, 8],
  );
  assert.deepEqual(
    ['paper', 'columns', 'tutorial', 'lenet', 'one-gpu', 'no-such', undefined].map((table) => opThreads(table, 16)),
    [8, 8, 8, 8, 0, 0, 0],
  );
});

test('opThreads() shares the cores between replicas', () => {
  assert.deepEqual(
    [1, 2, 3, 16].map((replicas) => opThreads('original', 16, replicas)),
    [8, 4, 2, 1],
  );
  assert.deepEqual([opThreads('one-gpu', 16, 1), opThreads('one-gpu', 16, 4)], [0, 4]);
});

test('resolveConfig() places several replicas pair by pair, and says their batch and rate', () => {
  const cpus = machineWith(...cpuNames(6));
  const values = { preset: 'mini', replicas: 3, batchSize: 20 };
  const { config, notes } = resolve([flags(values)], cpus);
  assert.deepEqual(config.devices, cpuNames(6));
  assert.match(String(notes.at(-1)), /^batch 60 \(3 pairs × 20\), learning rate 0\.02: the same as for 20 images/);
  const single = resolve([flags({ ...values, placement: 'single' })], cpus);
  assert.deepEqual(single.config.devices, cpuNames(3));
  // As with one net, a config that serves both placements may name more.
  const both = resolve([flags({ ...values, placement: 'single', devices: cpuNames(6) })], cpus);
  assert.deepEqual(both.config.devices, cpuNames(6));
  const gpus = machineWith('CPU:0', 'CPU:1', 'GPU:0', 'GPU:1', 'GPU:2', 'GPU:3');
  assert.deepEqual(resolve([flags({ ...values, replicas: 2 })], gpus).config.devices, gpus.devices.slice(2));
  assert.throws(
    () => resolve([flags(values)], gpus),
    /Cannot run 3 pairs of towers on GPU:0,GPU:1,GPU:2,GPU:3: expected 6 devices, one for each tower, pair by pair; /,
  );
  const twice = { ...values, replicas: 2, devices: ['GPU:0', 'GPU:1', 'GPU:0', 'GPU:1'] };
  const optimizer = { linearScaling: true, warmupEpochs: 3 };
  const scaled = resolve([flags({ ...twice, optimizer })], gpus);
  assert.equal(scaled.config.optimizer.linearScaling, 2);
  assert.match(String(scaled.notes.at(-1)), /learning rate 0\.04: 2 times 0\.02, from 0\.02 within 3 epochs$/);
  const off = resolve([flags({ ...twice, optimizer: { linearScaling: false } })], gpus);
  assert.equal('linearScaling' in off.config.optimizer, false);
});

test('resolveConfig() refuses what several replicas cannot do', () => {
  const cpus = machineWith(...cpuNames(4), '10.0.0.2:2222/CPU:0');
  const pairs = { preset: 'mini', replicas: 2 };
  const refused = (values: Record<string, unknown>, message: RegExp) =>
    assert.throws(() => resolve([flags({ ...pairs, ...values })], cpus), message);
  const twice = { average: 'collective', devices: ['CPU:0', 'CPU:1', 'CPU:0', 'CPU:2'] };
  refused(twice, /^ConfigError: --average is collective, expected copies: the device CPU:0 is in two replicas/);
  const remote = ['CPU:0', 'CPU:1', '10.0.0.2:2222/CPU:0', 'CPU:2'];
  refused({ average: 'collective', devices: remote }, /expected copies with 10\.0\.0\.2:2222\/CPU:0/);
  refused({ placement: 'single', compile: 'xla' }, /--compile is xla, expected on or off with --replicas: /);
  refused({ devices: ['CPU:0', 'CPU:1'] }, /Cannot run 2 pairs of towers on CPU:0,CPU:1: expected 4 devices/);
  refused({ replicas: 0 }, /replicas is 0, expected a whole number from 1 to 64/);
  const fine = { ...pairs, average: 'collective', devices: ['CPU:0', 'CPU:1', 'CPU:1', 'CPU:0'] };
  assert.equal(resolve([flags(fine)], cpus).config.average, 'collective');
});

test('devicesOf() and cpusFor() make as many logical CPUs as the settings ask for', () => {
  assert.deepEqual(devicesOf([flags({ replicas: 2 })]), cpuNames(4));
  assert.deepEqual(devicesOf([flags({ replicas: 2, devices: ['cpu:5'] })]), ['CPU:5']);
  assert.deepEqual([devicesOf([flags({})]), devicesOf([flags({ replicas: 'x' })])], [[], []]);
  assert.deepEqual([[], ['GPU:7'], ['CPU:1', 'CPU:9']].map(cpusFor), [2, 2, 10]);
});

test('resolveConfig() chooses the preset by the number of GPUs, and says why', () => {
  const cases: [machine: Machine, preset: string, devices: string[], note: RegExp][] = [
    [CPU, 'mini', ['CPU:0', 'CPU:1'], /^preset mini: there is no GPU/],
    [machineWith('CPU:0', 'GPU:0'), 'mini', ['GPU:0', 'GPU:0'], /^preset mini: there is one GPU, not two/],
    [machineWith('CPU:0', 'GPU:0', 'GPU:1'), 'fashion', ['GPU:0', 'GPU:1'], /^preset fashion: there are 2 GPUs/],
  ];
  for (const [machine, preset, devices, note] of cases) {
    for (const layers of [[], [flags({ preset: 'auto' })]]) {
      const { config, notes } = resolve(layers, machine);
      assert.deepEqual([config.preset, config.devices], [preset, devices]);
      assert.match(notes[0]!, note);
    }
  }
});

test('resolveConfig() notes that both towers are on the one GPU, unless devices were named', () => {
  const machine = machineWith('CPU:0', 'CPU:1', 'GPU:0');
  assert.match(resolve([], machine).notes.join('\n'), /devices GPU:0,GPU:0: there is one GPU/);
  assert.deepEqual(resolve([flags({ devices: ['CPU:0', 'CPU:1'] })], machine).notes.length, 1);
});

test('resolveConfig() falls back to the embedded data, and says so, if the files are not installed', () => {
  const without = resolve([flags({ preset: 'tutorial' })]);
  assert.equal(without.config.data.source, 'embedded');
  assert.match(without.notes.join('\n'), /data embedded: a small sample, as Fashion-MNIST is not installed/);
  const here = resolve([flags({ preset: 'tutorial' })], { ...CPU, fashionMnist: true });
  assert.equal(here.config.data.source, 'fashion-mnist');
  const named = resolve([flags({ preset: 'tutorial', data: { source: '/images' } })]);
  assert.equal(named.config.data.source, '/images');
  assert.equal(named.notes.length, 1);
});

test("resolveConfig() takes other images' own levels, where a preset's are Fashion-MNIST's and nothing is set", () => {
  const levels = (data: object, preset = 'mini', machine: Machine = CPU) => {
    const { mean, scale } = resolve([flags({ preset, data })], machine).config.data;
    return [mean, scale];
  };
  const { mini, fashion, lenet } = PRESETS;
  for (const source of ['/photos', 'cifar-10', '/mnist']) {
    assert.deepEqual(levels({ source }), ['data', 'data']);
    assert.deepEqual(levels({ source }, 'fashion'), ['data', fashion.data.scale]);
    assert.deepEqual(levels({ source }, 'lenet'), [lenet.data.mean, lenet.data.scale]);
    for (const set of [
      { mean: mini.data.mean },
      { scale: mini.data.scale },
      { meanImage: true },
      { meanImage: false },
    ]) {
      assert.deepEqual(levels({ source, ...set }), [mini.data.mean, mini.data.scale]);
    }
  }
  for (const source of ['embedded', 'fashion-mnist', '/sets/fashion', 'Fashion-MNIST/']) {
    assert.deepEqual(levels({ source }), [mini.data.mean, mini.data.scale]);
  }
  const photos = { ...CPU, hasFiles: () => true };
  assert.deepEqual(levels({ source: '/fashion-photos' }, 'mini', photos), ['data', 'data']);
});

test('resolveConfig() turns photos with the preset photos, but not those of a run that did not', () => {
  const uprightOf = (...layers: object[]) => {
    const { data } = resolve(layers.map((values) => flags({ data: { source: '/images' }, ...values }))).config;
    return Object.hasOwn(data, 'upright') ? data.upright : 'absent';
  };
  const { upright, ...before } = { ...PRESETS.photos.data, source: '/images' };
  assert.equal(upright, true);
  assert.equal(uprightOf({ preset: 'photos' }), true);
  assert.equal(uprightOf({ preset: 'photos', data: { source: '/images', resize: 80 } }), true);
  assert.equal(uprightOf({ preset: 'photos' }, { data: { upright: false } }), 'absent');
  assert.equal(uprightOf({ preset: 'mini' }), 'absent');
  assert.equal(uprightOf({ preset: 'mini', data: { source: '/images', upright: true } }), true);
  assert.equal(uprightOf({ preset: 'photos', data: before }), 'absent', 'the settings of a run of an earlier version');
  assert.equal(uprightOf({ preset: 'photos', data: before }, { data: { upright: true } }), true);
  assert.equal(uprightOf({ preset: 'photos', data: { ...before, upright } }, { seed: 2 }), true);
});

test('resolveConfig() takes one grey level for all channels', () => {
  assert.deepEqual(resolve([flags({ preset: 'mini', data: { mean: 9 } })]).config.data.mean, [9, 9, 9]);
  assert.deepEqual(resolve([flags({ preset: 'lenet', data: { mean: 9 } })]).config.data.mean, [9]);
  for (const mean of ['dat', [9, 'x'], [], -1, [1, 2]]) {
    assert.throws(() => resolve([flags({ preset: 'mini', data: { mean } })]), ConfigError);
  }
});

test('resolveConfig() gives `single` one device, a GPU if there is one', () => {
  const single = flags({ placement: 'single' });
  assert.deepEqual(resolve([single]).config.devices, ['CPU:0']);
  assert.deepEqual(resolve([single], machineWith('CPU:0', 'GPU:0')).config.devices, ['GPU:0']);
});

test('resolveConfig() reads a device by any of its spellings', () => {
  const devices = ['/job:localhost/replica:0/task:0/device:CPU:1', ' cpu:0 '];
  assert.deepEqual(resolve([flags({ devices })]).config.devices, ['CPU:1', 'CPU:0']);
});

test('resolveConfig() names the run by placement, preset and local time', () => {
  assert.equal(resolve([]).config.run, 'split-mini-20260203-040506');
  assert.equal(resolve([flags({ placement: 'single', preset: 'lenet' })]).config.run, 'single-lenet-20260203-040506');
});

test('resolveConfig() lets a length in epochs replace an earlier one in steps, not the other way round', () => {
  const steps: ConfigLayer = { file: 'run.json', values: { steps: 40 } };
  assert.equal(resolve([steps]).config.steps, 40);
  const { config } = resolve([steps, flags({ epochs: 3 })]);
  assert.deepEqual([config.steps, config.epochs], [null, 3]);
  assert.equal(resolve([{ file: 'run.json', values: { epochs: 3 } }, flags({ steps: 9 })]).config.steps, 9);
  assert.equal(resolve([{ file: 'run.json', values: { epochs: 3, steps: 8 } }]).config.steps, 8);
});

test('resolveConfig() scales the size before the crop with the input size, unless it is given', () => {
  assert.equal(resolve([flags({ net: { inputSize: 134 } })]).config.data.resize, 148);
  assert.equal(resolve([flags({ net: { inputSize: 134 }, data: { resize: 140 } })]).config.data.resize, 140);
  assert.equal(resolve([flags({ preset: 'tutorial', net: { inputSize: 112 } })]).config.data.resize, 112);
});

test('resolveConfig() merges a schedule of the same kind, and replaces one of another', () => {
  const schedule = (value: unknown): ConfigLayer => ({ file: 'run.json', values: { optimizer: { schedule: value } } });
  assert.deepEqual(resolve([schedule({ factor: 0.5 })]).config.optimizer.schedule, {
    kind: 'steps',
    epochs: [5],
    factor: 0.5,
  });
  const plateau = { kind: 'plateau', factor: 0.1, patience: 3, least: 1e-5 };
  for (const other of [{ kind: 'constant' }, plateau]) {
    assert.deepEqual(resolve([schedule(other)]).config.optimizer.schedule, other);
  }
  assert.throws(
    () => resolve([flags({ preset: 'lenet' }), schedule({ kind: 'steps' })]),
    /^ConfigError: optimizer\.schedule\.epochs in run\.json is missing, expected a list of epochs/,
  );
});

test('resolveConfig() freezes the settings at every depth, and leaves the presets alone', () => {
  const { config } = resolve([]);
  for (const each of [config, config.net, config.optimizer, config.optimizer.schedule, config.data, config.data.mean]) {
    assert.ok(Object.isFrozen(each));
  }
  assert.ok(Object.isFrozen(config.devices));
  assert.equal(Object.isFrozen(PRESETS.mini.data.mean), false);
  assert.deepEqual(resolve([flags({ batchSize: 3 })]).config.optimizer, config.optimizer);
});

test('resolveConfig() returns a complete config unchanged', () => {
  const { config } = resolve([flags({ preset: 'lenet', run: 'again' })]);
  const saved = JSON.parse(JSON.stringify(config)) as Record<string, unknown>;
  assert.deepEqual(resolve([{ file: 'config.json', values: saved }]).config, config);
});

test('resolveConfig() refuses to split a net of one column', () => {
  const net = { table: 'one-gpu' };
  const message =
    'Cannot split the net "one-gpu": it has one column, for one device; use --placement single, or another --net';
  assert.throws(() => resolve([flags({ net })]), { name: 'ConfigError', message, exitCode: 2 });
  assert.equal(resolve([flags({ net, placement: 'single' })]).config.net.table, 'one-gpu');
});

test('resolveConfig() asks for the images of a preset without data', () => {
  for (const data of [undefined, { resize: 256 }]) {
    assert.throws(() => resolve([flags({ preset: 'imagenet', data })]), {
      name: 'ConfigError',
      message:
        'Cannot find the images of the preset imagenet: the settings do not name their folder; name it with --data',
    });
  }
});

test('resolveConfig() names the flag that overrides a valid file', () => {
  const file: ConfigLayer = { file: 'f.json', values: { batchSize: 4 } };
  assert.throws(() => resolve([file, flags({ batchSize: 0 })]), /^ConfigError: --batch-size is 0/);
  assert.throws(
    () => resolve([{ ...file, values: { batchSize: 0 } }, flags({ seed: 1 })]),
    /batchSize in f\.json is 0/,
  );
  assert.equal(resolve([{ ...file, values: { batchSize: 0 } }, flags({ batchSize: 4 })]).config.batchSize, 4);
});

test('resolveConfig() truncates a long value in a message', () => {
  assert.throws(
    () => resolve([flags({ preset: 'x'.repeat(500) })]),
    (error: Error) => error.message.length < 250,
  );
});

test('resolveConfig() refuses run names that cannot name one folder', () => {
  const bad = ['a/b', 'a\\b', '..', '.', '.hidden', '-x', 'a..b', 'a\u0000b', 'a\nb', 'x'.repeat(201)];
  for (const run of bad) {
    assert.throws(() => resolve([flags({ run })]), /^ConfigError: Cannot name the run .*choose another --run$/, run);
  }
  for (const run of ['a', 'run 1', 'ü', 'a.b-c_d']) assert.equal(resolve([flags({ run })]).config.run, run);
});

test('resolveConfig() refuses inherited keys, and pollutes no prototype', () => {
  for (const text of ['{"__proto__":{"batchSize":3}}', '{"constructor":3}', '{"net":{"__proto__":{"width":3}}}']) {
    const values = JSON.parse(text) as Record<string, unknown>;
    assert.throws(
      () => resolve([{ file: 'f.json', values }, flags({})]),
      /^ConfigError: Cannot use the unknown key (net\.)?(__proto__|constructor) in f\.json/,
    );
  }
  assert.equal(({} as Record<string, unknown>).batchSize, undefined);
});

test('resolveConfig() makes a run of every preset', () => {
  for (const [preset, { data: own }] of Object.entries(PRESETS)) {
    const data = own.source === '' ? { source: '/images' } : {};
    const { config, notes } = resolve([flags({ preset, data })]);
    assert.equal(config.preset, preset);
    assert.equal(notes[0], `preset ${preset}`);
    assert.ok(config.data.resize >= config.net.inputSize);
  }
});

test('ConfigError ends with exit code 2', () => {
  assert.equal(new ConfigError('x').exitCode, 2);
});

test('resolveConfig() takes the number of classes from the data, unless a layer sets it', () => {
  const machine: Machine = { ...CPU, classesOf: (source) => (source === '/images' ? 3 : undefined) };
  const followed = resolve([flags({ data: { source: '/images' } })], machine);
  assert.equal(followed.config.net.classes, 3);
  assert.match(followed.notes.join('\n'), /classes 3: as many as the images in \/images have/);
  const set = resolve([flags({ data: { source: '/images' }, net: { classes: 7 } })], machine);
  assert.deepEqual([set.config.net.classes, set.notes.some((note) => /^classes/.test(note))], [7, false]);
  assert.equal(resolve([], machine).config.net.classes, 10);
});

test('resolveConfig() accepts steps or minutes between checkpoints', () => {
  for (const value of [0, 1, 500, '10m', '0.5m', '1440m']) {
    assert.equal(resolve([flags({ checkpointEvery: value })]).config.checkpointEvery, value);
  }
});

test('resolveConfig() writes down how a schedule goes and a warm-up begins, and leaves a checkpoint as it is', () => {
  const machine = machineWith('CPU:0', 'CPU:1');
  const optimizerOf = (...layers: ConfigLayer[]) => resolve(layers, machine).config.optimizer;
  const warm = { preset: 'mini', optimizer: { warmupEpochs: 0.5, schedule: { kind: 'cosine' } } };
  const { warmupFrom, schedule } = optimizerOf(flags(warm));
  assert.deepEqual([warmupFrom, schedule], [0.01, { kind: 'cosine', least: 0 }]);
  assert.equal(optimizerOf({ values: { optimizer: { warmupEpochs: 1 } } }).warmupFrom, 0.01);
  assert.equal(optimizerOf({ file: 'state.json', values: { optimizer: { warmupEpochs: 1 } } }).warmupFrom, undefined);
  const scaled = { optimizer: { warmupEpochs: 1, linearScaling: 2 } };
  assert.equal(optimizerOf(flags(scaled)).warmupFrom, undefined);
  assert.equal(optimizerOf(flags({ optimizer: { ...scaled.optimizer, warmupFrom: 0.1 } })).warmupFrom, 0.1);
});

test('resolveConfig() refuses a schedule that has nothing to fall from', () => {
  const refused = (values: Record<string, unknown>, message: RegExp) =>
    assert.throws(() => resolve([flags({ preset: 'mini', ...values })], machineWith('CPU:0', 'CPU:1')), message);
  refused(
    { optimizer: { schedule: { kind: 'linear', least: 0.02 } } },
    /optimizer\.schedule\.least is 0\.02, expected less than the learning rate 0\.02, from which it falls; lower it, or/,
  );
  refused(
    { epochs: 1, optimizer: { warmupEpochs: 1, schedule: { kind: 'cosine' } } },
    /--warmup-epochs is 1, expected less than the 1 epoch of the run, in which the rate also falls; use a shorter/,
  );
});
