/**
 * The settings of a run: one schema gives their types, their ranges and what a message says that it expected. A message
 * is the second half of "<path> is <value>, expected …".
 */
import { z } from 'zod';
import { TABLES, type TableName } from '../model/tables.js';

export const PRESET_NAMES = [
  ...(['mini', 'fashion', 'tutorial', 'lenet'] as const),
  ...(['imagenet', 'imagenet-paper', 'imagenet-one-gpu', 'imagenet-columns'] as const),
] as const;
export const TABLE_NAMES = Object.keys(TABLES) as [TableName, ...TableName[]];

function number(expected: string, isValid: (value: number) => boolean) {
  return z.custom<number>((value) => typeof value === 'number' && Number.isFinite(value) && isValid(value), expected);
}

function whole(from: number, to: number) {
  const expected = `a whole number from ${from} to ${to}`;
  return number(expected, (value) => Number.isInteger(value) && value >= from && value <= to);
}

function above(from: number, to?: number) {
  const expected = to === undefined ? `a number above ${from}` : `a number above ${from} and up to ${to}`;
  return number(expected, (value) => value > from && value <= (to ?? value));
}

function from(from: number, below?: number) {
  const expected = below === undefined ? `a number from ${from} up` : `a number from ${from} to below ${below}`;
  return number(expected, (value) => value >= from && (below === undefined || value < below));
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
const device = z
  .string('a device such as CPU:0 or GPU:1')
  .regex(/^([A-Z_]+:\d+|GPU:\d+\/\d+)$/, 'a device such as CPU:0 or GPU:1');
/** Steps, or minutes as `10m`. Not a union, because a union has a message for each of its options. */
const interval = z.custom<number | string>(
  (value) =>
    typeof value === 'number'
      ? Number.isInteger(value) && value >= 0 && value <= 1_000_000_000
      : typeof value === 'string' && /^(?!0+(\.0*)?m$)\d{1,6}(\.\d{1,6})?m$/.test(value),
  'a number of steps, or minutes such as 10m; 0 is at the end only',
);

/** See `Schedule` in `optim/schedule.ts`. */
const schedule = z.discriminatedUnion(
  'kind',
  [
    keys({ kind: z.literal('constant') }),
    keys({ kind: z.literal('steps'), epochs: z.array(whole(1, 1_000_000), 'a list of epochs'), factor: above(0, 1) }),
    keys({ kind: z.literal('plateau'), factor: above(0, 1), patience: whole(1, 1_000_000), least: above(0) }),
  ],
  // If the kind is unknown, the issue's path ends with `kind`.
  { error: (issue) => (issue.code === 'invalid_union' ? 'one of constant, steps, plateau' : 'an object with kind') },
);

/** See `NetOptions` in `model/net.ts`. */
const net = keys({
  table: oneOf(TABLE_NAMES),
  width: above(0, 8),
  inputSize: whole(1, 4096),
  inputChannels: whole(1, 64),
  classes: whole(2, 65_536),
  init: oneOf(['table', 'he', 'xavier']),
  dropout: bool,
  activation: oneOf(['relu', 'sigmoid', 'tanh']).exactOptional(),
  norm: bool.exactOptional(),
  overlap: bool.exactOptional(),
});

/** See `OptimizerOptions` in `optim/schedule.ts`. */
const optimizer = keys({
  learningRate: above(0),
  momentum: from(0, 1),
  weightDecay: from(0),
  biasRateFactor: from(0),
  biasDecay: from(0),
  schedule,
  ownRates: z
    .array(
      keys({
        layer: text.optional(),
        role: oneOf(['kernel', 'bias']).optional(),
        after: whole(0, 1_000_000),
        factor: from(0),
      }),
      'a list of rates',
    )
    .optional(),
});

/** The settings of the images; see also `ImageOptions` in `data/augment.ts`. */
const data = keys({
  /** `embedded`, `fashion-mnist` or a folder. Empty if nothing names the data: `resolveConfig` then refuses to train. */
  source: pathOrEmpty,
  /** Height and width in pixels of an image before the crop to the net's input. */
  resize: whole(1, 4096),
  randomCrop: bool,
  flip: bool,
  brightness: from(0),
  contrast: from(0),
  saturation: from(0),
  /** Grey levels (0 to 255) that are subtracted, one per channel. */
  mean: z.array(from(0, 256), 'a list of one grey level per channel').min(1, 'a list of one grey level per channel'),
  /** Whether the mean of the training images is subtracted, pixel by pixel, instead of `mean`. */
  meanImage: bool,
  /** Noise along the principal components of the images' colours (paper §4.1). */
  colourNoise: keys({
    /** Factor on the components' standard deviations; 0 is no noise. */
    strength: from(0),
    /** The first epoch without noise, counted from 1; null if all epochs have it. */
    end: whole(1, 1_000_000).nullable(),
    /** Whether an image with noise is then divided by 1 + `strength`. */
    divide: bool,
    /** The components of ImageNet, or those of the training images. */
    colours: oneOf(['imagenet', 'data']),
  }),
  /** Consecutive images of a batch that share one random crop and flip; 1 if each has its own. */
  cropGroup: whole(1, 65_536),
  /** Factor on the grey levels once the mean is subtracted. */
  scale: above(0),
  /** What happens if an image file cannot be read: the run fails, or continues without it. */
  onBadImage: oneOf(['fail', 'skip']),
  workers: whole(0, 64),
});

/** All settings, in the order that `config.json` has. An unknown key is an error. */
export const CONFIG_SCHEMA = keys({
  preset: z.enum(PRESET_NAMES, `one of auto, ${PRESET_NAMES.join(', ')}`),
  placement: oneOf(['split', 'single']),
  /** `split`: the devices of tower 0 and tower 1, which may be the same one. `single` uses the first. */
  devices: z.array(device, 'a list of devices such as CPU:0').min(1, 'a list of devices such as CPU:0'),
  net,
  optimizer,
  data,
  /** Images per step; both towers see all of them. */
  batchSize: whole(1, 65_536),
  epochs: whole(1, 1_000_000),
  /** The run's length in steps; null if `epochs` gives the length. */
  steps: whole(1, 1_000_000_000).nullable(),
  seed: whole(0, 2 ** 32 - 1),
  logEvery: whole(1, 1_000_000_000),
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
  /** How the towers exchange activations. `device` falls back to `msgpack` if its self-test fails. */
  exchange: keys({
    transport: oneOf(['msgpack', 'device']),
    /** How `msgpack` encodes values. */
    dtype: oneOf(['float32', 'float16']),
    /** Whether every message of `msgpack` has a checksum. The check before a run always has them. */
    checksum: bool,
  }),
  exchangeTimeoutMs: whole(1, 86_400_000),
  /** How a step runs: as one TensorFlow function, op by op, or as one XLA function (`single` only). */
  compile: oneOf(['on', 'off', 'xla']),
  /** `auto` computes large convolutions by Winograd's algorithm if that is faster. */
  convolutions: oneOf(['auto', 'direct']),
  /** Whether a short comparison with the reference comes before the first step. */
  check: bool,
});

type Immutable<T> = T extends object ? { readonly [Key in keyof T]: Immutable<T[Key]> } : T;

/** A run's settings: complete, valid and frozen. */
export interface Config extends Immutable<z.infer<typeof CONFIG_SCHEMA>> {}
export type PresetName = Config['preset'];
/** A preset: every setting that does not depend on the machine and the time. */
export type Preset = Omit<Config, 'devices' | 'run'>;
