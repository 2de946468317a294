/** The messages for wrong settings. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { resolveConfig } from '../../src/config/config.js';
import type { ConfigLayer } from '../../src/config/layers.js';
import { flags, machineWith } from './machines.js';

function resolve(layers: readonly ConfigLayer[]) {
  return resolveConfig(layers, machineWith('CPU:0', 'CPU:1'));
}

/** From a file; `message` is the whole of it. */
const REFUSED_IN_FILE: [values: Record<string, unknown>, message: string][] = [
  [{ batchSise: 4 }, 'Cannot use the unknown key batchSise in f.json; did you mean "batchSize"?'],
  [{ net: { with: 4 } }, 'Cannot use the unknown key net.with in f.json; did you mean "width"?'],
  [
    { optimizer: { schedule: { zzzz: 1 } } },
    'Cannot use the unknown key optimizer.schedule.zzzz in f.json; known keys: kind, epochs, factor',
  ],
  [
    { net: { kind: 'x' } },
    'Cannot use the unknown key net.kind in f.json; known keys: table, width, inputSize, inputChannels, classes, init, dropout, activation, norm, overlap',
  ],
  [
    { preset: 'zzz' },
    'preset in f.json is "zzz", expected one of auto, mini, photos, fashion, tutorial, lenet, cifar, torchvision, imagenet, imagenet-paper, imagenet-one-gpu, imagenet-columns',
  ],
  [
    { preset: 'phtoos' },
    'preset in f.json is "phtoos", expected one of auto, mini, photos, fashion, tutorial, lenet, cifar, torchvision, imagenet, imagenet-paper, imagenet-one-gpu, imagenet-columns; did you mean photos?',
  ],
  [
    { preset: null },
    'preset in f.json is null, expected one of auto, mini, photos, fashion, tutorial, lenet, cifar, torchvision, imagenet, imagenet-paper, imagenet-one-gpu, imagenet-columns',
  ],
  [{ placement: 'both' }, 'placement in f.json is "both", expected one of split, single'],
  [{ batchSize: '4' }, 'batchSize in f.json is "4", expected a whole number from 1 to 65536'],
  [{ batchSize: 1.5 }, 'batchSize in f.json is 1.5, expected a whole number from 1 to 65536'],
  [{ seed: 2 ** 32 }, 'seed in f.json is 4294967296, expected a whole number from 0 to 4294967295'],
  [{ check: 1 }, 'check in f.json is 1, expected true or false'],
  [{ run: 5 }, 'run in f.json is 5, expected a text'],
  [{ out: '' }, 'out in f.json is "", expected a text that is not empty'],
  [{ devices: 'CPU:0' }, 'devices in f.json is "CPU:0", expected a list of devices such as CPU:0'],
  [{ devices: [] }, 'devices in f.json is [], expected a list of devices such as CPU:0'],
  [{ devices: [5, 6] }, 'devices.0 in f.json is 5, expected a device such as CPU:0, GPU:1 or 10.0.0.2:2222/GPU:0'],
  [{ optimizer: { learningRate: 0 } }, 'optimizer.learningRate in f.json is 0, expected a number above 0'],
  [{ optimizer: { momentum: 1 } }, 'optimizer.momentum in f.json is 1, expected a number from 0 to below 1'],
  [{ optimizer: { schedule: null } }, 'optimizer.schedule in f.json is null, expected an object with kind'],
  [
    { optimizer: { schedule: { kind: 'sine' } } },
    'optimizer.schedule.kind in f.json is "sine", expected one of constant, steps, plateau, cosine, linear, one-cycle',
  ],
  [
    { optimizer: { schedule: { kind: 'one-cycle', rise: 1 } } },
    'optimizer.schedule.rise in f.json is 1, expected a number from 0 to below 1',
  ],
  [
    { optimizer: { warmupEpochs: -1 } },
    'optimizer.warmupEpochs in f.json is -1, expected a number of epochs from 0 to 1000000, such as 2 or 0.5',
  ],
  [
    { optimizer: { schedule: { epochs: [0] } } },
    'optimizer.schedule.epochs.0 in f.json is 0, expected a whole number from 1 to 1000000',
  ],
  [
    { optimizer: { schedule: { kind: 'plateau', factor: 0.1, patience: 0, least: 1e-5 } } },
    'optimizer.schedule.patience in f.json is 0, expected a whole number from 1 to 1000000',
  ],
  [
    { optimizer: { ownRates: [{ after: 3, factor: 0, layr: 'conv1' }] } },
    'Cannot use the unknown key optimizer.ownRates.0.layr in f.json; did you mean "layer"?',
  ],
  [
    { optimizer: { ownRates: [{ after: 3, factor: -1 }] } },
    'optimizer.ownRates.0.factor in f.json is -1, expected a number from 0 up',
  ],
  [
    { optimizer: { ownRates: [{ layer: 'conv9', after: 3, factor: 1 }] } },
    'optimizer.ownRates.0.layer is "conv9", expected one of conv1, conv2, conv3, conv4, conv5, fc6, fc7, fc8',
  ],
  [
    { data: { mean: [1, 'a', 2] } },
    'data.mean in f.json is [1,"a",2], expected a list of one grey level (0 to 255) per channel, or data',
  ],
  ...[0, [], 'x'].map((scale): [Record<string, unknown>, string] => [
    { data: { scale } },
    `data.scale in f.json is ${JSON.stringify(scale)}, expected a number above 0, a list of one for each channel, or data`,
  ]),
  [{ data: { scale: [1, 0, 1] } }, 'data.scale.1 in f.json is 0, expected a number above 0'],
  [
    { data: { scale: [1, 2] } },
    'data.scale has length 2, expected one factor for each of the 3 channels of net.inputChannels, or one number; set both',
  ],
  [
    { data: 5 },
    'data in f.json is 5, expected an object with source, resize, interpolation, upright, randomCrop, flip, brightness, contrast, saturation, mean, meanImage, colourNoise, cropGroup, scale, onBadImage, limit, valShare, workers, shuffle, shuffleWindow',
  ],
];

test('resolveConfig() says what is wrong in a file, and where', () => {
  for (const [values, message] of REFUSED_IN_FILE) {
    assert.throws(() => resolve([{ file: 'f.json', values }, flags({})]), {
      name: 'ConfigError',
      message,
      exitCode: 2,
    });
  }
});

/** From the flags. */
const REFUSED_IN_FLAGS: [values: Record<string, unknown>, message: string][] = [
  [{ batchSize: 0 }, '--batch-size is 0, expected a whole number from 1 to 65536'],
  [{ batchSize: Number.POSITIVE_INFINITY }, '--batch-size is Infinity, expected a whole number from 1 to 65536'],
  ...[-1, 1.5, '10', 'm', '0m', '1h'].map((value): [Record<string, unknown>, string] => [
    { checkpointEvery: value },
    `--checkpoint-every is ${JSON.stringify(value)}, expected a number of steps, or minutes such as 10m; 0 is at the end only`,
  ]),
  [{ keep: 0 }, '--keep is 0, expected a whole number from 1 to 1000000'],
  [{ steps: 'many' }, '--steps is "many", expected a whole number from 1 to 1000000000'],
  [{ optimizer: { learningRate: -1 } }, '--lr is -1, expected a number above 0'],
  [
    { net: { table: 'vgg' } },
    '--net is "vgg", expected one of original, paper, one-gpu, columns, tutorial, torchvision, lenet, cifar',
  ],
  [{ net: { width: 9 } }, '--width is 9, expected a number above 0 and up to 8'],
  [{ devices: ['CPU:0', ''] }, '--devices is "", expected a device such as CPU:0, GPU:1 or 10.0.0.2:2222/GPU:0'],
  [
    { devices: ['CPU:0', 'CPU:9'] },
    'Cannot use the device CPU:9: TensorFlow has CPU:0, CPU:1 here; choose from these with --devices',
  ],
  [
    { devices: ['GPU:0', 'CPU:0'] },
    'Cannot use the device GPU:0: TensorFlow has CPU:0, CPU:1 here; choose from these with --devices; nvidia-smi shows whether the driver sees the GPU',
  ],
  [
    { devices: ['CPU:0'] },
    'Cannot split over CPU:0: expected two devices, one for each tower; name two with --devices; naming one device twice puts both towers on it',
  ],
  [
    { optimizer: { freeze: ['conv5-conv1'] } },
    '--freeze is "conv5-conv1", expected layers of the net original or ranges of them, such as conv1-conv2, or none; its layers are conv1, conv2, conv3, conv4, conv5, fc6, fc7, fc8',
  ],
  [
    { optimizer: { freeze: ['conv1-fc8'] } },
    'Cannot freeze conv1-fc8: these are all layers with weights, expected at least one that is trained; leave one out of --freeze',
  ],
  [
    { optimizer: { freeze: ['fc8'] }, weights: 'x', newHead: true },
    'Cannot freeze fc8: --new-head draws its weights anew, so they have to be trained; leave it out of --freeze',
  ],
  [
    { data: { resize: 60 } },
    "data.resize is 60, expected at least the net's input of 67 pixels, which is cropped from it; set both",
  ],
  [
    { data: { mean: [1] } },
    'data.mean has length 1, expected one grey level for each of the 3 channels of net.inputChannels; set both',
  ],
  [
    { net: { inputSize: 16 } },
    'Cannot build the net "original" at 16×16 pixels: pool2 has a 3×3 window on 1×1 pixels; choose a larger --input-size',
  ],
];

test('resolveConfig() says what is wrong with a flag, by its name', () => {
  for (const [values, message] of REFUSED_IN_FLAGS) {
    assert.throws(() => resolve([flags(values)]), { name: 'ConfigError', message });
  }
});
