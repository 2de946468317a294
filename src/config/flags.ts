/** The flags that set something in a {@link Config}: the command line is made from this table, and so are messages. */
import { PLACEMENTS, PRESET_NAMES, TABLE_NAMES } from './schema.js';

/** A flag. `kind`: how its text becomes a value; `off` is a switch that sets false. */
export interface Flag {
  /** `--batch-size`. */
  name: string;
  kind: 'number' | 'text' | 'list' | 'off';
  /** Where the value goes, dots between the keys. */
  path: string;
  help: string;
  /** What stands for the value in the help. */
  value?: string;
  /** The commands that take it; `net`: all that build one, `data`: all that also read images. */
  group: 'net' | 'data' | 'train' | 'summary' | 'hidden';
}

export const FLAGS: readonly Flag[] = [
  {
    name: '--preset',
    kind: 'text',
    path: 'preset',
    value: `auto|${PRESET_NAMES.join('|')}`,
    group: 'net',
    help: 'where the settings start from',
  },
  {
    name: '--net',
    kind: 'text',
    path: 'net.table',
    value: TABLE_NAMES.join('|'),
    group: 'net',
    help: 'table of the net',
  },
  {
    name: '--width',
    kind: 'number',
    path: 'net.width',
    value: 'factor',
    group: 'net',
    help: 'factor on kernels and units',
  },
  {
    name: '--input-size',
    kind: 'number',
    path: 'net.inputSize',
    value: 'pixels',
    group: 'net',
    help: 'height and width of the input',
  },
  {
    name: '--classes',
    kind: 'number',
    path: 'net.classes',
    value: 'n',
    group: 'summary',
    help: 'number of classes',
  },
  {
    name: '--activation',
    kind: 'text',
    path: 'net.activation',
    value: 'relu|sigmoid|tanh',
    group: 'net',
    help: 'activation of every layer',
  },
  { name: '--no-dropout', kind: 'off', path: 'net.dropout', group: 'net', help: 'train without dropout' },
  {
    name: '--batch-size',
    kind: 'number',
    path: 'batchSize',
    value: 'images',
    group: 'net',
    help: 'images a step, both towers together',
  },
  {
    name: '--devices',
    kind: 'list',
    path: 'devices',
    value: 'A,B',
    group: 'net',
    help: 'devices of tower 0 and tower 1, such as CPU:0,CPU:1',
  },
  {
    name: '--data',
    kind: 'text',
    path: 'data.source',
    value: 'source',
    group: 'data',
    help: 'embedded, fashion-mnist, or a folder',
  },
  {
    name: '--workers',
    kind: 'number',
    path: 'data.workers',
    value: 'threads',
    group: 'data',
    help: 'threads that prepare images',
  },
  { name: '--seed', kind: 'number', path: 'seed', value: 'n', group: 'data', help: 'seed of everything random' },
  {
    name: '--lr',
    kind: 'number',
    path: 'optimizer.learningRate',
    value: 'rate',
    group: 'data',
    help: 'learning rate of the kernels',
  },
  { name: '--momentum', kind: 'number', path: 'optimizer.momentum', value: 'factor', group: 'data', help: 'momentum' },
  {
    name: '--weight-decay',
    kind: 'number',
    path: 'optimizer.weightDecay',
    value: 'factor',
    group: 'data',
    help: 'weight decay of the kernels',
  },
  {
    name: '--placement',
    kind: 'text',
    path: 'placement',
    value: PLACEMENTS.join('|'),
    group: 'train',
    help: 'two towers on two devices, or the whole net on one',
  },
  { name: '--steps', kind: 'number', path: 'steps', value: 'n', group: 'train', help: 'length of the run in steps' },
  { name: '--epochs', kind: 'number', path: 'epochs', value: 'n', group: 'train', help: 'length of the run in epochs' },
  {
    name: '--eval-every',
    kind: 'number',
    path: 'evalEvery',
    value: 'steps',
    group: 'train',
    help: 'steps between evaluations; 0: each epoch',
  },
  {
    name: '--log-every',
    kind: 'number',
    path: 'logEvery',
    value: 'steps',
    group: 'train',
    help: 'steps between printed lines',
  },
  {
    name: '--checkpoint-every',
    kind: 'number',
    path: 'checkpointEvery',
    value: 'steps|minutes',
    group: 'train',
    help: 'steps between checkpoints, or minutes (10m); 0: at the end only',
  },
  {
    name: '--keep',
    kind: 'number',
    path: 'keep',
    value: 'n',
    group: 'train',
    help: 'newest checkpoints that stay, beside the best',
  },
  { name: '--run', kind: 'text', path: 'run', value: 'name', group: 'train', help: 'name of the run' },
  { name: '--out', kind: 'text', path: 'out', value: 'folder', group: 'train', help: 'folder that holds the runs' },
  {
    name: '--exchange',
    kind: 'text',
    path: 'exchange.transport',
    value: 'msgpack|device',
    group: 'data',
    help: 'how halves cross: as messages, or from device to device',
  },
  {
    name: '--exchange-dtype',
    kind: 'text',
    path: 'exchange.dtype',
    value: 'float32|float16',
    group: 'data',
    help: 'how messages write values',
  },
  {
    name: '--exchange-overlap',
    kind: 'text',
    path: 'exchange.overlap',
    value: 'auto|on|off',
    group: 'data',
    help: "begin a layer with the own half while the peer's comes; auto: on two GPUs",
  },
  {
    name: '--compile',
    kind: 'text',
    path: 'compile',
    value: 'on|off|grappler|xla',
    group: 'data',
    help: 'how segments run: compiled, op by op, through an optimizer',
  },
  {
    name: '--no-check',
    kind: 'off',
    path: 'check',
    group: 'train',
    help: 'skip the comparison with the reference before step 1',
  },
  { name: '--fault', kind: 'text', path: 'fault', value: 'spec', group: 'hidden', help: 'inject a fault' },
];
