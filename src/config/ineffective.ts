/**
 * Settings that do nothing beside others. What was typed is refused, unless it asks for what is so anyway; what a config
 * file sets is said, for one file may serve both placements, and nothing is said of what a preset sets.
 */
import { ConfigError } from '../errors.js';
import { TABLES } from '../model/tables.js';
import type { Config, Machine } from './config.js';
import { FLAGS } from './flags.js';
import { type Layer, sets, valueAt } from './layers.js';

/** Of a setting: when it does nothing. */
interface Rule {
  /** Dots between the keys. */
  path: string;
  /** With what it does nothing, and why, to follow "it does nothing"; undefined where it does something. */
  reason(config: Config, source: Source): string | undefined;
  /** That nothing is what was asked for, so that it is said only. */
  harmless?: true;
  /** What would make it do something, where that may be wanted, to follow "leave it out, or". */
  remedy?(config: Config): string;
}

/** What the images are: files each, or numbers in a few files, or what nobody says. */
type Source = 'files' | 'numbers' | 'unknown';

const onOneDevice = ({ placement }: Config) =>
  placement === 'single' ? 'with --placement single: one device exchanges nothing' : undefined;
const withoutNoise = ({ data }: Config) =>
  data.colourNoise.strength === 0 ? 'where data.colourNoise.strength is 0' : undefined;
/** The table has no layer of these kinds, so that none can be left out. */
const without =
  (...kinds: readonly string[]) =>
  ({ net }: Config) => {
    const has = TABLES[net.table].layers.some(({ kind }) => kinds.includes(kind));
    return has ? undefined : `with the net ${net.table}, which has no such layer`;
  };

/** Images of 256 pixels for an input of 224, and of 32 for 28, as is common. */
const ROOM_TO_CUT = 8 / 7;
/** @param what there is one of at the end in any case. */
const afterTheEnd = (every: unknown, steps: number | null, what: string) =>
  steps !== null && typeof every === 'number' && every > steps
    ? `in a run of ${steps} step${steps === 1 ? '' : 's'}, which has one ${what} at its end in any case`
    : undefined;

const RULES: readonly Rule[] = [
  {
    path: 'devices',
    reason: ({ placement, devices }) =>
      placement === 'single' && devices.length > 1
        ? `beyond ${devices[0]} with --placement single: the whole net is on one device`
        : undefined,
  },
  { path: 'exchange.transport', reason: onOneDevice },
  { path: 'exchange.dtype', reason: onOneDevice },
  {
    path: 'exchange.checksum',
    reason: (config) =>
      onOneDevice(config) ??
      (config.exchange.transport === 'device'
        ? 'with --exchange device, whose tensors do not go as messages'
        : undefined),
  },
  { path: 'exchangeTimeoutMs', reason: onOneDevice },
  {
    path: 'check',
    harmless: true,
    reason: ({ placement }) =>
      placement === 'single' ? 'with --placement single, which is the reference itself' : undefined,
  },
  {
    path: 'fault',
    reason: (config) => {
      const { fault, exchange } = config;
      if (fault === 'wrong-bytes@device' && exchange.transport !== 'device') return 'without --exchange device';
      const isAtSite = /^(?!nan@)[a-z-]+@(?!open|forward|backward|update|evaluate|checkpoint|data)/.test(fault ?? '');
      return isAtSite ? onOneDevice(config) : undefined;
    },
  },
  { path: 'net.dropout', harmless: true, reason: without('dropout') },
  { path: 'net.norm', harmless: true, reason: without('norm', 'mapNorm') },
  {
    path: 'net.overlap',
    harmless: true,
    reason: ({ net }) =>
      TABLES[net.table].layers.some((layer) => layer.kind === 'pool' && layer.size > layer.stride)
        ? undefined
        : `with the net ${net.table}, whose pools do not overlap`,
  },
  {
    path: 'net.init',
    reason: ({ weights }) => (weights === null ? undefined : 'with --weights, from which the run starts'),
  },
  {
    path: 'convolutions',
    harmless: true,
    reason: ({ compile, devices }) => {
      if (compile === 'xla') return "with --compile xla, which has convolutions of XLA's own";
      return devices.every((name) => name.startsWith('GPU')) ? "on GPUs, which have cuDNN's convolutions" : undefined;
    },
  },
  {
    path: 'data.onBadImage',
    reason: (_, source) =>
      source === 'numbers' ? 'with images that are no files of their own, none of which can be unreadable' : undefined,
  },
  {
    path: 'data.randomCrop',
    reason: ({ data, net }) =>
      data.randomCrop && data.resize === net.inputSize
        ? `where data.resize is the input's ${net.inputSize} pixels: there is one place to cut`
        : undefined,
    remedy: ({ net }) => `give room with --resize ${Math.round(net.inputSize * ROOM_TO_CUT)}`,
  },
  {
    path: 'data.cropGroup',
    reason: ({ data }) =>
      data.cropGroup > 1 && !data.randomCrop && !data.flip ? 'without --crop and without --flip' : undefined,
  },
  {
    path: 'data.saturation',
    reason: ({ net, data }) =>
      data.saturation > 0 && net.inputChannels === 1 ? 'where the net reads grey images' : undefined,
  },
  {
    path: 'data.mean',
    reason: ({ data }) => (data.meanImage ? 'with --mean-image, which takes the place of it' : undefined),
  },
  { path: 'data.colourNoise.end', reason: withoutNoise },
  { path: 'data.colourNoise.divide', reason: withoutNoise },
  { path: 'data.colourNoise.colours', reason: withoutNoise },
  {
    path: 'epochs',
    reason: ({ steps }) => (steps === null ? undefined : `where steps is ${steps}, which is the run's length`),
  },
  {
    path: 'optimizer.schedule.epochs',
    reason: ({ optimizer: { schedule }, epochs, steps }) =>
      schedule.kind === 'steps' && steps === null && schedule.epochs.every((epoch) => epoch >= epochs)
        ? `in a run of ${epochs} epoch${epochs === 1 ? '' : 's'}, in which the rate does not fall`
        : undefined,
  },
  {
    path: 'evalEvery',
    harmless: true,
    reason: ({ evalEvery, steps }) => afterTheEnd(evalEvery, steps, 'evaluation'),
  },
  {
    path: 'checkpointEvery',
    harmless: true,
    reason: ({ checkpointEvery, steps }) => afterTheEnd(checkpointEvery, steps, 'checkpoint'),
  },
  {
    path: 'keep',
    harmless: true,
    reason: ({ checkpointEvery }) =>
      checkpointEvery === 0 ? 'with --checkpoint-every 0 until the run is resumed: there is one checkpoint' : undefined,
  },
];

/**
 * @param config the settings as they have come together.
 * @param base those of the preset, for what nobody set.
 * @param machine is asked what the images are, where that counts.
 * @returns a sentence for each setting that a config file sets, or that was typed and is harmless, and that does nothing.
 * @throws ConfigError for the first that was typed and does nothing.
 */
export function ineffective(
  config: Config,
  layers: readonly Layer[],
  base: unknown,
  machine: Pick<Machine, 'hasFiles'>,
): string[] {
  return RULES.flatMap(({ path, reason, harmless, remedy }) => {
    const keys = path.split('.');
    const giver = layers.findLast((layer) => layer.by !== undefined && sets(layer, ...keys));
    if (giver === undefined || giver !== layers.findLast((layer) => sets(layer, ...keys))) return [];
    const why = reason(config, path === 'data.onBadImage' ? sourceOf(config, machine) : 'unknown');
    if (why === undefined) return [];
    if (giver.by === 'line') {
      const name = flagOf(path, valueAt(giver.values, keys));
      if (harmless) return [`${name} does nothing ${why}`];
      throw new ConfigError(
        `Cannot go by ${name}: it does nothing ${why}; leave it out${remedy ? `, or ${remedy(config)}` : ''}`,
      );
    }
    if (isEqual(valueAt(config, keys), valueAt(base, keys))) return [];
    return [`${path} in ${giver.file} does nothing ${why}`];
  });
}

function sourceOf({ data: { source } }: Config, { hasFiles }: Pick<Machine, 'hasFiles'>): Source {
  if (source === 'embedded' || source === 'fashion-mnist') return 'numbers';
  const found = source === '' ? undefined : hasFiles?.(source);
  return found === undefined ? 'unknown' : found ? 'files' : 'numbers';
}

/** The flag by which a setting was typed: of `--crop` and `--no-crop` the one of that value. */
function flagOf(path: string, value: unknown): string {
  const flags = FLAGS.filter((flag) => flag.path === path);
  return (flags.find(({ kind }) => kind === (value === false ? 'off' : 'on')) ?? flags[0])?.name ?? path;
}

function isEqual(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
