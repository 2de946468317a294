/** The flags that set something in a {@link Config}. The command line and the messages are made from this table. */
import { PRESET_NAMES, TABLE_NAMES } from './schema.js';

/**
 * How a flag's text becomes a value. `numbers` are one number, a list of them, or a word. `on` and `off` are switches for true
 * and false, a `word` one for its own name. A `path` may begin with `~`.
 */
type Kind = 'number' | 'numbers' | 'text' | 'path' | 'list' | 'schedule' | 'on' | 'off' | 'word';

/** The headings of the help, in its order. */
export const HEADINGS = {
  run: 'Run and devices:',
  net: 'Net:',
  data: 'Data:',
  augmentation: 'Augmentation:',
  training: 'Training:',
  checkpoints: 'Evaluation and checkpoints:',
  exchange: 'Exchange:',
  logs: 'Logs and reports:',
} as const;

export interface Flag {
  name: string;
  /** Stands for the value in the help: its unit if it has one. Undefined for a switch. */
  value: string | undefined;
  kind: Kind;
  /** The setting, with dots between the keys. */
  path: string;
  help: string;
  /** What happens without the flag, if no preset has a value that says so. */
  otherwise: string | undefined;
  /** The heading above the flag in the help. */
  heading: string;
  /** The commands that take it. `net`: all that build a net; `data`: all that also read images; `train`: the trainings. */
  group: 'net' | 'data' | 'train';
}

/** `usage` has the flag, and what stands for its value. The help adds the default, which comes from the presets. */
type Row = readonly [kind: Kind, usage: string, path: string, help: string, otherwise?: string];

function section(heading: keyof typeof HEADINGS, group: Flag['group'], rows: readonly Row[]): Flag[] {
  return rows.map(([kind, usage, path, help, otherwise]) => {
    const [name = '', value] = usage.split(/ <|>/);
    return { name, value, kind, path, help, otherwise, heading: HEADINGS[heading], group };
  });
}

export const FLAGS: readonly Flag[] = [
  ...section('run', 'net', [
    ['text', '--preset <name>', 'preset', `named set of settings: auto, ${PRESET_NAMES.join(', ')}`, 'auto'],
    [
      'list',
      '--devices <A,B>',
      'devices',
      'devices of tower 0 and tower 1, such as GPU:0,GPU:1',
      'two GPUs, one GPU twice, or CPU:0,CPU:1',
    ],
    ['list', '--servers <addresses>', 'servers', 'servers whose devices may be used, as HOST:PORT', 'none'],
    ['text', '--coordinator <address>', 'coordinator', 'HOST:PORT where servers reach this process', 'a free port'],
  ]),
  ...section('run', 'train', [
    ['text', '--placement <placement>', 'placement', 'split: two towers on two devices; single: one device'],
    ['text', '--run <name>', 'run', 'name of the run', 'made of placement, preset and time'],
    ['path', '--out <folder>', 'out', 'folder in which runs are stored'],
    [
      'text',
      '--wait-for-servers <duration>',
      'waitForServers',
      'wait so long for a server that is lost, such as 10m, and continue from the newest checkpoint',
      'the run ends',
    ],
    ['off', '--no-check', 'check', 'skip the check against the reference at the start'],
  ]),
  ...section('run', 'data', [
    ['number', '--replicas <k>', 'replicas', 'pairs of towers (or whole nets) that share the images of a step'],
    ['text', '--average <means>', 'average', 'how replicas average gradients: copies, or collective (NCCL on GPUs)'],
    [
      'text',
      '--compile <mode>',
      'compile',
      'on: one compiled function per step; off: op by op; xla: with XLA, for single only',
    ],
    ['text', '--convolutions <mode>', 'convolutions', 'auto: Winograd for large ones on a CPU; direct: no Winograd'],
  ]),
  ...section('net', 'net', [
    ['text', '--net <table>', 'net.table', `table of layers: ${TABLE_NAMES.join(', ')}`],
    ['number', '--width <factor>', 'net.width', 'factor on the number of kernels and units in every layer'],
    ['number', '--input-size <pixels>', 'net.inputSize', 'height and width of the input, in pixels'],
    [
      'number',
      '--classes <n>',
      'net.classes',
      'number of classes; without it, as many as CIFAR-10 or a folder of images has',
    ],
    [
      'text',
      '--activation <function>',
      'net.activation',
      'use relu, sigmoid or tanh in every layer',
      'what the table of layers has',
    ],
    ['off', '--no-dropout', 'net.dropout', 'train without dropout'],
    ['off', '--no-norm', 'net.norm', 'leave out the response normalization'],
    ['off', '--no-overlap', 'net.overlap', 'use pooling windows that do not overlap'],
  ]),
  ...section('data', 'data', [
    ['path', '--data <source>', 'data.source', 'embedded, fashion-mnist, cifar-10, synthetic, or a folder of images'],
    ['word', '--synthetic', 'data.source', 'make images of the seed, to measure speed without data', 'off'],
    ['number', '--limit <images>', 'data.limit', 'train on this many images, of each class its share', 'all'],
    [
      'number',
      '--val-share <share>',
      'data.valShare',
      'use this share of each class for tests, such as 0.2, if there is no folder val',
      'none',
    ],
    ['number', '--resize <pixels>', 'data.resize', 'height and width of an image before it is cropped'],
    [
      'numbers',
      '--mean <levels>',
      'data.mean',
      'grey levels to subtract, one per channel; data: the mean of the training images',
    ],
    [
      'numbers',
      '--scale <factor>',
      'data.scale',
      'factor after that, or one per channel; data: 1 / standard deviation of the training images',
    ],
    ['on', '--mean-image', 'data.meanImage', 'subtract the mean training image, pixel by pixel'],
    ['off', '--no-mean-image', 'data.meanImage', 'subtract one grey level per channel'],
    ['on', '--upright', 'data.upright', 'turn photos as their EXIF orientation says'],
    ['off', '--no-upright', 'data.upright', 'leave photos as they are stored'],
    ['text', '--on-bad-image <action>', 'data.onBadImage', 'fail at an unreadable image, or skip it'],
    [
      'numbers',
      '--workers <threads>',
      'data.workers',
      'number of data workers, which prepare images; auto: by the cores that the towers leave',
    ],
  ]),
  ...section('data', 'train', [
    [
      'text',
      '--shuffle <order>',
      'data.shuffle',
      'order of an epoch: full: any; window: shard after shard, mixed, for disks that read in sequence',
      'full',
    ],
    [
      'number',
      '--shuffle-window <images>',
      'data.shuffleWindow',
      'with --shuffle window: images that are mixed',
      '8192',
    ],
  ]),
  ...section('augmentation', 'data', [
    ['on', '--crop', 'data.randomCrop', 'crop training images at random places'],
    ['off', '--no-crop', 'data.randomCrop', 'crop training images in the centre'],
    ['on', '--flip', 'data.flip', 'mirror half of the training images'],
    ['off', '--no-flip', 'data.flip', 'do not mirror training images'],
    ['number', '--crop-group <images>', 'data.cropGroup', 'images that share one random crop and flip'],
    ['number', '--brightness <amount>', 'data.brightness', 'multiply brightness by a random 1 ± amount'],
    ['number', '--contrast <amount>', 'data.contrast', 'multiply contrast by a random 1 ± amount'],
    ['number', '--saturation <amount>', 'data.saturation', 'multiply saturation by a random 1 ± amount'],
    [
      'number',
      '--colour-noise <factor>',
      'data.colourNoise.strength',
      'strength of noise along the principal components of colour',
    ],
  ]),
  ...section('training', 'train', [
    ['number', '--steps <steps>', 'steps', 'length in steps, instead of epochs'],
    ['number', '--epochs <epochs>', 'epochs', 'length in epochs'],
  ]),
  ...section('training', 'train', [
    [
      'on',
      '--overfit',
      'overfit',
      'learn one batch by heart, without noise, to see that the net can learn; flags beside it hold',
      'off',
    ],
  ]),
  ...section('training', 'net', [
    ['number', '--batch-size <images>', 'batchSize', 'images per step and replica; both towers see all of them'],
  ]),
  ...section('training', 'data', [
    [
      'number',
      '--lr <rate>',
      'optimizer.learningRate',
      'learning rate of the kernels, which the schedule lowers; with one-cycle the highest',
    ],
    [
      'schedule',
      '--schedule <kind>',
      'optimizer.schedule',
      'constant, steps:5,8 (a tenth after these epochs), plateau, cosine, linear, one-cycle',
    ],
    ['on', '--linear-scaling', 'optimizer.linearScaling', 'multiply the learning rate by the number of replicas'],
    [
      'number',
      '--warmup-epochs <epochs>',
      'optimizer.warmupEpochs',
      'epochs, such as 2 or 0.5, in which the rate rises from a hundredth (with --linear-scaling from --lr)',
    ],
    ['number', '--momentum <factor>', 'optimizer.momentum', 'factor of the velocity in each update'],
    ['number', '--weight-decay <factor>', 'optimizer.weightDecay', 'weight decay of the kernels'],
    ['number', '--head-rate <factor>', 'optimizer.headRate', "factor on the last layer's learning rate", '1'],
    ['list', '--freeze <layers>', 'optimizer.freeze', 'do not train these layers, such as conv1-conv5', 'none'],
    ['number', '--seed <n>', 'seed', 'seed of all random numbers'],
  ]),
  ...section('training', 'train', [
    ['path', '--weights <run|file>', 'weights', 'start from the weights of a run or exported file'],
    ['on', '--new-head', 'newHead', 'with --weights: draw the last layer anew, for other classes'],
  ]),
  ...section('checkpoints', 'train', [
    ['number', '--eval-every <steps>', 'evalEvery', 'steps between evaluations; 0: after each epoch'],
    [
      'number',
      '--checkpoint-every <steps>',
      'checkpointEvery',
      'steps or minutes (5m) between checkpoints; 0: only at the end',
    ],
    ['number', '--keep <checkpoints>', 'keep', 'number of newest checkpoints to keep, beside the best'],
  ]),
  ...section('exchange', 'data', [
    ['text', '--exchange <transport>', 'exchange.transport', 'how towers exchange: msgpack or device'],
    ['text', '--exchange-dtype <type>', 'exchange.dtype', 'float32 or float16: type of the exchanged values'],
    ['on', '--exchange-checksum', 'exchange.checksum', 'add a checksum to every message'],
  ]),
  ...section('logs', 'train', [
    ['number', '--log-every <steps>', 'logEvery', 'steps between printed lines, if stdout is not a terminal'],
    ['number', '--log-steps <steps>', 'logSteps', 'steps in one line of the log; 1: a line for each step'],
    ['on', '--tensorboard', 'tensorboard', "write event files for TensorBoard into the run's folder"],
    ['off', '--no-tensorboard', 'tensorboard', 'write none, in a run that is resumed'],
    ['number', '--metrics-port <port>', 'metricsPort', 'serve metrics for Prometheus on loopback; 0: any free port'],
    ['text', '--trace-steps <steps>', 'traceSteps', 'steps to trace, such as 100-102 or 5,9-11', 'none'],
  ]),
];
