/**
 * The settings of a run: one schema gives their types, their ranges and what a message says that it expected. A message
 * is the second half of "<path> is <value>, expected …". What has no flag, whose help explains it, has a description here.
 */
import { z } from 'zod';
import { TABLES, type TableName } from '../model/tables.js';
import { rangesOf } from './steps.js';

export const PRESET_NAMES = [
  ...(['mini', 'photos', 'fashion', 'tutorial', 'lenet', 'cifar', 'torchvision'] as const),
  ...(['imagenet', 'imagenet-paper', 'imagenet-one-gpu', 'imagenet-columns'] as const),
] as const;
/** Values of `data.source` that are no folder. */
export const NAMED_SOURCES: readonly string[] = ['embedded', 'fashion-mnist', 'cifar-10', 'synthetic'];
export const SCHEDULE_KINDS = ['constant', 'steps', 'plateau', 'cosine', 'linear', 'one-cycle'] as const;
export const TABLE_NAMES = Object.keys(TABLES) as [TableName, ...TableName[]];

function whole(from: number, to: number) {
  const expected = `a whole number from ${from} to ${to}`;
  return z.int(expected).min(from, expected).max(to, expected);
}

function above(from: number, to?: number) {
  const expected = to === undefined ? `a number above ${from}` : `a number above ${from} and up to ${to}`;
  const number = z.number(expected).gt(from, expected);
  return to === undefined ? number : number.max(to, expected);
}

function from(from: number, below?: number) {
  const expected = below === undefined ? `a number from ${from} up` : `a number from ${from} to below ${below}`;
  const number = z.number(expected).min(from, expected);
  return below === undefined ? number : number.lt(below, expected);
}

function oneOf<const T extends readonly [string, ...string[]]>(names: T) {
  return z.enum(names, `one of ${names.join(', ')}`);
}

/** The message about an unknown key is the list of the known ones. */
function keys<T extends z.ZodRawShape>(shape: T) {
  const names = Object.keys(shape).join(', ');
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? names : `an object with ${names}`),
  });
}

const bool = z.boolean('true or false');
const text = z.string('a text').min(1, 'a text that is not empty');
const pathOrEmpty = z.string('a text').refine((value) => !value.includes('\0'), 'a path, which has no character 0');
const path = pathOrEmpty.min(1, 'a text that is not empty');
const STEPS = 'up to 100 steps or ranges, such as 100-102 or 5,9-11, from 1 up';
const steps = z
  .string(STEPS)
  .regex(/^\d+(-\d+)?(,\d+(-\d+)?)*$/, STEPS) // what the schema for editors can say
  .refine((value) => rangesOf(value) !== undefined, STEPS);
const DEVICE = 'a device such as CPU:0, GPU:1 or 10.0.0.2:2222/GPU:0';
const device = z.string(DEVICE).regex(/^(\S+:\d{1,5}\/)?[A-Z_]+:\d+$|^GPU:\d+\/\d+$/, DEVICE);
const ADDRESS = 'an address such as 10.0.0.2:2222';
const address = z.string(ADDRESS).regex(/^\S+:\d{1,5}$/, ADDRESS);
const INTERVAL = 'a number of steps, or minutes such as 10m; 0 is at the end only';
const DURATION = 'seconds, minutes or hours such as 30s, 10m or 2h';
const duration = z.string(DURATION).regex(/^\d{1,6}(\.\d{1,3})?[smh]$/, DURATION);
/** Steps, or minutes as `10m`. */
const interval = z.union(
  [
    z.int(INTERVAL).min(0, INTERVAL).max(1_000_000_000, INTERVAL),
    z.string().regex(/^(?!0+(\.0*)?m$)\d{1,6}(\.\d{1,6})?m$/, INTERVAL),
  ],
  INTERVAL,
);

const SHARE = 'a number above 0 and below 1';

/** See `Schedule` in `optim/schedule.ts`. The defaults are those of a flag that names the kind alone. */
const drop = above(0, 1).describe('by which the rate is multiplied each time').default(0.1);
const least = from(0).describe('the rate towards which it falls, until the end of the run').default(0);
const schedule = z.discriminatedUnion(
  'kind',
  [
    keys({ kind: z.literal('constant') }),
    keys({
      kind: z.literal('steps'),
      epochs: z.array(whole(1, 1_000_000), 'a list of epochs').describe('epochs after which the rate falls'),
      factor: drop,
    }),
    keys({
      kind: z.literal('plateau'),
      factor: drop,
      patience: whole(1, 1_000_000).describe('epochs without a lower test error after which the rate falls').default(3),
      least: above(0).describe('the rate does not fall below this').default(1e-5),
    }),
    keys({ kind: z.literal('cosine'), least }),
    keys({ kind: z.literal('linear'), least }),
    keys({
      kind: z.literal('one-cycle'),
      rise: from(0, 1).describe('share of the run in which the rate rises to --lr').default(0.3),
      divide: from(1).describe('the first rate is --lr divided by this').default(25),
      finalDivide: from(1).describe('the last rate is the first one divided by this').default(10_000),
    }),
  ],
  // If the kind is unknown, the issue's path ends with `kind`.
  {
    error: (issue) => (issue.code === 'invalid_union' ? `one of ${SCHEDULE_KINDS.join(', ')}` : 'an object with kind'),
  },
);

/** See `NetOptions` in `model/net.ts`. */
const net = keys({
  table: oneOf(TABLE_NAMES),
  width: above(0, 8),
  inputSize: whole(1, 4096),
  inputChannels: whole(1, 64).describe('channels of the input: 1 for grey images, 3 for colour'),
  classes: whole(2, 65_536),
  init: oneOf(['table', 'he', 'xavier', 'pytorch']).describe('how initial values are drawn'),
  dropout: bool.describe('train with dropout'),
  activation: oneOf(['relu', 'sigmoid', 'tanh']).exactOptional(),
  norm: bool.describe('response normalization, where the table of layers has it').exactOptional(),
  overlap: bool.describe('pooling windows that overlap, where the table of layers has them').exactOptional(),
});

const WARMUP = 'a number of epochs from 0 to 1000000, such as 2 or 0.5';
/** See `OptimizerOptions` in `optim/schedule.ts`. */
const optimizer = keys({
  learningRate: above(0),
  momentum: from(0, 1),
  weightDecay: from(0),
  biasRateFactor: from(0).describe("factor on the learning rate for the biases' rate"),
  biasDecay: from(0).describe('weight decay of the biases'),
  schedule: schedule.describe('how the learning rate changes'),
  ownRates: z
    .array(
      keys({
        layer: text.describe('the layer; every layer if absent').optional(),
        role: oneOf(['kernel', 'bias']).describe('kernel or bias; both if absent').optional(),
        after: whole(0, 1_000_000).describe('the epoch after which this holds'),
        factor: from(0).describe('factor on the learning rate of the first epoch'),
      }),
      'a list of rates',
    )
    .describe('learning rates of single layers, instead of those of the schedule')
    .optional(),
  headRate: above(0).describe("factor on the last layer's learning rate").optional(),
  freeze: z
    .array(text, 'a list of layers or ranges such as conv1-conv5')
    .describe('layers that are not trained, such as conv1-conv5; none: all are trained')
    .optional(),
  linearScaling: z
    .union([bool, above(0)], 'true, false, or the factor on the learning rate')
    .describe('multiply the learning rate by the number of replicas, or by this factor')
    .optional(),
  warmupEpochs: z.number(WARMUP).min(0, WARMUP).max(1_000_000, WARMUP).optional(),
  warmupFrom: from(0, 1)
    .describe(
      'share of the rate with which the warm-up begins; if absent 0.01, or with linearScaling the rate without it',
    )
    .optional(),
});

const MEAN = 'a list of one grey level (0 to 255) per channel, or data';
const WORKERS = 'a whole number from 0 to 64, or auto';
const SCALE = 'a number above 0, a list of one for each channel, or data';

/** The settings of the images; see also `ImageOptions` in `data/augment.ts`. */
const data = keys({
  /** One of {@link NAMED_SOURCES}, or a folder. Empty if nothing names the data: `resolveConfig` then refuses to train. */
  source: pathOrEmpty,
  /** Height and width in pixels of an image before the crop to the net's input. */
  resize: whole(1, 4096),
  interpolation: oneOf(['lanczos', 'bilinear'])
    .describe('how image files are scaled: lanczos, or bilinear as Pillow and torchvision do; lanczos if absent')
    .exactOptional(),
  /** Whether photos are turned as their EXIF orientation says. Absent where they are not. */
  upright: bool
    .describe('turn image files as their EXIF orientation says; absent: they stay as they are')
    .exactOptional(),
  randomCrop: bool,
  flip: bool,
  brightness: from(0),
  contrast: from(0),
  saturation: from(0),
  mean: z.union([z.array(from(0, 256), MEAN).min(1, MEAN), z.literal('data')], MEAN),
  /** Whether the mean of the training images is subtracted, pixel by pixel, instead of `mean`. */
  meanImage: bool,
  /** Noise along the principal components of the images' colours (paper §4.1). */
  colourNoise: keys({
    /** Factor on the components' standard deviations; 0 is no noise. */
    strength: from(0),
    end: whole(1, 1_000_000).nullable().describe('first epoch without noise, counted from 1; null: all epochs have it'),
    divide: bool.describe('divide an image with noise by 1 + strength'),
    colours: oneOf(['imagenet', 'data']).describe('the components of ImageNet, or those of the training images'),
  }),
  /** Consecutive images of a batch that share one random crop and flip; 1 if each has its own. */
  cropGroup: whole(1, 65_536),
  scale: z.union([z.number(SCALE).gt(0, SCALE), z.array(above(0), SCALE).min(1, SCALE), z.literal('data')], SCALE),
  /** What happens if an image file cannot be read: the run fails, or continues without it. */
  onBadImage: oneOf(['fail', 'skip']),
  /** Number of training images, of each class its share; absent: all. */
  limit: whole(1, 1_000_000_000).exactOptional(),
  /** Share of each class that is used for tests if the data has no test images; absent: such data is refused. */
  valShare: z.number(SHARE).gt(0, SHARE).lt(1, SHARE).exactOptional(),
  /** `auto`: as many as the towers leave cores. */
  workers: z.union([whole(0, 64), z.literal('auto')], WORKERS),
  /** The order of the training images in an epoch; absent: full. */
  shuffle: oneOf(['full', 'window']).exactOptional(),
  shuffleWindow: whole(1, 1_000_000_000).exactOptional(),
});

/** All settings, in the order that `config.json` has. An unknown key is an error. */
export const CONFIG_SCHEMA = keys({
  preset: z.enum(PRESET_NAMES, `one of auto, ${PRESET_NAMES.join(', ')}`),
  placement: oneOf(['split', 'single']),
  /** `split`: the devices of tower 0 and tower 1 of each pair, which may be the same one. `single`: one for each replica. */
  devices: z.array(device, 'a list of devices such as CPU:0').min(1, 'a list of devices such as CPU:0'),
  servers: z.array(address, 'a list of addresses').describe('servers whose devices the run may use, as HOST:PORT'),
  /** Where the servers reach this process, as `HOST:PORT`; null: an address of this machine, and a free port. */
  coordinator: address.nullable(),
  /** How long a run waits for servers that are not there, or were lost, as `10m`; null: it ends. */
  waitForServers: duration.nullable(),
  net,
  optimizer,
  data,
  /** Whether the run learns one batch by heart, on which it is tested too; see `overfit.ts`. */
  overfit: bool.exactOptional(),
  /** Images per step of each replica; both towers of a pair see all of them. */
  batchSize: whole(1, 65_536),
  /** Replicas of the net, which train with different images of a step and average their gradients: pairs of towers, or whole nets. */
  replicas: whole(1, 64),
  /** How the replicas average their gradients. */
  average: oneOf(['copies', 'collective']),
  epochs: whole(1, 1_000_000),
  /** The run's length in steps; null if `epochs` gives the length. */
  steps: whole(1, 1_000_000_000).nullable(),
  seed: whole(0, 2 ** 32 - 1),
  logEvery: whole(1, 1_000_000_000),
  /** Steps in one line of the log; see `step-lines.ts`. */
  logSteps: whole(1, 10_000),
  /** Whether the run writes event files for TensorBoard. */
  tensorboard: bool,
  /** The port on loopback where the run serves its metrics; 0 is any free one; null serves none. */
  metricsPort: whole(0, 65_535).nullable(),
  /** Steps between evaluations; 0 is one at the end of each epoch. */
  evalEvery: whole(0, 1_000_000_000),
  /** Steps between checkpoints, or minutes as `10m`; 0 is one at the end only. */
  checkpointEvery: interval,
  /** How many of the newest checkpoints are kept, beside the one with the best evaluation. */
  keep: whole(1, 1_000_000),
  /** Name of the run; its folder is `<out>/<run>`. */
  run: text,
  out: path,
  /** The weights to start from: a run by name or path, or a file of the whole net; null starts from `net.init`. */
  weights: path.nullable(),
  /** Whether the last layer is drawn anew instead, for other classes than those of the weights. */
  newHead: bool,
  /** How the towers exchange activations. `device` falls back to `msgpack` if its self-test fails. */
  exchange: keys({
    transport: oneOf(['msgpack', 'device']),
    /** How `msgpack` encodes values. */
    dtype: oneOf(['float32', 'float16']),
    /** Whether every message of `msgpack` has a checksum. The check before a run always has them. */
    checksum: bool,
  }),
  exchangeTimeoutMs: whole(1, 86_400_000).describe("milliseconds that a tower waits for the other one's message"),
  /** How a step runs: as one TensorFlow function, op by op, or as one XLA function (`single` only). */
  compile: oneOf(['on', 'off', 'xla']),
  /** `auto` computes large convolutions by Winograd's algorithm if that is faster. */
  convolutions: oneOf(['auto', 'direct']),
  check: bool.describe('compare the split with the reference before the first step'),
  traceSteps: steps.nullable().describe('steps to trace, such as 100-102 or 5,9-11; null: none'),
});

/** Whether a value, which may not have been checked yet, is a duration as the settings have it. */
export function isDuration(value: unknown): value is string {
  return duration.safeParse(value).success;
}

type Immutable<T> = T extends object ? { readonly [Key in keyof T]: Immutable<T[Key]> } : T;

/** A run's settings: complete, valid and frozen. */
export interface Config extends Immutable<z.infer<typeof CONFIG_SCHEMA>> {}
export type PresetName = Config['preset'];
/** The settings of the images with numbers where they may say `data`. */
export type MeasuredData = Config['data'] & {
  readonly mean: readonly number[];
  readonly scale: number | readonly number[];
};
/** A preset: every setting that does not depend on the machine and the time. */
export type Preset = Omit<Config, 'devices' | 'run' | 'data'> & { readonly data: MeasuredData };
