/** Settings without effect because of other settings: refused on the command line, and a note for a file. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { resolveConfig } from '../../src/config/config.js';
import { FLAGS } from '../../src/config/flags.js';
import type { ConfigLayer } from '../../src/config/layers.js';
import { machineWith } from './machines.js';

const MACHINE = {
  ...machineWith('CPU:0', 'CPU:1', 'GPU:0'),
  hasFiles: (source: string) => (source === '/none' ? undefined : source === '/files'),
  hasTestImages: (source: string) => source !== '/classes',
};

type Values = Record<string, unknown>;
const typed = (values: Values): ConfigLayer => ({ values, by: 'line' });
const inFile = (values: Values): ConfigLayer => ({ file: 'f.json', values, by: 'file' });
const idle = (...layers: ConfigLayer[]) => resolveConfig(layers, MACHINE).idle;

const SINGLE = { placement: 'single' };
const LENET = { preset: 'lenet' };

/** The other settings, the setting without effect, the flag, the key, and the reason. */
const CASES: [so: Values, set: Values, flag: string, key: string, why: RegExp][] = [
  [SINGLE, { devices: ['CPU:0', 'CPU:1'] }, '--devices', 'devices', /beyond CPU:0 with --placement single/],
  [
    { ...SINGLE, replicas: 2 },
    { devices: ['CPU:0', 'CPU:1', 'CPU:0'] },
    ...(['--devices', 'devices', /beyond CPU:0,CPU:1 with .* each whole net/] as const),
  ],
  [
    SINGLE,
    { exchange: { transport: 'device' } },
    '--exchange',
    'exchange.transport',
    /one device has nothing to exchange/,
  ],
  [
    SINGLE,
    { exchange: { dtype: 'float16' } },
    '--exchange-dtype',
    'exchange.dtype',
    /one device has nothing to exchange/,
  ],
  [{}, { waitForServers: '10m' }, '--wait-for-servers', 'waitForServers', /without servers/],
  [SINGLE, { exchange: { checksum: true } }, '--exchange-checksum', 'exchange.checksum', /one device has nothing/],
  [{}, { average: 'collective' }, '--average', 'average', /with one replica/],
  [{}, { optimizer: { linearScaling: true } }, '--linear-scaling', 'optimizer.linearScaling', /with one replica/],
  [
    { optimizer: { schedule: { kind: 'one-cycle' } } },
    { optimizer: { warmupEpochs: 2 } },
    '--warmup-epochs',
    'optimizer.warmupEpochs',
    /with the schedule one-cycle, which rises by itself/,
  ],
  [{}, { optimizer: { warmupFrom: 0.1 } }, 'optimizer.warmupFrom', 'optimizer.warmupFrom', /without --warmup-epochs/],
  [{}, { data: { shuffleWindow: 9 } }, '--shuffle-window', 'data.shuffleWindow', /without --shuffle window/],
  [{}, { newHead: true }, '--new-head', 'newHead', /without --weights, whose last layer it replaces/],
  [SINGLE, { exchangeTimeoutMs: 5 }, 'exchangeTimeoutMs', 'exchangeTimeoutMs', /one device has nothing to exchange/],
  [
    { exchange: { transport: 'device' } },
    { exchange: { checksum: true } },
    '--exchange-checksum',
    'exchange.checksum',
    /with --exchange device, which sends no messages/,
  ],
  [{ weights: 'r' }, { net: { init: 'xavier' } }, 'net.init', 'net.init', /with --weights/],
  [
    {},
    { data: { onBadImage: 'skip' } },
    '--on-bad-image',
    'data.onBadImage',
    /with data that does not have a file for each image/,
  ],
  [{}, { data: { upright: true } }, '--upright', 'data.upright', /with data that does not have a file for each image/],
  [{}, { data: { valShare: 0.2 } }, '--val-share', 'data.valShare', /with data that has test images of its own/],
  [
    { data: { source: '/idx' } },
    { data: { onBadImage: 'skip' } },
    '--on-bad-image',
    'data.onBadImage',
    /a file for each/,
  ],
  [{ steps: 9 }, { traceSteps: '10-12,30' }, '--trace-steps', 'traceSteps', /in a run of 9 steps/],
  [LENET, { data: { randomCrop: true } }, '--crop', 'data.randomCrop', /the input's 28 pixels/],
  [LENET, { data: { cropGroup: 32 } }, '--crop-group', 'data.cropGroup', /without --crop and without --flip/],
  [LENET, { data: { saturation: 0.1 } }, '--saturation', 'data.saturation', /grey images/],
  [{ data: { meanImage: true } }, { data: { mean: [1, 2, 3] } }, '--mean', 'data.mean', /with --mean-image/],
  [{}, { data: { colourNoise: { end: 5 } } }, 'data.colourNoise.end', 'data.colourNoise.end', /strength is 0/],
  [{}, { data: { colourNoise: { divide: true } } }, 'data.colourNoise.divide', 'data.colourNoise.divide', /is 0/],
  [{}, { data: { colourNoise: { colours: 'data' } } }, 'data.colourNoise.colours', 'data.colourNoise.colours', /is 0/],
  [
    { epochs: 3 },
    { optimizer: { schedule: { kind: 'steps', epochs: [3, 4], factor: 0.1 } } },
    '--schedule',
    'optimizer.schedule.epochs',
    /in a run of 3 epochs, because the rate would fall later/,
  ],
];

test('a setting without effect is refused if it was typed', () => {
  for (const [so, set, flag, , why] of CASES) {
    for (const layer of [typed, inFile]) {
      const message = new RegExp(
        `^Cannot use ${flag}: it has no effect .*${why.source}.*; leave it out(, or use larger images with --resize 32)?$`,
      );
      assert.throws(() => idle(layer(so), typed(set)), { name: 'ConfigError', message }, flag);
    }
  }
});

test('the message says what would give the setting an effect', () => {
  for (const [so, size] of [
    [LENET, 32],
    [{ preset: 'mini', data: { resize: 67 } }, 77],
  ] as const) {
    const message = new RegExp(`^Cannot use --crop: .*; leave it out, or use larger images with --resize ${size}$`);
    assert.throws(() => idle(typed(so), typed({ data: { randomCrop: true } })), { message });
  }
});

test('a setting without effect in a config file gets a note', () => {
  for (const [so, set, , key, why] of CASES) {
    for (const layer of [typed, inFile]) {
      const notes = idle(inFile(set), layer(so));
      assert.equal(notes.length, 1, key);
      assert.match(notes[0]!, new RegExp(`^${key} in f\\.json has no effect .*${why.source}`));
    }
  }
});

test('a setting with an effect gets no note', () => {
  const pairs: [so: Values, set: Values][] = [
    [{}, { devices: ['CPU:0', 'CPU:1'], exchange: { dtype: 'float16', checksum: true }, exchangeTimeoutMs: 5 }],
    [{ data: { source: '/files' } }, { data: { onBadImage: 'skip' } }],
    [{ data: { source: '/none' } }, { data: { onBadImage: 'skip' } }],
    [{ ...LENET, data: { resize: 32 } }, { data: { randomCrop: true, cropGroup: 4 } }],
    [{}, { data: { saturation: 0.1, mean: [1, 2, 3] }, net: { dropout: false, norm: false, overlap: false } }],
    [{ epochs: 3 }, { optimizer: { schedule: { kind: 'steps', epochs: [2], factor: 0.1 } } }],
    [{ steps: 3 }, { evalEvery: 3, checkpointEvery: 2 }],
    [{ steps: 3 }, { checkpointEvery: '10m' }],
    [{ steps: 3 }, { evalEvery: 0, checkpointEvery: 0 }],
    [{ devices: ['CPU:0', 'CPU:1'] }, { convolutions: 'direct', check: false, keep: 5 }],
  ];
  for (const [so, set] of pairs) {
    assert.deepEqual(idle(typed(so), typed(set)), []);
    assert.deepEqual(idle(inFile(so), inFile(set)), []);
  }
});

test('a harmless setting gets a note', () => {
  const cases: [so: Values, set: Values, said: RegExp][] = [
    [SINGLE, { check: false }, /^--no-check has no effect with --placement single, which is the reference itself$/],
    [LENET, { net: { dropout: false } }, /^--no-dropout has no effect with the net lenet, which has no such layer$/],
    [LENET, { net: { norm: false } }, /^--no-norm has no effect with the net lenet/],
    [
      LENET,
      { net: { overlap: false } },
      /^--no-overlap has no effect with the net lenet, whose pooling windows do not overlap$/,
    ],
    [{ checkpointEvery: 0 }, { keep: 5 }, /^--keep has no effect with --checkpoint-every 0 until the run is resumed/],
    [{ steps: 3 }, { evalEvery: 100 }, /^--eval-every has no effect in a run of 3 steps, which has one evaluation at/],
    [{ steps: 1 }, { checkpointEvery: 2 }, /^--checkpoint-every has no effect in a run of 1 step, which has one check/],
    [{ ...SINGLE, compile: 'xla' }, { convolutions: 'direct' }, /^--convolutions has no effect with --compile xla/],
    [{ devices: ['GPU:0', 'GPU:0'] }, { convolutions: 'direct' }, /^--convolutions has no effect on GPUs/],
  ];
  for (const [so, set, said] of cases) {
    const notes = idle(typed(so), typed(set));
    assert.equal(notes.length, 1);
    assert.match(notes[0]!, said);
  }
});

test('there is no note about what a preset sets, a file repeats, or the program adds', () => {
  assert.deepEqual(idle(typed(SINGLE)), []);
  assert.deepEqual(idle(typed({ preset: 'imagenet-one-gpu', data: { source: 'embedded' } })), []);
  const { config } = resolveConfig([], MACHINE);
  const whole = config as unknown as Values;
  assert.deepEqual(idle(inFile(whole)), []);
  assert.deepEqual(
    idle(inFile(whole), typed(SINGLE)).map((note) => note.split(' ')[0]),
    ['devices'],
  );
  assert.deepEqual(idle({ values: { ...SINGLE, devices: ['CPU:0', 'CPU:1'] } }), []);
  // A file of a split serves `single`, also where the second device is not there.
  const { config: single } = resolveConfig([inFile({ devices: ['CPU:0', 'GPU:7'] }), typed(SINGLE)], MACHINE);
  assert.equal(single.devices[0], 'CPU:0');
});

test('every flag always has an effect, or has a case here', () => {
  const cases = new Set(CASES.map(([, , , key]) => key));
  const said = [
    'check',
    'net.dropout',
    'net.norm',
    'net.overlap',
    'keep',
    'convolutions',
    'evalEvery',
    'checkpointEvery',
  ];
  /** Of use in every run; `steps` and `epochs`, and `logEvery` with `--quiet` or `--json`, are commander's to refuse. */
  const useful = [
    ...['preset', 'net.table', 'net.width', 'net.inputSize', 'net.classes', 'net.activation', 'batchSize', 'seed'],
    ...[
      'overfit',
      'data.source',
      'data.limit',
      'data.colourNoise.strength',
      'data.workers',
      'data.shuffle',
      'data.resize',
      'data.scale',
      'data.flip',
      'data.brightness',
    ],
    ...[
      'data.contrast',
      'data.meanImage',
      'optimizer.learningRate',
      'optimizer.schedule',
      'optimizer.momentum',
      'optimizer.weightDecay',
    ],
    ...[
      'placement',
      'steps',
      'epochs',
      'logEvery',
      'logSteps',
      'weights',
      'run',
      'out',
      'compile',
      'tensorboard',
      'metricsPort',
    ],
    ...['replicas', 'servers', 'coordinator', 'optimizer.headRate', 'optimizer.freeze'],
  ];
  const known = [...cases, ...said, ...useful];
  assert.deepEqual(
    FLAGS.map(({ path }) => path).filter((path) => !known.includes(path)),
    [],
  );
});
