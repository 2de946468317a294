/** What each setting of a {@link Config} may be. Every message is the second half of "<path> is <value>, expected …". */
import { z } from 'zod';
import type { TableName } from '../model/tables.js';
import { TABLES } from '../model/tables.js';

export const PLACEMENTS = ['split', 'single'] as const;
export const PRESET_NAMES = [
  ...(['mini', 'fashion', 'tutorial', 'lenet'] as const),
  ...(['imagenet', 'imagenet-paper', 'imagenet-one-gpu', 'imagenet-columns'] as const),
] as const;
export const TABLE_NAMES = Object.keys(TABLES) as [TableName, ...TableName[]];

function whole(from: number, to: number) {
  const wanted =
    to === Number.MAX_SAFE_INTEGER ? `a whole number from ${from} up` : `a whole number from ${from} to ${to}`;
  return z.number(wanted).int(wanted).min(from, wanted).max(to, wanted);
}

/** A finite number above `from`, and below or at `to`. */
function above(from: number, to = Number.MAX_VALUE) {
  const wanted = to === Number.MAX_VALUE ? `a number above ${from}` : `a number above ${from} and up to ${to}`;
  return z.number(wanted).gt(from, wanted).max(to, wanted);
}

/** A finite number from `from` on, and below `below`. */
function from(from: number, below = Number.POSITIVE_INFINITY) {
  const wanted =
    below === Number.POSITIVE_INFINITY ? `a number from ${from} up` : `a number from ${from} to below ${below}`;
  return z.number(wanted).min(from, wanted).lt(below, wanted);
}

function oneOf<const T extends readonly [string, ...string[]]>(names: T) {
  return z.enum(names, `one of ${names.join(', ')}`);
}

/** An object with these keys and no others; an unknown key keeps zod's own issue. */
function keys<T extends z.ZodRawShape>(shape: T) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys' ? undefined : `an object with ${Object.keys(shape).join(', ')}`,
  });
}

const bool = z.boolean('true or false');
const text = z.string('a text').min(1, 'a text that is not empty');
const pathOrNothing = z.string('a text').refine((value) => !value.includes('\0'), 'a path, which has no character 0');
const path = pathOrNothing.min(1, 'a text that is not empty');
const device = z
  .string('a device such as CPU:0 or GPU:1')
  .regex(/^([A-Z_]+:\d+|GPU:\d+\/\d+)$/, 'a device such as CPU:0 or GPU:1');

/** One message, whichever of the two it was meant to be. */
const interval = z.custom<number | string>(
  (value) =>
    typeof value === 'number'
      ? Number.isInteger(value) && value >= 0 && value <= 1_000_000_000
      : typeof value === 'string' && /^(?!0+(\.0*)?m$)\d{1,6}(\.\d{1,6})?m$/.test(value),
  'a number of steps, or minutes such as 10m; 0 is at the end only',
);

const schedule = z.discriminatedUnion(
  'kind',
  [
    keys({ kind: z.literal('constant') }),
    keys({
      kind: z.literal('steps'),
      epochs: z.array(whole(1, 1_000_000), 'a list of epochs'),
      factor: above(0, 1),
    }),
    keys({
      kind: z.literal('plateau'),
      factor: above(0, 1),
      patience: whole(1, 1_000_000),
      least: above(0),
    }),
  ],
  // Without a kind that is known, the issue stands at `kind`.
  { error: (issue) => (issue.code === 'invalid_union' ? 'one of constant, steps, plateau' : 'an object with kind') },
);

const ownRate = keys({
  layer: text.optional(),
  role: oneOf(['kernel', 'bias']).optional(),
  after: whole(0, 1_000_000),
  factor: from(0),
});

/** The whole shape. Strict: an unknown key is an issue. */
export const CONFIG_SCHEMA = keys({
  preset: z.enum(PRESET_NAMES, `one of auto, ${PRESET_NAMES.join(', ')}`),
  placement: oneOf(PLACEMENTS),
  devices: z.array(device, 'a list of devices such as CPU:0').min(1, 'a list of devices such as CPU:0'),
  net: keys({
    table: oneOf(TABLE_NAMES),
    width: above(0, 8),
    inputSize: whole(1, 4096),
    inputChannels: whole(1, 64),
    classes: whole(2, 65_536),
    init: oneOf(['table', 'he', 'xavier']),
    dropout: bool,
    activation: oneOf(['relu', 'sigmoid', 'tanh']).optional(),
    norm: bool.optional(),
    overlap: bool.optional(),
  }),
  optimizer: keys({
    learningRate: above(0),
    momentum: from(0, 1),
    weightDecay: from(0),
    biasRateFactor: from(0),
    biasDecay: from(0),
    schedule,
    ownRates: z.array(ownRate, 'a list of rates').optional(),
  }),
  data: keys({
    /** Empty where nobody says: `resolveConfig` refuses that where images are read. */
    source: pathOrNothing,
    resize: whole(1, 4096),
    randomCrop: bool,
    flip: bool,
    brightness: from(0),
    contrast: from(0),
    saturation: from(0),
    mean: z.array(from(0, 256), 'a list of one grey level a channel').min(1, 'a list of one grey level a channel'),
    meanImage: bool,
    colourNoise: keys({
      strength: from(0),
      end: whole(1, 1_000_000).nullable(),
      divide: bool,
      colours: oneOf(['imagenet', 'data']),
    }),
    cropGroup: whole(1, 65_536),
    scale: above(0),
    onBadImage: oneOf(['fail', 'skip']),
    workers: whole(0, 64),
  }),
  batchSize: whole(1, 65_536),
  epochs: whole(1, 1_000_000),
  steps: whole(1, 1_000_000_000).nullable(),
  seed: whole(0, 2 ** 32 - 1),
  logEvery: whole(1, 1_000_000_000),
  evalEvery: whole(0, 1_000_000_000),
  checkpointEvery: interval,
  keep: whole(1, 1_000_000),
  run: text,
  out: path,
  weights: path.nullable(),
  exchange: keys({
    transport: oneOf(['msgpack', 'device']),
    dtype: oneOf(['float32', 'float16']),
    checksum: bool,
  }),
  exchangeTimeoutMs: whole(1, 86_400_000),
  compile: oneOf(['on', 'off', 'xla']),
  convolutions: oneOf(['auto', 'direct']),
  check: bool,
  fault: text.nullable(),
});

/** The keys that may stand at `path`, for the hint to an unknown one. */
export function keysAt(path: readonly PropertyKey[]): string[] {
  let schema: z.ZodType = CONFIG_SCHEMA;
  for (const key of path) {
    if (schema instanceof z.ZodArray) schema = bare(schema.element as z.ZodType);
    else if (schema instanceof z.ZodObject) schema = bare(schema.shape[key as string] as z.ZodType);
    else return [];
  }
  const objects = schema instanceof z.ZodDiscriminatedUnion ? schema.options : [schema];
  return [...new Set(objects.flatMap((each) => (each instanceof z.ZodObject ? Object.keys(each.shape) : [])))];
}

function bare(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodOptional ? (schema.unwrap() as z.ZodType) : schema;
}
