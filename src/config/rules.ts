/** Rules about settings that are valid each by itself, but not together: conflicts, and settings that have no effect. */
import { ConfigError, truncate } from '../errors.js';
import { buildNet, isOneColumn, isWeighted } from '../model/net.js';
import { TABLES } from '../model/tables.js';
import { plural } from '../numbers.js';
import { isSmooth, scalingOf } from '../optim/schedule.js';
import { devicesNeeded, isGpu } from './devices.js';
import { FLAGS } from './flags.js';
import { type ConfigLayer, sets, valueAt } from './layers.js';
import { type Config, NAMED_SOURCES } from './schema.js';
import { remoteDevice } from './servers.js';
import { hasStep, rangesOf } from './steps.js';

type Message = string | false;

const CONFLICTS: readonly ((config: Config) => Message)[] = [
  ({ exchange: { transport, dtype } }) =>
    transport === 'device' &&
    dtype !== 'float32' &&
    `--exchange-dtype is ${dtype}, expected float32 with --exchange device, which does not convert tensors; leave out one of the two`,
  ({ compile, placement }) =>
    compile === 'xla' &&
    placement === 'split' &&
    '--compile is xla, expected on or off with --placement split: an XLA function cannot exchange tensors; use --compile on, or --placement single',
  ({ compile, replicas }) =>
    compile === 'xla' &&
    replicas > 1 &&
    '--compile is xla, expected on or off with --replicas: an XLA function cannot average gradients; use --compile on',
  ({ average, devices }) => {
    const remote = devices.find((name) => remoteDevice(name) !== undefined);
    return (
      average === 'collective' &&
      remote !== undefined &&
      `--average is collective, expected copies with ${truncate(remote)}: the servers of a run do not know each other; use --average copies`
    );
  },
  ({ average, replicas, devices, placement }) => {
    const parts = placement === 'split' ? [0, 1] : [0];
    const twice = parts
      .map((part) => devices.filter((_, i) => i < replicas * parts.length && i % parts.length === part))
      .flatMap((own) => own.find((name, i) => own.indexOf(name) < i) ?? []);
    return (
      average === 'collective' &&
      replicas > 1 &&
      twice.length > 0 &&
      `--average is collective, expected copies: the device ${truncate(twice[0]!)} is in two replicas, which a collective cannot join twice; choose other --devices, or --average copies`
    );
  },
  ({ compile, devices, placement, replicas }) =>
    compile === 'xla' &&
    devices.slice(0, devicesNeeded({ placement, replicas })).some(remoteDevice) &&
    "--compile is xla, expected on or off with a server's device, which runs no XLA function by itself; use --compile on, or a device of this machine",
  ({ data: { resize }, net: { inputSize } }) =>
    resize < inputSize &&
    `data.resize is ${resize}, expected at least the net's input of ${inputSize} pixels, which is cropped from it; set both`,
  ({ data: { mean }, net: { inputChannels } }) =>
    mean !== 'data' &&
    mean.length !== inputChannels &&
    `data.mean has length ${mean.length}, expected one grey level for each of the ${inputChannels} channels of net.inputChannels; set both`,
  ({ data: { scale }, net: { inputChannels } }) =>
    Array.isArray(scale) &&
    scale.length !== inputChannels &&
    `data.scale has length ${scale.length}, expected one factor for each of the ${inputChannels} channels of net.inputChannels, or one number; set both`,
  ({ placement, net }) =>
    isOneColumn(buildNet(net)) &&
    placement === 'split' &&
    `Cannot split the net "${net.table}": it has one column, for one device; use --placement single, or another --net`,
  ({ optimizer }) =>
    'least' in optimizer.schedule &&
    isSmooth(optimizer.schedule) &&
    optimizer.schedule.least >= optimizer.learningRate * scalingOf(optimizer) &&
    `optimizer.schedule.least is ${optimizer.schedule.least}, expected less than the learning rate ${optimizer.learningRate * scalingOf(optimizer)}, from which it falls; lower it, or raise --lr`,
  ({ optimizer, epochs, steps }) =>
    isSmooth(optimizer.schedule) &&
    optimizer.schedule.kind !== 'one-cycle' &&
    steps === null &&
    (optimizer.warmupEpochs ?? 0) >= epochs &&
    `--warmup-epochs is ${optimizer.warmupEpochs}, expected less than the ${plural(epochs, 'epoch')} of the run, in which the rate also falls; use a shorter warm-up, or a larger --epochs`,
  ({ net, optimizer: { ownRates = [] } }) => {
    const layers: readonly string[] = buildNet(net)
      .layers.filter(isWeighted)
      .map(({ name }) => name);
    const wrong = ownRates.findIndex(({ layer }) => layer !== undefined && !layers.includes(layer));
    const name = ownRates[wrong]?.layer;
    return (
      name !== undefined &&
      `optimizer.ownRates.${wrong}.layer is "${truncate(name)}", expected one of ${layers.join(', ')}`
    );
  },
];

/** @throws ConfigError for the first conflict. */
export function checkConflicts(config: Config): void {
  for (const conflict of CONFLICTS) {
    const message = conflict(config);
    if (message) throw new ConfigError(message);
  }
}

const onOneDevice = ({ placement }: Config) =>
  placement === 'single' && 'with --placement single: one device has nothing to exchange';
const withoutFiles = ({ data: { source } }: Config, { hasFiles }: Sources) =>
  (NAMED_SOURCES.includes(source.replace(/:\d+$/, '')) || (source !== '' && hasFiles?.(source) === false)) &&
  'with data that does not have a file for each image';
const withoutNoise = ({ data }: Config) => data.colourNoise.strength === 0 && 'while data.colourNoise.strength is 0';
const withoutLayers =
  (...kinds: readonly string[]) =>
  ({ net: { table } }: Config) =>
    !TABLES[table].layers.some(({ kind }) => kinds.includes(kind)) && `with the net ${table}, which has no such layer`;
const afterTheEnd = (every: unknown, steps: number | null, what: string) =>
  steps !== null &&
  typeof every === 'number' &&
  every > steps &&
  `in a run of ${plural(steps, 'step')}, which has one ${what} at its end anyway`;

/** What is known of a data source; undefined if the source does not exist. */
export interface Sources {
  /** Whether it has a file for each image. */
  hasFiles?: (source: string) => boolean | undefined;
  /** Whether it has test images of its own. */
  hasTestImages?: (source: string) => boolean | undefined;
}

/** The condition under which a setting has no effect, to follow "has no effect"; false if it has one. */
const INEFFECTIVE: Record<string, (config: Config, sources: Sources) => Message> = {
  waitForServers: ({ servers, devices }) =>
    servers.length === 0 && !devices.some(remoteDevice) && 'without servers: every device is of this machine',
  devices: ({ placement, devices, replicas }) =>
    placement === 'single' &&
    devices.length > replicas &&
    (replicas === 1
      ? `beyond ${devices[0]} with --placement single: the whole net is on one device`
      : `beyond ${devices.slice(0, replicas)} with --placement single: each whole net is on one device`),
  'exchange.transport': onOneDevice,
  'exchange.dtype': onOneDevice,
  'exchange.checksum': (config) =>
    onOneDevice(config) ||
    (config.exchange.transport === 'device' && 'with --exchange device, which sends no messages'),
  exchangeTimeoutMs: (config) => config.replicas === 1 && onOneDevice(config),
  check: ({ placement, replicas }) =>
    placement === 'single' && replicas === 1 && 'with --placement single, which is the reference itself',
  'net.dropout': withoutLayers('dropout'),
  'net.norm': withoutLayers('norm', 'mapNorm'),
  'net.overlap': ({ net: { table } }) =>
    !TABLES[table].layers.some((layer) => layer.kind === 'pool' && layer.size > layer.stride) &&
    `with the net ${table}, whose pooling windows do not overlap`,
  'net.init': ({ weights, newHead }) => weights !== null && !newHead && 'with --weights, from which the run starts',
  newHead: ({ weights, newHead }) => newHead && weights === null && 'without --weights, whose last layer it replaces',
  convolutions: ({ compile, devices }) =>
    compile === 'xla'
      ? 'with --compile xla, which has its own convolutions'
      : devices.every(isGpu) && 'on GPUs, which use the convolutions of cuDNN',
  average: ({ replicas }) => replicas === 1 && 'with one replica: see --replicas',
  'optimizer.linearScaling': ({ replicas, optimizer }) =>
    replicas === 1 && scalingOf(optimizer) === 1 && 'with one replica: see --replicas',
  'optimizer.warmupEpochs': ({ optimizer }) =>
    optimizer.schedule.kind === 'one-cycle' && 'with the schedule one-cycle, which rises by itself',
  'optimizer.warmupFrom': ({ optimizer }) => !optimizer.warmupEpochs && 'without --warmup-epochs',
  'data.upright': withoutFiles,
  'data.onBadImage': withoutFiles,
  'data.valShare': ({ data: { source } }, { hasTestImages }) =>
    source !== '' && hasTestImages?.(source) === true && 'with data that has test images of its own',
  'data.shuffleWindow': ({ data }) => data.shuffle !== 'window' && 'without --shuffle window',
  'data.randomCrop': ({ data, net }) =>
    data.randomCrop &&
    data.resize === net.inputSize &&
    `while data.resize is the input's ${net.inputSize} pixels: there is only one place to crop`,
  'data.cropGroup': ({ data: { cropGroup, randomCrop, flip } }) =>
    cropGroup > 1 && !randomCrop && !flip && 'without --crop and without --flip',
  'data.saturation': ({ net, data }) =>
    data.saturation > 0 && net.inputChannels === 1 && 'if the net reads grey images',
  'data.mean': ({ data }) => data.meanImage && 'with --mean-image, which replaces it',
  'data.colourNoise.end': withoutNoise,
  'data.colourNoise.divide': withoutNoise,
  'data.colourNoise.colours': withoutNoise,
  epochs: ({ steps }) => steps !== null && `while steps is ${steps}, which is the run's length`,
  'optimizer.schedule.epochs': ({ optimizer: { schedule }, epochs, steps }) =>
    schedule.kind === 'steps' &&
    steps === null &&
    schedule.epochs.every((epoch) => epoch >= epochs) &&
    `in a run of ${plural(epochs, 'epoch')}, because the rate would fall later`,
  evalEvery: ({ evalEvery, steps }) => afterTheEnd(evalEvery, steps, 'evaluation'),
  checkpointEvery: ({ checkpointEvery, steps }) => afterTheEnd(checkpointEvery, steps, 'checkpoint'),
  traceSteps: ({ traceSteps, steps }) =>
    steps !== null &&
    traceSteps !== null &&
    !hasStep(rangesOf(traceSteps), 1, steps) &&
    `in a run of ${plural(steps, 'step')}`,
  keep: ({ checkpointEvery }) =>
    checkpointEvery === 0 && 'with --checkpoint-every 0 until the run is resumed: there is one checkpoint',
};

/** Settings that then ask for what happens anyway: if they are typed, a note is enough. */
const HARMLESS = 'check net.dropout net.norm net.overlap convolutions evalEvery checkpointEvery keep'.split(' ');

/**
 * Finds the settings that have no effect. Nothing is said about what a preset sets, or what a config file (which may
 * serve both placements) sets to the preset's value.
 * @param base the preset's settings.
 * @returns a note for each of these settings in a config file, and for each harmless one that was typed.
 * @throws ConfigError for the first other one that was typed.
 */
export function ineffectiveNotes(
  config: Config,
  layers: readonly ConfigLayer[],
  base: unknown,
  sources: Sources,
): string[] {
  return Object.entries(INEFFECTIVE).flatMap(([path, reason]) => {
    const keys = path.split('.');
    const source = layers.findLast((layer) => sets(layer, ...keys));
    if (source?.by === undefined) return [];
    const why = reason(config, sources);
    if (!why) return [];
    if (source.by === 'line') {
      const name = flagOf(path, valueAt(source.values, keys));
      if (HARMLESS.includes(path)) return [`${name} has no effect ${why}`];
      // As usual: images of 256 pixels for an input of 224, or of 32 for 28.
      const larger = `, or use larger images with --resize ${Math.round((config.net.inputSize * 8) / 7)}`;
      throw new ConfigError(
        `Cannot use ${name}: it has no effect ${why}; leave it out${path === 'data.randomCrop' ? larger : ''}`,
      );
    }
    const isPreset = JSON.stringify(valueAt(config, keys)) === JSON.stringify(valueAt(base, keys));
    return isPreset ? [] : [`${path} in ${source.file} has no effect ${why}`];
  });
}

/** The flag by which a value was typed: `--crop` for true, `--no-crop` for false. */
function flagOf(path: string, value: unknown): string {
  const flags = FLAGS.filter((flag) => flag.path === path);
  const whole = FLAGS.find((flag) => path.startsWith(`${flag.path}.`)); // one flag for several settings
  return (flags.find(({ kind }) => kind === (value === false ? 'off' : 'on')) ?? flags[0] ?? whole)?.name ?? path;
}
